import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arbitrarySpan } from '../../../test/support/arbitrary-spans.js';
import { estimateSpanBytes } from './estimate-span-bytes.js';
import { maxSpanBytes } from './max-span-bytes.js';
import type { ReadableSpan } from './sdk-types.js';

describe('maxSpanBytes', () => {
  it('is never below the estimate, for a span of any shape', () => {
    fc.assert(
      fc.property(arbitrarySpan(), (span) => {
        expect(maxSpanBytes(span)).toBeGreaterThanOrEqual(estimateSpanBytes(span));
      }),
      { numRuns: 500 },
    );
  });

  it('is not much more than three times as much for a span of plain text', () => {
    fc.assert(
      fc.property(arbitrarySpan(), fc.dictionary(fc.string(), fc.string({ minLength: 8 })), (span, attributes) => {
        const plain = { ...span, attributes, links: [], events: [] } as ReadableSpan;
        expect(maxSpanBytes(plain)).toBeLessThanOrEqual(4 * estimateSpanBytes(plain) + 128);
      }),
    );
  });

  it('counts a span that cannot be read as the estimate does', () => {
    const hostile = new Proxy({} as ReadableSpan, {
      get: () => {
        throw new Error('hostile');
      },
    });
    expect(maxSpanBytes(hostile)).toBe(estimateSpanBytes(hostile));
  });
});
