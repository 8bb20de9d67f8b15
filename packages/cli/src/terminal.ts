import type { WriteStream } from 'node:tty';
import type { DiagLogger } from '@opentelemetry/api';
import { printable } from './format.js';

/** Results go to stdout, everything else to stderr, so that a pipe gets results only. */
export class Terminal {
  readonly stderr: NodeJS.WritableStream;
  /** Somebody is watching: a bar may be drawn. */
  readonly isInteractive: boolean;
  private readonly stdout: NodeJS.WritableStream;
  private isQuiet = false;

  constructor(stdout: NodeJS.WritableStream, stderr: NodeJS.WritableStream) {
    this.stdout = stdout;
    this.stderr = stderr;
    this.isInteractive = isTerminal(stdout) && isTerminal(stderr) && process.env.TERM !== 'dumb';
  }

  /** A bar that is being drawn makes room; what it returns draws it again. */
  clear: (() => () => void) | undefined;

  onInterruption(name: string): void {
    this.clear?.();
    this.note(`${name}: stopping; once more ends at once`);
  }

  /** What the pipeline warns of goes to stderr, as it comes. */
  get logger(): DiagLogger {
    const warn = (message: string) => {
      if (this.isQuiet) return;
      const redraw = this.clear?.();
      this.note(printable(message));
      redraw?.();
    };
    const nothing = () => {};
    return { error: warn, warn, info: nothing, debug: nothing, verbose: nothing };
  }

  /** While this runs no warnings are shown: what they say is in what comes of it. */
  async quietly<T>(run: () => Promise<T>): Promise<T> {
    this.isQuiet = true;
    try {
      return await run();
    } finally {
      this.isQuiet = false;
    }
  }

  print(text: string): void {
    this.stdout.write(`${text}\n`);
  }

  note(text: string): void {
    this.stderr.write(`${text}\n`);
  }

  complain(text: string): void {
    this.note(`otel-resilience: ${text}`);
  }
}

const isTerminal = (stream: NodeJS.WritableStream): boolean => (stream as WriteStream).isTTY === true;
