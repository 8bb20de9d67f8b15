import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** What a process is to do: all of it as JSON, and when it is killed from outside, once it has said its first word. */
export interface WarmJob {
  readonly kill?: { readonly by: 'parent'; readonly delayMillis: number } | { readonly by: 'itself' };
}

/** Far more than a session takes. */
const PATIENCE_MILLIS = 20_000;

/** Processes started ahead, which have loaded everything and wait for what they are to do: most of a cycle is the start of node. */
export class WarmProcesses {
  private readonly script: string;
  private readonly ahead: number;
  private readonly waiting: ChildProcess[] = [];
  private readonly living = new Set<ChildProcess>();

  constructor(script: string, ahead: number) {
    this.script = script;
    this.ahead = ahead;
  }

  /** Resolves when the process is no more. */
  async perform(
    job: WarmJob,
  ): Promise<{ pid: number; signal: NodeJS.Signals | null; code: number | null; errors: string }> {
    const child = this.take();
    const { kill } = job;
    let errors = '';
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    child.stdout!.once('data', () => {
      if (kill?.by === 'parent') setTimeout(() => child.kill('SIGKILL'), kill.delayMillis);
    });
    const patience = setTimeout(() => child.kill('SIGABRT'), PATIENCE_MILLIS);
    const closed = once(child, 'close');
    child.stdin!.end(JSON.stringify(job));
    const [code, signal] = (await closed) as [number | null, NodeJS.Signals | null];
    clearTimeout(patience);
    return { pid: child.pid!, code, signal, errors };
  }

  async close(): Promise<void> {
    const exits = [...this.living].map((child) => once(child, 'close'));
    for (const child of this.living) child.kill('SIGKILL');
    await Promise.all(exits);
  }

  private take(): ChildProcess {
    while (this.waiting.length <= this.ahead) this.waiting.push(this.start());
    return this.waiting.shift()!;
  }

  private start(): ChildProcess {
    const child = spawn(process.execPath, [this.script], { stdio: ['pipe', 'pipe', 'pipe'] });
    // Of one that was killed.
    child.stdin.on('error', () => {});
    this.living.add(child);
    child.once('close', () => this.living.delete(child));
    return child;
  }
}
