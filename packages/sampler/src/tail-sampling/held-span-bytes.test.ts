import { createTraceState } from '@opentelemetry/api';
import { fakeSpan } from '@otel-resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arbitrarySpan } from '../../../../test/support/arbitrary-spans.js';
import { HOSTILE_SPANS } from '../../../../test/support/hostile-spans.js';
import { heldSpanBytes, SPAN_OVERHEAD_BYTES } from './held-span-bytes.js';

describe('the bytes of a held span', () => {
  it('are the same whatever its tracestate and flags', () => {
    fc.assert(
      fc.property(arbitrarySpan(), (span) => {
        const context = { traceId: '0'.repeat(32), spanId: '0'.repeat(16), traceFlags: 0 };
        const plain = Object.create(span, { spanContext: { value: () => context } });
        const sampled = Object.create(span, {
          spanContext: { value: () => ({ ...context, traceFlags: 1, traceState: createTraceState('ot=th:8') }) },
        });
        expect(heldSpanBytes(sampled)).toBe(heldSpanBytes(plain));
        expect(heldSpanBytes(sampled)).toBeGreaterThanOrEqual(SPAN_OVERHEAD_BYTES);
      }),
    );
  });

  it.each<[string, Parameters<typeof fakeSpan>[0]]>([
    ['its name', { name: 'x'.repeat(5_000) }],
    ['an attribute', { attributes: { text: 'x'.repeat(5_000) } }],
    ['an array', { attributes: { list: ['x'.repeat(2_500), 'x'.repeat(2_500)] } }],
    ['a map', { attributes: { map: { deep: { text: 'x'.repeat(5_000) } } } as never }],
    ['bytes', { attributes: { bytes: new Uint8Array(5_000) } as never }],
    ['an event', { events: [{ name: 'e', time: [0, 0], attributes: { text: 'x'.repeat(5_000) } }] }],
    ['its status', { status: { code: 2, message: 'x'.repeat(5_000) } }],
  ])('are those of %s too', (_, shape) => {
    const content = heldSpanBytes(fakeSpan(shape)) - SPAN_OVERHEAD_BYTES;
    expect(content).toBeGreaterThanOrEqual(5_000);
    expect(content).toBeLessThan(6_500);
  });

  it('of containers without end are some', () => {
    const circle: Record<string, unknown> = {};
    circle.again = circle;
    circle.all = [circle, circle, circle];
    const bytes = heldSpanBytes(fakeSpan({ attributes: { circle } as never }));
    expect(bytes).toBeGreaterThan(SPAN_OVERHEAD_BYTES);
    expect(bytes).toBeLessThan(10_000_000);
  });

  it.each(Object.entries(HOSTILE_SPANS))('are a number of one that %s', (_, make) => {
    expect(heldSpanBytes(make())).toBeGreaterThan(SPAN_OVERHEAD_BYTES);
  });
});
