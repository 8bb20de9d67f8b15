import { createTraceState } from '@opentelemetry/api';
import { estimateSpanBytes } from '@otel-resilience/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arbitrarySpan } from '../../../../test/support/arbitrary-spans.js';
import { HOSTILE_SPANS } from '../../../../test/support/hostile-spans.js';
import { heldSpanBytes, SPAN_OVERHEAD_BYTES } from './held-span-bytes.js';

describe('the bytes of a held span', () => {
  it('are those of the span object and its content, without its tracestate', () => {
    fc.assert(
      fc.property(arbitrarySpan(), (span) => {
        const context = { traceId: '0'.repeat(32), spanId: '0'.repeat(16), traceFlags: 0 };
        const plain = Object.create(span, { spanContext: { value: () => context } });
        const sampled = Object.create(span, {
          spanContext: { value: () => ({ ...context, traceFlags: 1, traceState: createTraceState('ot=th:8') }) },
        });
        expect(heldSpanBytes(sampled)).toBe(heldSpanBytes(plain));
        expect(heldSpanBytes(sampled)).toBe(SPAN_OVERHEAD_BYTES + estimateSpanBytes(plain));
      }),
    );
  });

  it.each(Object.entries(HOSTILE_SPANS))('are a number of one that %s', (_, make) => {
    expect(heldSpanBytes(make())).toBeGreaterThan(SPAN_OVERHEAD_BYTES);
  });
});
