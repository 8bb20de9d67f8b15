import {
  accountedFor,
  type Clock,
  ConfigurationError,
  DEFAULT_SHUTDOWN_TIMEOUT_MILLIS,
  type DeadlineOptions,
  describeError,
  type FileSystem,
  LimitedLog,
  type SpanBatch,
  SpoolLedger,
  type SpoolLedgerSnapshot,
  settledBy,
  suppressTracing,
  systemClock,
  toError,
} from '@otel-resilience/core';
import { countOutcome } from './count-outcome.js';
import { FallbackMemory, readablePart, unreadableIn } from './fallback-memory.js';
import { quietly } from './file-errors.js';
import { nodeFileSystem } from './node-file-system.js';
import { type OpenedDirectory, openDirectory } from './opened-directory.js';
import { NO_ROOM } from './pending-frame.js';
import { RetryTimer } from './retry-timer.js';
import type { SpanSpool, SpoolAppend, SpoolLease } from './spool.js';
import { REMOVED } from './spool-directory.js';
import { readSpoolOptions, type SpoolOptions, type SpoolSettings } from './spool-options.js';
import { type SpoolStatus, statusOf } from './spool-status.js';

/**
 * A spool on disk: what waits in it survives the process and, as `fsync` says, the machine. Batches are sent at least
 * once: a crash may send again what had been sent shortly before. FORMAT.md beside this file says what is written.
 *
 *     new TieredSpanExporter({ hot, spool: new Spool({ directory: '/var/lib/my-service/spans' }) })
 *
 * Nothing is touched before `open()`, or the first `append` or `lease`. A directory that cannot be used keeps nothing
 * from working: batches wait in memory then, within 64 MiB and `maxBytes`.
 *
 * @throws ConfigurationError naming the option, what was expected and what came.
 */
export class Spool implements SpanSpool {
  readonly maxBytes: number;
  /** As it was given. */
  readonly directory: string;
  private readonly settings: SpoolSettings;
  private readonly clock: Clock;
  private readonly fileSystem: FileSystem;
  private readonly log: LimitedLog;
  private readonly ledger = new SpoolLedger();
  private readonly memory: FallbackMemory;
  private onArrival: (() => void) | undefined;
  private opened: OpenedDirectory | undefined;
  private opening: Promise<void> | undefined;
  private trouble: Error | undefined;
  private readonly retries: RetryTimer;
  private retrying: Promise<void> | undefined;
  private leasing: Promise<unknown> = Promise.resolve();
  private closing: Promise<void> | undefined;

  constructor(options: SpoolOptions) {
    this.settings = readSpoolOptions(options);
    this.maxBytes = this.settings.maxBytes;
    this.directory = this.settings.directory;
    this.clock = this.settings.clock ?? systemClock;
    this.fileSystem = this.settings.fileSystem ?? nodeFileSystem;
    this.log = new LimitedLog('Spool', { clock: this.clock });
    this.memory = new FallbackMemory(this.maxBytes, this.ledger);
    this.retries = new RetryTimer(this.clock, () => {
      this.retrying = this.retry();
    });
  }

  /** Spans waiting, leased ones included; 0 before it is open. */
  get size(): number {
    return this.stats().waiting;
  }

  /** On disk and, in trouble, in memory. */
  get bytes(): number {
    return (this.opened?.disk.bytes ?? 0) + this.memory.bytes;
  }

  /** Whether all that was acknowledged survives the process: not while some of it waits in memory. */
  get durable(): boolean {
    return this.trouble === undefined && this.memory.size === 0;
  }

  /**
   * Recovers what an earlier process has left. Called by the first `append` or `lease`; to be called at the start, so
   * that what waits is sent before there is something new. Resolves too when batches have to wait in memory. `onArrival`
   * is called when something can be leased later on that nobody has appended: it comes from another process that has died,
   * or it is what remains of a lease, written anew, or the disk is back.
   *
   * @throws ConfigurationError when the directory cannot be used and `required` is set.
   */
  open(onArrival?: () => void): Promise<void> {
    this.onArrival ??= onArrival;
    if (this.closing) return Promise.resolve();
    this.opening ??= suppressTracing(() => this.openOrBear());
    return this.opening;
  }

  async append(batch: SpanBatch): Promise<SpoolAppend> {
    if (!this.opened) await this.open();
    const { spanCount } = batch;
    if (this.closing) return { stored: 0, dropped: spanCount };
    if (spanCount === 0) return { stored: 0, dropped: 0 };
    if (this.trouble || !this.opened) return this.appendToMemory(batch);
    // What throws here is the batch's fault, not the disk's.
    const unreadable = unreadableIn(batch);
    if (unreadable) return this.appendReadable(batch, unreadable);
    try {
      await this.opened.disk.append(batch, () => this.ledger.accept(spanCount));
    } catch (thrown) {
      if (thrown === NO_ROOM) return { stored: 0, dropped: spanCount };
      if (!this.closing) this.fail(toError(thrown));
      return this.appendToMemory(batch);
    }
    this.retries.reset();
    return { stored: spanCount, dropped: 0 };
  }

  async lease(): Promise<SpoolLease | undefined> {
    if (!this.opened) await this.open();
    // One at a time: they read the same segment.
    const lease = this.leasing.then(() => suppressTracing(() => this.leaseNext()));
    this.leasing = lease.catch(() => {});
    return lease;
  }

  stats(): SpoolLedgerSnapshot {
    return this.memory.stats();
  }

  status(): SpoolStatus {
    const { opened, trouble, opening, closing, settings } = this;
    const mode = closing ? 'closed' : trouble ? 'memory' : opened ? 'disk' : opening ? 'opening' : 'closed';
    return {
      mode,
      ...(trouble && { error: describeError(trouble) }),
      spansInMemory: this.memory.size,
      ...statusOf(opened, settings.directory),
    };
  }

  /**
   * Takes no more. What is being appended is written, what waits in memory goes to disk if it can, otherwise it is
   * `dropped.shutdown`; what waits on disk is kept. Resolves by `deadline` (by the clock; default: in 10 s).
   */
  shutdown({ deadline = this.clock.now() + DEFAULT_SHUTDOWN_TIMEOUT_MILLIS }: DeadlineOptions = {}): Promise<void> {
    this.closing ??= suppressTracing(() => this.close(deadline));
    return this.closing;
  }

  private async openOrBear(): Promise<void> {
    try {
      await this.openDirectory();
    } catch (thrown) {
      const error = toError(thrown);
      if (this.settings.required) {
        const expected = 'a directory that can be written to (required is set)';
        throw new ConfigurationError(
          'Spool.directory',
          expected,
          `${this.settings.directory}: ${describeError(error)}`,
        );
      }
      this.fail(error);
    }
  }

  private async openDirectory(): Promise<void> {
    const { fileSystem, clock, settings, ledger } = this;
    const opened = await openDirectory({
      fileSystem,
      clock,
      settings,
      ledger,
      otherBytes: () => this.memory.bytes,
      onUnsaved: (batches, error) => this.keepUnsaved(batches, error),
      onArrival: () => this.onArrival?.(),
      onLost: (lost, isRemoved) => this.lose(lost, isRemoved),
      onTrouble: (error) => this.log.warn('directory', () => `${settings.directory}: ${describeError(toError(error))}`),
    });
    if (this.closing) await opened.owned.release();
    else this.opened = opened;
  }

  private lose(lost: OpenedDirectory, isRemoved: boolean): void {
    if (this.opened !== lost) return;
    this.opened = undefined;
    lost.disk.lose(isRemoved);
    void lost.owned.release();
    this.fail(new Error(isRemoved ? REMOVED : 'another process has taken the directory over'));
  }

  private async leaseNext(): Promise<SpoolLease | undefined> {
    if (this.closing) return undefined;
    let failed: unknown;
    const disk = this.opened?.disk;
    const taken = await disk?.take().catch((thrown) => {
      failed = thrown;
      return undefined;
    });
    if (!disk || !taken) {
      const lease = await this.memory.lease();
      if (!lease && failed !== undefined) throw failed;
      return lease;
    }
    const { spanCount } = taken.batch;
    let open = true;
    return {
      batch: taken.batch,
      settle: (outcome) => {
        if (!open) return;
        open = false;
        if (accountedFor(outcome) === spanCount) countOutcome(this.ledger, outcome);
        suppressTracing(() => disk.settle(taken, outcome));
      },
    };
  }

  /** Both together keep to the bound: the oldest segments make way, which a full disk allows too. */
  private async appendToMemory(batch: SpanBatch): Promise<SpoolAppend> {
    const { byteLength, spanCount } = batch;
    const disk = this.opened?.disk;
    while (disk && !disk.isWithin(byteLength)) {
      if (!(await disk.evict())) return { stored: 0, dropped: spanCount };
    }
    return this.memory.append(batch);
  }

  private async appendReadable(batch: SpanBatch, unreadable: ReadonlySet<number>): Promise<SpoolAppend> {
    const readable = readablePart(batch, unreadable);
    const { stored } = readable ? await this.append(readable) : { stored: 0 };
    return { stored, dropped: batch.spanCount - stored };
  }

  /** Batches wait in memory from here on, until the disk can be written to. */
  private fail(error: Error): void {
    if (!this.trouble) {
      const { directory } = this.settings;
      this.log.warn(
        'trouble',
        () => `${directory} cannot be written to, spans wait in memory: ${describeError(error)}`,
      );
    }
    this.trouble = error;
    if (!this.closing) this.retries.start();
  }

  private async retry(): Promise<void> {
    try {
      if (!this.opened) await this.openDirectory();
      if (this.opened) await this.memory.moveTo(this.opened.disk);
    } catch (thrown) {
      this.fail(toError(thrown));
      return;
    }
    this.trouble = undefined;
    if (this.memory.size === 0) await this.opened?.disk.removeSpares();
    this.onArrival?.();
    this.log.warn('recovered', () => `${this.settings.directory} can be written to again`);
  }

  /** They were acknowledged, and the disk has lost them. */
  private keepUnsaved(batches: readonly SpanBatch[], error: unknown): void {
    for (const batch of batches) this.memory.keep(batch, this.closing ? 'shutdown' : 'full');
    if (!this.closing) this.fail(toError(error));
  }

  private async close(deadline: number): Promise<void> {
    const { clock } = this;
    this.retries.stop();
    const closed = this.closeDisk();
    const inTime = await settledBy(clock, deadline, closed);
    if (!inTime) {
      this.opened?.disk.stopTimers();
      void this.opened?.owned.release();
      this.log.warn('shutdown', () => `${this.settings.directory} did not answer in time`);
    }
    const { size } = this.memory;
    if (size > 0) this.log.warn('lost', () => `${size} spans could not be written before the shutdown: dropped`);
    await this.memory.shutdown();
  }

  private async closeDisk(): Promise<void> {
    await Promise.allSettled([this.opening, this.retrying, this.leasing]);
    const { opened } = this;
    if (!opened) return;
    // What cannot be moved is counted when the memory is closed.
    await quietly(this.memory.moveTo(opened.disk));
    await opened.disk.close();
    await opened.owned.release();
  }
}
