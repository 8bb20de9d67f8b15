import type { DropReason, HeldSpans, Ledger, LimitedLog, ReadableSpan } from '@otel-resilience/core';
import { admit, type DropPolicy, REFUSED } from './drop-policies.js';
import type { QueueBounds, SpanQueue } from './span-queue.js';

export interface SpanIntakeOptions {
  readonly ledger: Ledger;
  readonly queue: SpanQueue;
  readonly dropPolicy: DropPolicy;
  readonly bounds: QueueBounds;
  readonly log: LimitedLog;
  /**
   * Called after every span that came to the queue, but for those that the queue's `grant` was for, with whether one had
   * to go because it was full. By now all of them are counted, so this must not throw.
   */
  readonly onTaken: (overflowed: boolean) => void;
}

const SAMPLED = 1;

/**
 * The door to the queue. Every span that ends, and every one that was held and is let go, comes through here, and is
 * then in exactly one state of the ledger. No method throws: a span that cannot be read is counted as dropped.
 */
export class SpanIntake implements HeldSpans {
  private readonly options: SpanIntakeOptions;
  private readonly ending: Origin;
  private readonly released: Origin;
  private isOpen = true;

  constructor(options: SpanIntakeOptions) {
    this.options = options;
    this.ending = fromEnding(options.ledger);
    this.released = fromHeld(options.ledger);
  }

  /** A span has ended. */
  end(span: ReadableSpan): void {
    if (!this.endQuickly(span)) this.take(span, this.ending);
  }

  hold(): void {
    this.options.ledger.endHeld();
  }

  discard(spans: number): void {
    this.options.ledger.releaseUnsampled(spans);
  }

  release(span: ReadableSpan): void {
    this.take(span, this.released);
  }

  /** From here on every sampled span is dropped, for the shutdown. */
  close(): void {
    this.isOpen = false;
    this.options.queue.revoke();
  }

  /**
   * Of most spans there is nothing to do but to add them; all that `take` looks at besides costs more than that, in an
   * application that has thrown it out of the processor's caches since the last one. `false`, and nothing has happened,
   * if there is.
   */
  private endQuickly(span: ReadableSpan): boolean {
    const { queue, ledger } = this.options;
    const { turns } = queue;
    if (turns.isTaken) return false;
    turns.isTaken = true;
    try {
      if ((span.spanContext().traceFlags & SAMPLED) === 0 || !queue.addQuickly(span)) return false;
    } catch {
      return false; // `take` will find out why
    } finally {
      turns.isTaken = false;
    }
    ledger.endQueued();
    turns.ended();
    return true;
  }

  private take(span: ReadableSpan, origin: Origin): void {
    const { turns } = this.options.queue;
    if (turns.isTaken) {
      this.defer(span, origin);
      return;
    }
    let overflowed: boolean | undefined;
    turns.isTaken = true;
    try {
      overflowed = this.read(span, origin);
    } finally {
      turns.isTaken = false;
    }
    turns.ended();
    if (overflowed !== undefined) this.options.onTaken(overflowed);
  }

  // The closures of rare cases are in methods of their own: where a function makes one of its variables, it allocates
  // memory for them whenever it is called.

  private defer(span: ReadableSpan, origin: Origin): void {
    if (!this.options.queue.turns.defer(() => this.take(span, origin))) origin.dropped('queue_full');
  }

  /** Returns whether a span had to go, this one or others; `undefined` if this one did not come to the queue. */
  private read(span: ReadableSpan, origin: Origin): boolean | undefined {
    try {
      if ((span.spanContext().traceFlags & SAMPLED) === 0) {
        origin.unsampled();
        return undefined;
      }
      if (!this.isOpen) {
        origin.dropped('shutdown');
        return undefined;
      }
      return this.enqueue(span, origin);
    } catch (error) {
      origin.dropped('unreadable');
      this.options.log.warn('unreadable', () => `a span could not be read: ${error}`);
      return undefined;
    }
  }

  /** Returns whether a span had to go, this one or others. */
  private enqueue(span: ReadableSpan, origin: Origin): boolean {
    const { queue, dropPolicy, bounds } = this.options;
    const evicted = admit(queue, dropPolicy, bounds, span);
    if (evicted === REFUSED) origin.dropped('queue_full');
    else origin.queued();
    if (evicted === 0) return false;
    this.overflowed(evicted);
    return true;
  }

  private overflowed(evicted: number): void {
    const { queue, ledger, log } = this.options;
    if (evicted > 0) ledger.dropQueued(evicted, 'queue_full');
    log.warn(
      'queue_full',
      () => `the queue is full (${queue.spanCount} spans, ${queue.totalBytes} bytes): dropping spans`,
    );
  }
}

/** The ledger's transitions for a span, which depend on the state it comes from. */
interface Origin {
  unsampled(): void;
  queued(): void;
  dropped(reason: DropReason): void;
}

const fromEnding = (ledger: Ledger): Origin => ({
  unsampled: () => ledger.endUnsampled(),
  queued: () => ledger.endQueued(),
  dropped: (reason) => ledger.endDropped(reason),
});

const fromHeld = (ledger: Ledger): Origin => ({
  unsampled: () => ledger.releaseUnsampled(1),
  queued: () => ledger.releaseQueued(1),
  dropped: (reason) => {
    ledger.releaseQueued(1);
    ledger.dropQueued(1, reason);
  },
});
