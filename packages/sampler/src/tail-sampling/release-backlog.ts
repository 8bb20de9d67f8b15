import { type Clock, type DeadlineOptions, type ReadableSpan, settledBy } from '@otel-resilience/core';
import type { NextProcessor } from './next-processor.js';

// Fits into the queue of any processor, the stock one's 2,048 too, beside what ends meanwhile.
const SPANS_AT_A_TIME = 1_000;

/**
 * The spans that a flush or a shutdown lets go, all at one moment: more than the queue of the next processor may hold.
 * They follow a few at a time, each time when those before have been exported.
 */
export class ReleaseBacklog {
  private readonly next: NextProcessor;
  private readonly clock: Clock;
  private spans: ReadableSpan[] = [];
  private released = 0;

  constructor(next: NextProcessor, clock: Clock) {
    this.next = next;
    this.clock = clock;
  }

  add(span: ReadableSpan): void {
    this.spans.push(span);
  }

  /** Releases everything, at the latest at `until`; rejects, after that, when `next` could not flush in between. */
  async drain(until: number, options?: DeadlineOptions): Promise<void> {
    try {
      for (this.release(SPANS_AT_A_TIME); this.spans.length > 0; this.release(SPANS_AT_A_TIME)) {
        const flush = this.next.forceFlush(until, options);
        if (!(await settledBy(this.clock, until, flush))) break;
        await flush;
      }
    } finally {
      this.release(this.spans.length);
    }
  }

  private release(count: number): void {
    for (let left = count; left > 0 && this.released < this.spans.length; left--) {
      this.next.release(this.spans[this.released++]!);
    }
    if (this.released < this.spans.length) return;
    this.spans = [];
    this.released = 0;
  }
}
