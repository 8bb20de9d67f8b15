import type { SpanHead } from '@otel-resilience/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SeenSpans } from './seen-spans.js';

const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0');
const head = (id: number, others: Partial<SpanHead> = {}): SpanHead => ({
  traceId: hex(id, 32),
  spanId: hex(id, 16),
  lane: 'rest',
  service: 'a',
  startMillis: 1_795_262_400_000,
  endMillis: 1_795_262_400_001.5,
  ...others,
});

describe('SeenSpans', () => {
  it('knows what it has seen, and nothing else', () => {
    const id = fc.integer({ min: 0, max: 30 });
    fc.assert(
      fc.property(fc.array(fc.record({ trace: id, span: id, start: id, end: id }), { maxLength: 200 }), (spans) => {
        const seen = new SeenSpans();
        const model = new Set<string>();
        for (const { trace, span, start, end } of spans) {
          const key = [trace, span, start, end].join();
          const ids = { traceId: hex(trace, 32), spanId: hex(span, 16) };
          expect(seen.add(head(0, { ...ids, startMillis: start / 1024, endMillis: end * 1e9 }))).toBe(model.has(key));
          model.add(key);
        }
      }),
    );
  });

  it('remembers as many as it should at least, and forgets in the end', () => {
    const some = 1 << 16;
    const seen = new SeenSpans(some);
    let mistaken = 0;
    for (let id = 0; id < 2 * some + 10; id++) if (seen.add(head(id))) mistaken++;
    expect(mistaken).toBe(0);
    expect(seen.add(head(2 * some + 9))).toBe(true);
    expect(seen.add(head(some + 10))).toBe(true);
    expect(seen.add(head(0))).toBe(false);
  });

  it('takes no two spans without ids for one', () => {
    const seen = new SeenSpans();
    for (const ids of [{ traceId: '' }, { spanId: '' }, { spanId: 'zz00000000000000' }]) {
      for (let time = 0; time < 3; time++) expect(seen.add(head(1, ids))).toBe(false);
    }
  });
});
