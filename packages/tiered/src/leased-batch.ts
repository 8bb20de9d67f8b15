import {
  deliveredOutcome,
  type ExportOutcome,
  failedOutcome,
  followedBy,
  rejectedOutcome,
  SpanBatch,
  type Unsettled,
} from '@otel-resilience/core';
import type { SpoolLease } from './spool/spool.js';

/** A batch out of the spool that may be sent in parts: its lease is settled once, when every part of it is. */
export class LeasedBatch {
  readonly batch: SpanBatch;
  /** As they were when it was leased: sending may encode the batch. */
  readonly bytes: number;
  private readonly lease: SpoolLease;
  private openParts = 1;
  private cutCount = 0;
  private settled: ExportOutcome = deliveredOutcome(0);
  private readonly remaining: SpanBatch[] = [];
  private unsettled: Unsettled | undefined;

  constructor(lease: SpoolLease) {
    this.lease = lease;
    this.batch = lease.batch;
    this.bytes = lease.batch.byteLength;
  }

  get cuts(): number {
    return this.cutCount;
  }

  /** Two parts, to be settled apart, for one. */
  cut(part: SpanBatch): [SpanBatch, SpanBatch] {
    this.cutCount++;
    this.openParts++;
    const middle = part.spanCount >> 1;
    return [part.slice(0, middle), part.slice(middle)];
  }

  /** Returns whether that was the last part. */
  settlePart(outcome: ExportOutcome): boolean {
    const { delivered, rejected, stored, dropped, remaining } = outcome;
    this.settled = followedBy(this.settled, { delivered, rejected, stored, dropped });
    if (remaining && outcome.failure === 'permanent') {
      this.settled = followedBy(this.settled, rejectedOutcome(remaining.spanCount));
    } else if (remaining) {
      this.remaining.push(remaining);
      this.unsettled = outcome;
    }
    return --this.openParts === 0;
  }

  /** To be called once, after the last part. Throws what the spool throws. */
  settle(): void {
    const { settled, unsettled, remaining } = this;
    const rest = unsettled && failedOutcome(SpanBatch.join(remaining), unsettled.failure, unsettled.error);
    this.lease.settle(rest ? followedBy(settled, rest) : settled);
  }
}
