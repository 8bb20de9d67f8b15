import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Methods, Reply, Request } from './answer-parent.js';

const READY_MILLIS = 20_000;
// Stock: 30 s for a flush that hangs, and more after it.
const ANSWER_MILLIS = 40_000;
const EXIT_MILLIS = 3_000;
const KEPT_LINES = 20;

const running = new Set<ChildProcess>();

/** Ends every child at once. They would end by themselves when this process does, a moment later. */
export function killChildren(): void {
  for (const child of running) child.kill('SIGKILL');
}

export interface ChildOptions {
  /** What it is called in messages. */
  readonly name: string;
  /** A module beside this one that calls `answerParent`. */
  readonly module: URL;
  readonly args?: readonly string[];
  /** Lines that the child prints, on either stream. */
  readonly onOutput: (line: string) => void;
}

/** A process of the demo, called like an object: its methods are answered over IPC. */
export class Child<M extends Methods> {
  private readonly name: string;
  private readonly process: ChildProcess;
  private readonly calls = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  private readonly exited: Promise<void>;
  private readonly lastLines: string[] = [];
  private lastCall = 0;

  /** Resolves when the child is ready to answer. */
  static async start<M extends Methods>(options: ChildOptions): Promise<Child<M>> {
    const child = new Child<M>(options);
    await child.answerTo(0, READY_MILLIS, 'start');
    return child;
  }

  private constructor({ name, module, args = [], onOutput }: ChildOptions) {
    this.name = name;
    this.process = fork(module, args, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], env: ownEnvironment() });
    running.add(this.process);
    const outputs = [this.process.stdout!, this.process.stderr!].map((input) => {
      const lines = createInterface({ input }).on('line', (line) => {
        this.lastLines.push(line);
        if (this.lastLines.length > KEPT_LINES) this.lastLines.shift();
        onOutput(`${name}: ${line}`);
      });
      return once(lines, 'close');
    });
    this.process.on('message', (reply: Reply) => this.settle(reply));
    this.exited = new Promise((resolve) => {
      const end = (why: string) => {
        running.delete(this.process);
        this.failCalls(why);
        resolve();
      };
      this.process.once('error', (error) => end(error.message));
      // Not 'close': after a disconnect() on this side it never comes.
      this.process.once('exit', async (code, signal) => {
        await Promise.all(outputs);
        end(`ended with ${signal ?? `code ${code}`}`);
      });
    });
  }

  /** Rejects when the method throws, the child ends, or 40 s pass. */
  call<K extends keyof M & string>(method: K, ...args: Parameters<M[K]>): Promise<Awaited<ReturnType<M[K]>>> {
    const id = ++this.lastCall;
    const answer = this.answerTo(id, ANSWER_MILLIS, method);
    const request: Request = { id, method, args };
    this.process.send(request, (error) => {
      if (error) this.settle({ id, error: error.message });
    });
    return answer as Promise<Awaited<ReturnType<M[K]>>>;
  }

  /** Lets the child go, and waits until it has gone: false when it had to be killed. */
  async end(): Promise<boolean> {
    if (this.process.connected) this.process.disconnect();
    let killed = false;
    const timer = setTimeout(() => {
      killed = true;
      this.process.kill('SIGKILL');
    }, EXIT_MILLIS);
    await this.exited;
    clearTimeout(timer);
    return !killed;
  }

  private answerTo(id: number, timeoutMillis: number, what: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.settle({ id, error: `no answer to ${what} within ${timeoutMillis} ms` });
      }, timeoutMillis);
      const settled = () => {
        clearTimeout(timer);
        this.calls.delete(id);
      };
      this.calls.set(id, {
        resolve: (value) => {
          settled();
          resolve(value);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      });
    });
  }

  private settle(reply: Reply): void {
    const call = this.calls.get(reply.id);
    if ('error' in reply) call?.reject(new Error(`${this.name}: ${reply.error}`));
    else call?.resolve(reply.result);
  }

  private failCalls(why: string): void {
    const said = this.lastLines.map((line) => `\n    ${line}`).join('');
    for (const call of [...this.calls.values()]) call.reject(new Error(`${this.name} ${why}${said}`));
  }
}

/** The caller's settings for an OpenTelemetry SDK would change what is compared. */
function ownEnvironment(): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('OTEL_'));
  return {
    ...Object.fromEntries(own),
    // Traces only: left out, NodeSDK would export metrics and logs to localhost.
    OTEL_METRICS_EXPORTER: 'none',
    OTEL_LOGS_EXPORTER: 'none',
  };
}
