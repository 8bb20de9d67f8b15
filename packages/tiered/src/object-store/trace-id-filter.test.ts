import { fakeSpan } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { TraceIdFilter } from './trace-id-filter.js';

describe('the trace-id filter', () => {
  it('knows every id it was made of, and hardly any other', () => {
    for (const idOf of [
      (i: number) => fakeSpan({ index: i }).spanContext().traceId,
      () => fakeSpan().spanContext().traceId,
    ]) {
      const ids = Array.from({ length: 2_000 }, (_, i) => idOf(i));
      const filter = TraceIdFilter.of(new Set(ids));
      expect(filter.bits.byteLength).toBeLessThanOrEqual(2_500);
      expect(ids.every((id) => filter.mayContain(id))).toBe(true);
      let wrong = 0;
      for (let i = 0; i < 20_000; i++) if (filter.mayContain(idOf(i + 1_000_000))) wrong++;
      expect(wrong / 20_000).toBeLessThan(1.5 * TraceIdFilter.falsePositiveRate);
    }
    expect(TraceIdFilter.of(new Set()).mayContain('1'.repeat(32))).toBe(false);
  });
});
