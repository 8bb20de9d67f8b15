import { combinedOutcome, type ExportOutcome, type SpanBatch } from '@otel-resilience/core';
import type { SpoolLease } from './spool/spool.js';

/** A batch out of the spool that may be sent in parts: its lease is settled once, when every part of it is. */
export class LeasedBatch {
  readonly batch: SpanBatch;
  /** As they were when it was leased: sending may encode the batch. */
  readonly bytes: number;
  private readonly lease: SpoolLease;
  private openParts = 1;
  private cutCount = 0;
  private diverted = 0;
  private readonly outcomes: ExportOutcome[] = [];

  constructor(lease: SpoolLease) {
    this.lease = lease;
    this.batch = lease.batch;
    this.bytes = lease.batch.byteLength;
  }

  get cuts(): number {
    return this.cutCount;
  }

  /** Spans that went elsewhere before the others were sent. */
  get divertedSpans(): number {
    return this.diverted;
  }

  /** Two parts, to be settled apart, for one. */
  cut(part: SpanBatch): [SpanBatch, SpanBatch] {
    this.cutCount++;
    this.openParts++;
    const middle = part.spanCount >> 1;
    return [part.slice(0, middle), part.slice(middle)];
  }

  /** What became of spans that are no part of what is going to be sent. */
  settleAhead(outcome: ExportOutcome): void {
    this.diverted += outcome.stored;
    this.outcomes.push(outcome);
  }

  /** Returns whether that was the last part. */
  settlePart(outcome: ExportOutcome): boolean {
    const { delivered, rejected, stored, dropped, remaining, failure } = outcome;
    const isRefused = remaining && failure === 'permanent';
    this.outcomes.push(isRefused ? { delivered, rejected: rejected + remaining.spanCount, stored, dropped } : outcome);
    return --this.openParts === 0;
  }

  /** To be called once, after the last part. Throws what the spool throws. */
  settle(): void {
    this.lease.settle(combinedOutcome(this.outcomes));
  }
}

/** What is held against a batch that failed while others were taken. */
export interface Suspicion {
  readonly strikes: number;
  readonly failedAt: number;
  readonly retryAt: number;
}

/** A batch taken out of the backlog to be sent; `Backlog.settle` must follow. */
export interface Taken {
  readonly batch: SpanBatch;
  /** All of what was leased, of which `batch` may be a part. */
  readonly leased: LeasedBatch;
  readonly suspicion?: Suspicion;
}
