import {
  type Clock,
  type DeadlineOptions,
  SpanBatch,
  type SpoolLedgerSnapshot,
  sleep,
  type Timer,
} from '@otel-resilience/core';
import type { SpanSpool, SpoolAppend, SpoolLease } from '../spool/spool.js';
import { settleTogether } from './settle-together.js';

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
  /** Not leased: what is known of it. A spool on disk may hold more than that. */
  private waitingBytes = 0;
  private dueAt = Number.POSITIVE_INFINITY;
  private timer: Timer | undefined;
  private hurried = false;
  /** For each lease: whether none of it has come back, once it is settled. */
  private readonly leased = new Set<Promise<boolean>>();
  private leasedSpans = 0;
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
    await this.spool.open?.(() => this.arrived(0));
    if (this.size > 0) this.arrived(0);
  }

  async append(batch: SpanBatch): Promise<SpoolAppend> {
    const { byteLength } = batch;
    const appended = await this.spool.append(batch);
    if (appended.stored > 0) this.arrived(byteLength);
    return appended;
  }

  async lease(): Promise<SpoolLease | undefined> {
    if (!this.isDue) return undefined;
    const leases = await this.gather();
    if (leases.length === 0) return undefined;
    const batch = SpanBatch.join(leases.map((lease) => lease.batch));
    let finish: (gone: boolean) => void = () => {};
    const gone = new Promise<boolean>((resolve) => {
      finish = resolve;
    });
    this.leased.add(gone);
    this.leasedSpans += batch.spanCount;
    return {
      batch,
      settle: (outcome) => {
        if (!this.leased.delete(gone)) return;
        this.leasedSpans -= batch.spanCount;
        settleTogether(leases, outcome);
        const back = outcome.failure === 'permanent' ? undefined : outcome.remaining;
        if (back) this.arrived(back.byteLength);
        finish(!back);
      },
    };
  }

  stats(): SpoolLedgerSnapshot {
    return this.spool.stats();
  }

  /** From here on nothing waits for others. */
  hurry(): void {
    this.hurried = true;
    this.onDue();
  }

  /** Resolves when all that waits now has left. */
  async emptied(): Promise<void> {
    for (;;) {
      if (this.size === 0) return;
      await this.exhausted();
      if ((await Promise.all(this.leased)).every(Boolean)) return;
    }
  }

  async shutdown(options?: DeadlineOptions): Promise<void> {
    this.options.clock.clearTimeout(this.timer);
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
        this.noneLeft(leases.reduce((sum, { batch }) => sum + batch.spanCount, 0));
        return leases;
      }
      leases.push(lease);
      bytes += lease.batch.byteLength;
      this.waitingBytes -= lease.batch.byteLength;
      // A thousand spans, a few milliseconds: the loop has its turn in between.
      if (encodes && isEncodedNow(lease.batch)) await sleep(clock, 0);
    }
    this.dueAt = clock.now() + delayMillis;
    this.setTimer();
    return leases;
  }

  private get isDue(): boolean {
    const { maxBatchBytes, clock } = this.options;
    return this.hurried || this.flushes.size > 0 || this.waitingBytes >= maxBatchBytes || clock.now() >= this.dueAt;
  }

  /** A spool on disk leases so much at a time, and no more until some of it is settled. */
  private noneLeft(leasing: number): void {
    this.waitingBytes = 0;
    const hasMore = this.size > this.leasedSpans + leasing;
    this.dueAt = hasMore ? this.options.clock.now() + AGAIN_MILLIS : Number.POSITIVE_INFINITY;
    this.setTimer();
    if (hasMore) return;
    for (const resolve of this.flushes) resolve();
    this.flushes.clear();
  }

  private exhausted(): Promise<void> {
    return new Promise((resolve) => {
      this.flushes.add(resolve);
      this.onDue();
    });
  }

  private arrived(bytes: number): void {
    const { clock, delayMillis } = this.options;
    this.waitingBytes += bytes;
    if (this.dueAt === Number.POSITIVE_INFINITY) {
      this.dueAt = clock.now() + delayMillis;
      this.setTimer();
    }
    if (this.isDue) this.onDue();
  }

  private setTimer(): void {
    const { clock } = this.options;
    clock.clearTimeout(this.timer);
    this.timer =
      this.dueAt === Number.POSITIVE_INFINITY
        ? undefined
        : clock.setTimeout(() => this.onDue(), this.dueAt - clock.now());
  }
}

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
