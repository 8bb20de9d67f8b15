import type { Clock, FileSystem, SpoolLedger, Timer } from '@otel-resilience/core';
import { appendAcks } from './ack-file.js';
import { quietly } from './file-errors.js';
import { ackPath, type Segment, segmentPath, waitingFrames } from './segment.js';

export interface SegmentStoreOptions {
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  readonly ledger: SpoolLedger;
  readonly maxAgeMillis: number;
  /** Whether the directory is ever synced. */
  readonly sync: boolean;
  /** Finishes the segment that is being written, when it has nothing left in it for a while. */
  readonly finish: (segment: Segment) => Promise<void>;
}

/** A segment that is being written and has been emptied is kept so long, for what may come. */
const LINGER_MILLIS = 1_000;

/** The segments of a directory, the oldest first, and what becomes of them. */
export class SegmentStore {
  readonly segments: Segment[] = [];
  private readonly options: SegmentStoreOptions;
  /** Settled, and not noted beside their segment yet. */
  private readonly unnoted = new Map<Segment, number[]>();
  private flushing: Promise<void> | undefined;
  private timer: Timer | undefined;
  private failures = 0;
  private stopped = false;
  /** The directory, if something has been removed and it was not synced since. */
  private removedFrom: string | undefined;

  constructor(options: SegmentStoreOptions) {
    this.options = options;
  }

  get bytes(): number {
    let bytes = 0;
    for (const segment of this.segments) bytes += segment.bytes;
    return bytes;
  }

  /** Notes that could not be written: so many frames may be sent twice after a crash. */
  get unnotedFrames(): number {
    return this.failures;
  }

  add(...segments: readonly Segment[]): void {
    this.segments.push(...segments);
  }

  forget(segment: Segment): void {
    const index = this.segments.indexOf(segment);
    if (index >= 0) this.segments.splice(index, 1);
  }

  /** It is none of ours. */
  disown(segment: Segment): void {
    segment.gone = true;
    this.forget(segment);
  }

  /** Frames that were leased, or found to be corrupt: they are not needed any more. Their spans are counted already. */
  settle(segment: Segment, frames: ReadonlyArray<{ readonly id: number }>): void {
    segment.settledFrames += frames.length;
    const ids = this.unnoted.get(segment) ?? [];
    for (const { id } of frames) ids.push(id);
    this.unnoted.set(segment, ids);
    this.flushing ??= this.flush().finally(() => {
      this.flushing = undefined;
    });
  }

  /** Every note is written, what is empty is gone, and what was removed stays so. */
  async close(): Promise<void> {
    while (this.flushing) await this.flushing;
    this.stop();
    for (const segment of this.segments.filter(isEmpty)) if (!segment.active) await this.remove(segment);
    if (this.removedFrom && this.options.sync) await quietly(this.options.fileSystem.syncDirectory(this.removedFrom));
    this.removedFrom = undefined;
  }

  /** No more timers. */
  stop(): void {
    this.stopped = true;
    this.options.clock.clearTimeout(this.timer);
    this.timer = undefined;
  }

  /** Nothing is in memory alone any more. */
  async removeSpares(): Promise<void> {
    for (const segment of this.segments.filter(({ isNeeded }) => isNeeded)) {
      segment.isNeeded = false;
      if (isEmpty(segment)) await this.remove(segment);
    }
  }

  /** They are no longer ours. Returns how many spans waited in them. */
  abandon(): number {
    this.stop();
    let spans = 0;
    for (const segment of this.segments.splice(0)) {
      segment.gone = true;
      spans += segment.spans;
    }
    this.unnoted.clear();
    return spans;
  }

  /** Removes the oldest whole segment that nobody has leased of; `false` when there is none. */
  async evict(): Promise<boolean> {
    for (const segment of this.segments) {
      if (segment.active || segment.gone || segment.leasedFrames > 0) continue;
      if (await this.drop(segment, 'full')) return true;
    }
    return false;
  }

  /** Removes the segments that are too old. */
  async expire(): Promise<void> {
    const { clock, maxAgeMillis, finish } = this.options;
    const tooOld = ({ newestAt, leasedFrames, gone }: Segment) =>
      !gone && leasedFrames === 0 && clock.now() - newestAt > maxAgeMillis;
    for (const segment of this.segments.filter(tooOld)) {
      if (segment.active) await finish(segment);
      if (!segment.active && tooOld(segment)) await this.drop(segment, 'expired');
    }
  }

  private async drop(segment: Segment, reason: 'full' | 'expired'): Promise<boolean> {
    const { ledger } = this.options;
    if (!(await this.remove(segment))) return false;
    ledger.drop(segment.spans, reason);
    return true;
  }

  private async flush(): Promise<void> {
    // What else is settled in this turn goes with it.
    await Promise.resolve();
    while (this.unnoted.size > 0) {
      const batches = [...this.unnoted];
      this.unnoted.clear();
      for (const [segment, ids] of batches) await this.note(segment, ids);
    }
  }

  private async note(segment: Segment, ids: readonly number[]): Promise<void> {
    if (segment.gone) return;
    if (isEmpty(segment) && !segment.active && (await this.remove(segment))) return;
    segment.hasAcks = true;
    if (!(await quietly(appendAcks(this.options.fileSystem, segment, ids)))) this.failures += ids.length;
    if (isEmpty(segment)) this.lookLater();
  }

  private lookLater(): void {
    const { clock, finish } = this.options;
    if (this.stopped) return;
    this.timer ??= clock.setTimeout(async () => {
      this.timer = undefined;
      for (const segment of this.segments.filter(isEmpty)) {
        if (segment.active) await finish(segment);
        if (!segment.active && isEmpty(segment)) await this.remove(segment);
      }
    }, LINGER_MILLIS);
  }

  /**
   * The segment before its notes, and for good before they go: without them all of its frames would come back. Works on a
   * full disk too.
   */
  private async remove(segment: Segment): Promise<boolean> {
    const { fileSystem } = this.options;
    segment.gone = true;
    const isRemoved = await fileSystem.remove(segmentPath(segment)).then(
      () => true,
      (error) => (error as { code?: unknown }).code === 'ENOENT',
    );
    if (!isRemoved) {
      segment.gone = false;
      return false;
    }
    this.forget(segment);
    this.removedFrom = segment.directory;
    if (segment.hasAcks && (await quietly(fileSystem.syncDirectory(segment.directory)))) {
      await quietly(fileSystem.remove(ackPath(segment)));
    }
    return true;
  }
}

const isEmpty = (segment: Segment): boolean =>
  !segment.isNeeded &&
  segment.leasedFrames === 0 &&
  waitingFrames(segment) === 0 &&
  segment.unscannedFrames === 0 &&
  !segment.gone;
