import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** What a process is to do: all of it as JSON, and when it is killed from outside, once it has said its first word. */
export interface WarmJob {
  readonly kill?: { readonly by: 'parent'; readonly delayMillis: number } | { readonly by: 'itself' };
}

interface ProcessEnd {
  readonly pid: number;
  readonly signal: NodeJS.Signals | null;
  readonly code: number | null;
  readonly errors: string;
}

interface WarmProcess {
  readonly child: ChildProcess;
  /** Rejects when it could not be started. */
  readonly ended: Promise<ProcessEnd>;
}

/** Far more than a session takes. */
const PATIENCE_MILLIS = 20_000;

/** Processes started ahead, which have loaded everything and wait for what they are to do: most of a cycle is the start of node. */
export class WarmProcesses {
  private readonly script: string;
  private readonly ahead: number;
  private readonly waiting: WarmProcess[] = [];
  private readonly living = new Set<WarmProcess>();

  constructor(script: string, ahead: number) {
    this.script = script;
    this.ahead = ahead;
  }

  /** Resolves when the process is no more. Rejects where that was so before it had its job: the next call gets another. */
  async perform(job: WarmJob): Promise<ProcessEnd> {
    const { child, ended } = this.take();
    if (child.exitCode !== null || child.signalCode !== null) {
      const { signal, code, errors } = await ended;
      throw new Error(`a process has ended before it was given its job: ${signal ?? code} ${errors}`);
    }
    const { kill } = job;
    child.stdout!.once('data', () => {
      if (kill?.by === 'parent') setTimeout(() => child.kill('SIGKILL'), kill.delayMillis);
    });
    const patience = setTimeout(() => child.kill('SIGABRT'), PATIENCE_MILLIS);
    child.stdin!.end(JSON.stringify(job));
    try {
      return await ended;
    } finally {
      clearTimeout(patience);
    }
  }

  async close(): Promise<void> {
    const ends = [...this.living].map(({ ended }) => ended);
    for (const { child } of this.living) child.kill('SIGKILL');
    await Promise.allSettled(ends);
  }

  private take(): WarmProcess {
    while (this.waiting.length <= this.ahead) this.waiting.push(this.start());
    return this.waiting.shift()!;
  }

  private start(): WarmProcess {
    const child = spawn(process.execPath, [this.script], { stdio: ['pipe', 'pipe', 'pipe'] });
    // Of one that was killed.
    child.stdin.on('error', () => {});
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    // `once` rejects at an 'error'. From the start: the one that waits may be no more when it is needed.
    const ended = once(child, 'close').then(([code, signal]) => ({ pid: child.pid!, code, signal, errors }));
    const warm = { child, ended };
    this.living.add(warm);
    ended.catch(() => {}).finally(() => this.living.delete(warm));
    return warm;
  }
}
