import { describe, expect, it } from 'vitest';
import { compareSpans } from './compare-spans.js';

const collector = (...receipts: string[]) => ({ receivedSpans: receipts.length, spanKeys: [...new Set(receipts)] });

describe('compareSpans', () => {
  it('finds what no collector has, and what nobody sent', () => {
    const comparison = compareSpans(new Set(['a', 'b', 'c', 'd']), [collector('a', 'b'), collector('c', 'x')]);
    expect(comparison).toEqual({ ended: 4, received: 3, missing: 1, unexpected: 1, duplicates: 0 });
  });

  it('is not misled by duplicates, at one collector or at two', () => {
    const comparison = compareSpans(new Set(['a', 'b', 'c']), [collector('a', 'a'), collector('a', 'b')]);
    expect(comparison).toEqual({ ended: 3, received: 2, missing: 1, unexpected: 0, duplicates: 2 });
  });
});
