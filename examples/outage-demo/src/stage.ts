import type { AppMethods } from './processes/app.js';
import type { Child } from './processes/child.js';
import { Children } from './processes/children.js';
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

export async function openStage(pipeline: PipelineName, onOutput: (line: string) => void): Promise<Stage> {
  const children = new Children(onOutput);
  // The application first: a collector that goes before it would be one more outage.
  const close = () => children.end();
  try {
    const collectors = await openCollectors(children);
    const ports = [await collectors.A.call('port'), await collectors.B.call('port')];
    if (pipeline === 'stock') ports.pop();
    if (pipeline === 'stockFailover') {
      const balancer = await children.start<LoadBalancerMethods>('load balancer', './load-balancer.js', ports);
      ports.splice(0, 2, await balancer.call('port'));
    }
    const app = await children.start<AppMethods>('application', './app.js', [pipeline, ...ports.map(urlOf)]);
    return { collectors, app, appPort: await app.call('port'), close };
  } catch (error) {
    await close();
    throw error;
  }
}

export async function openCollectors(children: Children, ...args: string[]): Promise<Stage['collectors']> {
  const [A, B] = await Promise.all([
    children.start<CollectorMethods>('collector A', './collector.js', args),
    children.start<CollectorMethods>('collector B', './collector.js', args),
  ]);
  return { A, B };
}

export const urlOf = (port: number): string => `http://127.0.0.1:${port}`;
