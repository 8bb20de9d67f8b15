import type { ReadableSpan, SpanProcessor } from './sdk-types.js';

/**
 * How a processor that holds spans back speaks with the one behind it that keeps the ledger: `ended` is counted once,
 * at the first of our processors, so a span that is let go must not be counted again as one that ends.
 */
export interface HeldSpans {
  /** A span has ended and waits for a decision: ended, held. */
  hold(): void;
  /** held → unsampled. */
  discard(spans: number): void;
  /** held → whatever `onEnd` would make of this span. Never throws. */
  release(span: ReadableSpan): void;
}

/** The member under which a processor of ours offers {@link HeldSpans}; shared by all copies of core. */
export const HELD_SPANS: unique symbol = Symbol.for('otel-resilience.held-spans') as never;

/** Those of `next`; of a stock processor, one that keeps no ledger and gets what is let go by `onEnd`. */
export function heldSpansOf(next: SpanProcessor): HeldSpans {
  const own = (next as { readonly [HELD_SPANS]?: HeldSpans })[HELD_SPANS];
  return own ?? { hold() {}, discard() {}, release: (span) => next.onEnd(span) };
}
