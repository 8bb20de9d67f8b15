import { describe, expect, it } from 'vitest';
import { HELD_SPANS, heldSpansOf } from './held-spans.js';
import type { ReadableSpan, SpanProcessor } from './sdk-types.js';

const span = {} as ReadableSpan;

function stock(ended: ReadableSpan[]): SpanProcessor {
  return {
    onStart() {},
    onEnd: (one) => ended.push(one),
    forceFlush: () => Promise.resolve(),
    shutdown: () => Promise.resolve(),
  };
}

describe('heldSpansOf', () => {
  it('lets spans go by onEnd where there is no ledger', () => {
    const ended: ReadableSpan[] = [];
    const held = heldSpansOf(stock(ended));
    held.hold();
    held.discard(1);
    expect(ended).toEqual([]);
    held.release(span);
    expect(ended).toEqual([span]);
  });

  it('is what the processor offers, also one of another copy of core', () => {
    const own = { hold() {}, discard() {}, release() {} };
    const processor = { ...stock([]), [Symbol.for('otel-resilience.held-spans')]: own };
    expect(heldSpansOf(processor)).toBe(own);
    expect(HELD_SPANS).toBe(Symbol.for('otel-resilience.held-spans'));
  });
});
