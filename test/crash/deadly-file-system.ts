import type { FileSystem, OpenFile } from '@otel-resilience/core';
import { type Kill, type Moment, type Operation, PHASES, type Phase } from './crash-plan.js';

/** Operations of a shutdown, about. */
const MOST_IN_SHUTDOWN = 5;

/** The real file system, until the process kills itself with SIGKILL: before, during or after the operation it was told. */
export class DeadlyFileSystem implements FileSystem {
  private current: Phase = 'recovery';
  private readonly inner: FileSystem;
  private readonly kill: Kill | undefined;
  private readonly onKill: (moment: string) => void;
  private count = 0;

  constructor(inner: FileSystem, kill: Kill | undefined, onKill: (moment: string) => void) {
    this.inner = inner;
    this.kill = kill;
    this.onKill = onKill;
  }

  get phase(): Phase {
    return this.current;
  }

  enter(phase: Phase): void {
    this.current = phase;
    if (phase === 'shutdown') this.count = 0;
  }

  /** Does not return. */
  static die(): never {
    process.kill(process.pid, 'SIGKILL');
    for (;;);
  }

  makeDirectory = (path: string) => this.perform('makeDirectory', () => this.inner.makeDirectory(path));
  list = (path: string) => this.perform('list', () => this.inner.list(path));
  rename = (from: string, to: string) => this.perform('rename', () => this.inner.rename(from, to));
  remove = (path: string) => this.perform('remove', () => this.inner.remove(path));
  removeDirectory = (path: string) => this.perform('removeDirectory', () => this.inner.removeDirectory(path));
  syncDirectory = (path: string) => this.perform('syncDirectory', () => this.inner.syncDirectory(path));

  async open(path: string, how: 'create' | 'update' | 'read'): Promise<OpenFile> {
    const file = await this.perform(how === 'read' ? 'open' : how, () => this.inner.open(path, how));
    return {
      size: () => file.size(),
      read: (into, position) => this.perform('read', () => file.read(into, position)),
      write: (chunks, position) =>
        this.perform(
          'write',
          () => file.write(chunks, position),
          () => file.write(halfOf(chunks), position),
        ),
      sync: () => this.perform('sync', () => file.sync()),
      truncate: (length) => this.perform('truncate', () => file.truncate(length)),
      close: () => this.perform('close', () => file.close()),
    };
  }

  /** `half` is as if the kernel had stopped there: it may, when the process is killed. */
  private async perform<T>(operation: Operation, whole: () => Promise<T>, half?: () => Promise<unknown>): Promise<T> {
    const moment = this.momentOf(operation);
    if (!moment) return whole();
    this.onKill(`${this.phase} ${operation} ${moment}`);
    if (moment === 'before') return DeadlyFileSystem.die();
    if (moment === 'halfway' && half) {
      await half();
      return DeadlyFileSystem.die();
    }
    const working = whole();
    if (moment === 'during') {
      // Another thread performs it.
      const until = performance.now() + Math.random() * 0.1;
      while (performance.now() < until);
      return DeadlyFileSystem.die();
    }
    await working;
    return DeadlyFileSystem.die();
  }

  private momentOf(operation: Operation): Moment | undefined {
    const { kill } = this;
    if (kill?.by !== 'itself') return undefined;
    const isLast = this.phase === 'shutdown';
    if (!isLast && kill.operation !== operation) return undefined;
    const isEarly = PHASES.indexOf(this.phase) < PHASES.indexOf(kill.phase);
    return !isEarly && ++this.count === (isLast ? 1 + (kill.nth % MOST_IN_SHUTDOWN) : kill.nth)
      ? kill.moment
      : undefined;
  }
}

function halfOf(chunks: readonly Uint8Array[]): Uint8Array[] {
  const bytes = Buffer.concat(chunks);
  return [bytes.subarray(0, Math.floor(Math.random() * bytes.byteLength))];
}
