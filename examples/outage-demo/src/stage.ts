import type { AppMethods } from './processes/app.js';
import { Child } from './processes/child.js';
import type { CollectorMethods } from './processes/collector.js';
import type { LoadBalancerMethods } from './processes/load-balancer.js';
import type { CollectorName, PipelineName } from './scenario.js';

/** The processes of one run: two collectors, what the pipeline needs to reach them, and the application. */
export interface Stage {
  readonly collectors: Readonly<Record<CollectorName, Child<CollectorMethods>>>;
  readonly app: Child<AppMethods>;
  readonly appPort: number;
  /** Ends them all; resolves with the names of those that had to be killed. */
  close(): Promise<string[]>;
}

const COLLECTOR = new URL('./processes/collector.js', import.meta.url);
const LOAD_BALANCER = new URL('./processes/load-balancer.js', import.meta.url);
const APP = new URL('./processes/app.js', import.meta.url);

export async function openStage(pipeline: PipelineName, onOutput: (line: string) => void): Promise<Stage> {
  const children: { name: string; child: Child<never> }[] = [];
  const close = async () => {
    // The application first: a collector that goes before it would be one more outage.
    const ended = [];
    for (const { name, child } of children.reverse()) if (!(await child.end())) ended.push(name);
    return ended;
  };
  const start = async <C>(name: string, module: URL, args: readonly (string | number)[] = []): Promise<C> => {
    const child = await Child.start({ name, module, args: args.map(String), onOutput });
    children.push({ name, child: child as Child<never> });
    return child as C;
  };

  try {
    const [A, B] = await Promise.all([
      start<Child<CollectorMethods>>('collector A', COLLECTOR),
      start<Child<CollectorMethods>>('collector B', COLLECTOR),
    ]);
    const ports = [await A.call('port'), await B.call('port')];
    if (pipeline === 'stock') ports.pop();
    if (pipeline === 'stockFailover') {
      const balancer = await start<Child<LoadBalancerMethods>>('load balancer', LOAD_BALANCER, ports);
      ports.splice(0, 2, await balancer.call('port'));
    }
    const urls = ports.map((port) => `http://127.0.0.1:${port}`);
    const app = await start<Child<AppMethods>>('application', APP, [pipeline, ...urls]);
    return { collectors: { A, B }, app, appPort: await app.call('port'), close };
  } catch (error) {
    await close();
    throw error;
  }
}
