import {
  type Clock,
  type DeadlineOptions,
  deliveredOutcome,
  ExportError,
  type ExportOutcome,
  failedOutcome,
  SpanBatch,
  type SpoolLedgerSnapshot,
  settledBy,
  sleep,
  type Timer,
} from '@otel-resilience/core';
import type { SpanSpool, SpoolAppend, SpoolLease } from '../spool/spool.js';
import { settleTogether } from './settle-together.js';

/** How much a batch weighs in what is known of the size of spans. */
const NEWEST_SHARE = 0.2;
/** To look again for what a spool would not lease yet. */
const AGAIN_MILLIS = 1_000;

export interface GatheringSpoolOptions {
  readonly spool: SpanSpool;
  /** Leased together, by encoded size. */
  readonly maxBatchBytes: number;
  /** How long the first of them waits for the others. */
  readonly delayMillis: number;
  /** Whether batches are wanted as bytes. */
  readonly encodes: boolean;
  readonly clock: Clock;
}

/**
 * A spool whose leases are large: what waits is leased together as soon as there is enough of it, or the first of it has
 * waited for long. What nobody wants to wait for, at a flush or a shutdown, is leased as it is.
 */
export class GatheringSpool implements SpanSpool {
  private readonly spool: SpanSpool;
  private readonly options: GatheringSpoolOptions;
  private onDue: () => void = () => {};
  /** Of late: what waits is known in spans. */
  private bytesPerSpan = 0;
  private dueAt = Number.POSITIVE_INFINITY;
  private timer: Timer | undefined;
  private hurried = false;
  private closed = false;
  /** For each lease: whether none of it has come back, once it is settled. */
  private readonly leased = new Set<Promise<boolean>>();
  private leasedSpans = 0;
  /** Refused together, for good: maybe for the sake of a single span. */
  private toGoAlone = 0;
  /** Called when nothing is left to be leased. */
  private readonly flushes = new Set<() => void>();

  constructor(options: GatheringSpoolOptions) {
    this.options = options;
    this.spool = options.spool;
  }

  get size(): number {
    return this.spool.size;
  }

  get bytes(): number {
    return this.spool.bytes;
  }

  get maxBytes(): number {
    return this.spool.maxBytes;
  }

  get durable(): boolean {
    return this.spool.durable;
  }

  /** `onDue` is called when there is enough to be leased, or it has waited for long enough. */
  async open(onDue: () => void = () => {}): Promise<void> {
    this.onDue = onDue;
    await this.spool.open?.(() => this.arrived());
    if (this.size > 0) this.arrived();
  }

  async append(batch: SpanBatch): Promise<SpoolAppend> {
    this.learnSize(batch);
    const appended = await this.spool.append(batch);
    if (appended.stored > 0) this.arrived();
    return appended;
  }

  async lease(): Promise<SpoolLease | undefined> {
    if (!this.isDue) return undefined;
    let finish: (gone: boolean) => void = () => {};
    const gone = new Promise<boolean>((resolve) => {
      finish = resolve;
    });
    // Before it is known what it will be: a flush that finds nothing left has to wait for this.
    this.leased.add(gone);
    const leases = await this.gather().catch((thrown) => {
      this.leased.delete(gone);
      finish(true);
      throw thrown;
    });
    const batch = SpanBatch.join(leases.map((lease) => lease.batch));
    const settle = (outcome: ExportOutcome) => {
      if (!this.leased.delete(gone)) return;
      this.leasedSpans -= batch.spanCount;
      const isRefused = leases.length > 1 && outcome.rejected === batch.spanCount;
      if (isRefused) this.toGoAlone = leases.length;
      settleTogether(leases, isRefused ? failedOutcome(batch, 'refused', NOT_JOINED) : outcome);
      this.answerFlushes();
      const isBack = isRefused || (outcome.remaining !== undefined && outcome.failure !== 'permanent');
      if (isBack) this.arrived();
      finish(!isBack);
    };
    if (leases.length > 0) return { batch, settle };
    settle(deliveredOutcome(0));
    return undefined;
  }

  stats(): SpoolLedgerSnapshot {
    return this.spool.stats();
  }

  /** From here on nothing waits for others. */
  hurry(): void {
    this.hurried = true;
    this.onDue();
  }

  /** Resolves when all that waits now has left, with `true`, or at the deadline. */
  async emptied(deadline: number): Promise<boolean> {
    while (this.size > 0 && !this.closed) {
      let answer: () => void = () => {};
      const exhausted = new Promise<void>((resolve) => {
        answer = resolve;
      });
      this.flushes.add(answer);
      this.onDue();
      this.answerFlushes();
      const emptied = exhausted.then(async () => (await Promise.all(this.leased)).every(Boolean));
      const inTime = await settledBy(this.options.clock, deadline, emptied);
      this.flushes.delete(answer);
      if (!inTime) return false;
      if (await emptied) return true;
    }
    return this.size === 0;
  }

  async shutdown(options?: DeadlineOptions): Promise<void> {
    this.closed = true;
    this.setTimer();
    this.answerFlushes();
    await this.spool.shutdown(options);
  }

  private async gather(): Promise<SpoolLease[]> {
    const { maxBatchBytes, encodes, clock, delayMillis } = this.options;
    const leases: SpoolLease[] = [];
    for (let bytes = 0; bytes < maxBatchBytes; ) {
      const lease = await this.spool.lease().catch((thrown) => {
        // What has been taken is sent; whoever leases next hears of it.
        if (leases.length === 0) throw thrown;
        return undefined;
      });
      if (!lease) {
        this.noneLeft();
        return leases;
      }
      // A thousand spans, a few milliseconds: the loop has its turn in between.
      if (encodes && isEncodedNow(lease.batch)) await sleep(clock, 0);
      // To join them, all would have to be decoded, for the sake of what cannot be encoded: that goes alone.
      if (leases.length > 0 && leases[0]!.batch.isEncoded !== lease.batch.isEncoded) {
        lease.settle(failedOutcome(lease.batch, 'refused', NOT_JOINED));
        this.dueAt = Number.NEGATIVE_INFINITY;
        return leases;
      }
      leases.push(lease);
      bytes += lease.batch.byteLength;
      this.leasedSpans += lease.batch.spanCount;
      this.learnSize(lease.batch);
      if (this.toGoAlone > 0) {
        this.toGoAlone--;
        this.dueAt = Number.NEGATIVE_INFINITY;
        return leases;
      }
    }
    this.dueAt = clock.now() + delayMillis;
    this.setTimer();
    return leases;
  }

  private learnSize({ byteLength, spanCount }: SpanBatch): void {
    if (spanCount === 0) return;
    const share = this.bytesPerSpan === 0 ? 1 : NEWEST_SHARE;
    this.bytesPerSpan += (byteLength / spanCount - this.bytesPerSpan) * share;
  }

  private get isDue(): boolean {
    const { maxBatchBytes, clock } = this.options;
    const waitingBytes = (this.size - this.leasedSpans) * this.bytesPerSpan;
    return this.hurried || this.flushes.size > 0 || waitingBytes >= maxBatchBytes || clock.now() >= this.dueAt;
  }

  /** A spool on disk leases so much at a time, and no more until some of it is settled. */
  private noneLeft(): void {
    const hasMore = this.size > this.leasedSpans;
    this.dueAt = hasMore ? this.options.clock.now() + AGAIN_MILLIS : Number.POSITIVE_INFINITY;
    this.setTimer();
    this.answerFlushes();
  }

  /** When nothing is left to be leased, or nothing will be. */
  private answerFlushes(): void {
    if (this.size > this.leasedSpans && !this.closed) return;
    for (const answer of this.flushes) answer();
    this.flushes.clear();
  }

  private arrived(): void {
    const { clock, delayMillis } = this.options;
    if (this.dueAt === Number.POSITIVE_INFINITY) {
      this.dueAt = clock.now() + delayMillis;
      this.setTimer();
    }
    if (this.isDue) this.onDue();
  }

  /** By the timer, and not by the clock: one may be a little ahead of the other. */
  private ripen(): void {
    this.dueAt = Number.NEGATIVE_INFINITY;
    this.onDue();
  }

  private setTimer(): void {
    const { clock } = this.options;
    clock.clearTimeout(this.timer);
    this.timer =
      this.closed || this.dueAt === Number.POSITIVE_INFINITY
        ? undefined
        : clock.setTimeout(() => this.ripen(), this.dueAt - clock.now());
  }
}

const NOT_JOINED = new ExportError('REFUSED', 'not joined');

/** Whether there was something to do. What cannot be encoded is for the exporter to judge. */
function isEncodedNow(batch: SpanBatch): boolean {
  if (batch.isEncoded) return false;
  try {
    batch.otlp();
  } catch {
    return true;
  }
  return true;
}
