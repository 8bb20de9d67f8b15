import type { Clock, Timer } from '@otel-resilience/core';
import type { DecodedRequest } from './decode-request.js';
import type { ReceivedSpan } from './received-span.js';
import type { ReceiverAnswer } from './receiver-answer.js';
import { SpanKeySet } from './span-key-set.js';
import type { SpanOutline } from './span-outline.js';

/** One request as the receiver saw it. */
export interface LoggedRequest {
  readonly index: number;
  /** By the clock's `now()`, in milliseconds. */
  readonly at: number;
  readonly spanCount: number;
  /** Of the decoded body, in bytes. */
  readonly byteLength: number;
  readonly answer: ReceiverAnswer;
}

/** Counts, as plain data. */
export interface ReceiverSnapshot {
  readonly requests: number;
  /** Spans counted as received, duplicates included. */
  readonly receivedSpans: number;
  readonly uniqueSpans: number;
  /** Receipts of a span that had been received before. */
  readonly duplicates: number;
  /** Spans that came and were not counted as received, by the script of answers. */
  readonly refusedSpans: number;
  /** Requests that were no OTLP; they are answered 400 or INVALID_ARGUMENT, whatever the script says. */
  readonly malformedRequests: number;
}

export interface ReceiptBounds {
  readonly maxLoggedRequests: number;
  readonly maxKeptSpans: number;
}

const NOTHING = { requests: 0, receivedSpans: 0, refusedSpans: 0, malformedRequests: 0 };

/** What a receiver has received. */
export class Receipts {
  readonly unique: SpanKeySet = new SpanKeySet();
  readonly outlines: SpanOutline[] = [];
  readonly spans: ReceivedSpan[] = [];
  readonly log: LoggedRequest[] = [];
  private readonly clock: Clock;
  private readonly bounds: ReceiptBounds;
  private counts = NOTHING;
  private waiters: { count: number; resolve: () => void; timer: Timer }[] = [];

  constructor(clock: Clock, bounds: ReceiptBounds) {
    this.clock = clock;
    this.bounds = bounds;
  }

  /** Counts a request; returns its index. */
  countRequest(): number {
    const index = this.counts.requests;
    this.counts = { ...this.counts, requests: index + 1 };
    return index;
  }

  countMalformed(): void {
    this.counts = { ...this.counts, malformedRequests: this.counts.malformedRequests + 1 };
  }

  /** Counts the first `received` spans of a request as received, the others as refused. */
  add(request: LoggedRequest, { spanCount, ids, outlines, spans }: DecodedRequest, received: number): void {
    const { maxKeptSpans, maxLoggedRequests } = this.bounds;
    this.unique.add(ids, received);
    for (const outline of outlines.slice(0, Math.min(received, maxKeptSpans - this.outlines.length))) {
      this.outlines.push(outline);
    }
    for (const span of spans.slice(0, Math.min(received, maxKeptSpans - this.spans.length))) this.spans.push(span);
    this.counts = {
      ...this.counts,
      receivedSpans: this.counts.receivedSpans + received,
      refusedSpans: this.counts.refusedSpans + spanCount - received,
    };
    this.log.push(request);
    if (this.log.length > maxLoggedRequests) this.log.shift();
    this.wake();
  }

  snapshot(): ReceiverSnapshot {
    const { receivedSpans } = this.counts;
    return { ...this.counts, uniqueSpans: this.unique.size, duplicates: receivedSpans - this.unique.size };
  }

  clear(): void {
    this.unique.clear();
    this.outlines.length = 0;
    this.spans.length = 0;
    this.log.length = 0;
    this.counts = NOTHING;
  }

  waitFor(count: number, timeoutMillis: number): Promise<void> {
    if (this.unique.size >= count) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        this.waiters = this.waiters.filter((other) => other !== waiter);
        reject(new Error(`${this.unique.size} of ${count} spans received within ${timeoutMillis} ms`));
      };
      const timer = this.clock.setTimeout(giveUp, timeoutMillis, { keepAlive: true });
      const waiter = { count, resolve, timer };
      this.waiters.push(waiter);
    });
  }

  private wake(): void {
    this.waiters = this.waiters.filter(({ count, resolve, timer }) => {
      if (this.unique.size < count) return true;
      this.clock.clearTimeout(timer);
      resolve();
      return false;
    });
  }
}
