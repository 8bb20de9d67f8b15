import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Methods, Reply, Request } from './answer-parent.js';

const READY_MILLIS = 20_000;
// Stock: 30 s for a flush that hangs, and more after it.
const ANSWER_MILLIS = 40_000;
const EXIT_MILLIS = 3_000;

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
  private readonly calls = new Map<number, (reply: Reply) => void>();
  private readonly exited: Promise<string>;
  private lastCall = 0;

  /** Resolves when the child is ready to answer. */
  static async start<M extends Methods>(options: ChildOptions): Promise<Child<M>> {
    const child = new Child<M>(options);
    try {
      await child.answerTo(0, READY_MILLIS, 'start');
    } catch (error) {
      child.process.kill('SIGKILL');
      throw error;
    }
    return child;
  }

  private constructor({ name, module, args = [], onOutput }: ChildOptions) {
    this.name = name;
    this.process = fork(module, args, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], env: ownEnvironment() });
    running.add(this.process);
    const outputs = [this.process.stdout!, this.process.stderr!].map((input) => {
      const lines = createInterface({ input }).on('line', (line) => {
        onOutput(`${name}: ${line}`);
      });
      return once(lines, 'close');
    });
    this.process.on('message', (reply: Reply) => this.settle(reply));
    this.exited = new Promise((resolve) => {
      const end = (why: string) => {
        running.delete(this.process);
        for (const id of [...this.calls.keys()]) this.settle({ id, error: why });
        resolve(why);
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
      // It is going; how it ended says more than a closed channel.
      if (error) this.exited.then((why) => this.settle({ id, error: why }));
    });
    return answer as Promise<Awaited<ReturnType<M[K]>>>;
  }

  /** As `kill -9` does; resolves when it has gone. */
  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.exited;
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
      this.calls.set(id, (reply) => {
        clearTimeout(timer);
        if ('error' in reply) reject(new Error(`${this.name}: ${reply.error}`));
        else resolve(reply.result);
      });
    });
  }

  private settle(reply: Reply): void {
    this.calls.get(reply.id)?.(reply);
    this.calls.delete(reply.id);
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
