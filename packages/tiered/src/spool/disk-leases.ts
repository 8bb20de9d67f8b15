import { accountedFor, type ExportOutcome, type SpanBatch } from '@otel-resilience/core';
import { quietly } from './file-errors.js';
import type { FrameReader, TakenFrames } from './frame-reader.js';
import type { Quarantine } from './quarantine.js';
import type { SegmentStore } from './segment-store.js';

export interface DiskLeasesOptions {
  readonly store: SegmentStore;
  readonly reader: FrameReader;
  readonly quarantine: Quarantine;
  /** As durably as it can be. */
  readonly append: (batch: SpanBatch) => Promise<void>;
  /** Makes what is written visible: whether there was something. */
  readonly reveal: () => Promise<boolean>;
  /** What remains of a lease has been written: it can be leased from now on. */
  readonly onReturned: () => void;
}

/** More is never leased at a time: it is in memory then. */
const MAX_LEASED_BYTES = 32 * 1024 * 1024;

/** What is taken out of segments to be sent, and what becomes of it. The ledger is somebody else's. */
export class DiskLeases {
  private readonly options: DiskLeasesOptions;
  private leasedBytes = 0;
  private leasedSpans = 0;
  /** Remains of leases that could not be appended: sent from memory, and whole again after a restart. */
  private readonly remainders: TakenFrames[] = [];
  /** What is being written before its frames may go. */
  private readonly pending = new Set<Promise<unknown>>();
  /** One batch after the other. */
  private quarantining: Promise<unknown> = Promise.resolve();

  constructor(options: DiskLeasesOptions) {
    this.options = options;
  }

  get spans(): number {
    return this.leasedSpans;
  }

  async take(): Promise<TakenFrames | undefined> {
    if (this.leasedBytes > MAX_LEASED_BYTES) return undefined;
    const taken = this.takeRemainder() ?? (await this.takeFrames());
    if (!taken) return undefined;
    this.leasedBytes += taken.bytes;
    this.leasedSpans += taken.batch.spanCount;
    return taken;
  }

  /** Returns how many spans are left to be sent. */
  settle(taken: TakenFrames, outcome: ExportOutcome): number {
    const { spanCount } = taken.batch;
    const left = spansLeft(outcome, spanCount);
    this.leasedBytes -= taken.bytes;
    this.leasedSpans -= spanCount;
    taken.segment.spans -= spanCount - left;
    if (left === spanCount) this.putBack(taken);
    else if (left > 0) this.track(this.replace(taken, outcome.remaining!));
    else if (outcome.dropped.poison) this.track(this.isolate(taken));
    else this.release(taken);
    return left;
  }

  /** Resolves when nothing is being written for what was settled. */
  async idle(): Promise<void> {
    while (this.pending.size > 0) await Promise.all(this.pending);
  }

  private async takeFrames(): Promise<TakenFrames | undefined> {
    const { reader, store, reveal } = this.options;
    const taken = await reader.take(store.segments);
    if (taken) return taken;
    return (await reveal()) ? reader.take(store.segments) : undefined;
  }

  private release({ segment, frames }: TakenFrames): void {
    segment.leasedFrames -= frames.length;
    this.options.store.settle(segment, frames);
  }

  /** It is there before it is nowhere else; a quarantine that cannot be written to keeps no poison waiting. */
  private async isolate(taken: TakenFrames): Promise<void> {
    this.quarantining = this.quarantining.then(() => quietly(this.options.quarantine.add(taken.batch)));
    await this.quarantining;
    this.release(taken);
  }

  /** The rest first, or a crash in between would lose it. */
  private async replace(taken: TakenFrames, batch: SpanBatch): Promise<void> {
    const rest: TakenFrames = { ...taken, batch, bytes: batch.byteLength, isRemainder: true };
    try {
      await this.options.append(batch);
    } catch {
      this.putBack(rest);
      this.options.onReturned();
      return;
    }
    taken.segment.spans -= batch.spanCount;
    this.release(rest);
    this.options.onReturned();
  }

  private putBack(taken: TakenFrames): void {
    if (!taken.isRemainder) {
      this.options.reader.putBack(taken);
      return;
    }
    this.remainders.push(taken);
    this.leasedBytes += taken.bytes;
  }

  /** Their frames stay leased meanwhile, as far as their segment knows. */
  private takeRemainder(): TakenFrames | undefined {
    const taken = this.remainders.shift();
    if (taken) this.leasedBytes -= taken.bytes;
    return taken;
  }

  private track(work: Promise<unknown>): void {
    const done = quietly(work).finally(() => this.pending.delete(done));
    this.pending.add(done);
  }
}

/** An outcome that does not add up says nothing: the whole batch waits on. */
function spansLeft(outcome: ExportOutcome, spanCount: number): number {
  if (accountedFor(outcome) !== spanCount) return spanCount;
  return outcome.failure === 'permanent' ? 0 : (outcome.remaining?.spanCount ?? 0);
}
