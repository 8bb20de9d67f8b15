import { estimateSpanBytes, maxSpanBytes } from '@otel-resilience/core';
import { fakeSpan } from '@otel-resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SpanQueue } from './span-queue.js';

function setUp({ lanes = false, chunkSize = 3, maxChunkBytes = 1_000 } = {}) {
  const told: string[] = [];
  const tracker = {
    opened: (generation: number) => void told.push(`opened ${generation}`),
    lost: (generation: number, spans: number) => void told.push(`lost ${spans} of ${generation}`),
    closed: (generation: number) => void told.push(`closed ${generation}`),
  };
  const queue = new SpanQueue({ chunkSize, maxChunkBytes, lanes, tracker });
  const push = (name: string, { bytes = 10, lane = 0 } = {}) => queue.push(fakeSpan({ name }), bytes, lane, true);
  const taken = () => queue.take()?.spans.map((span) => span.name);
  return { queue, told, push, taken };
}

describe('SpanQueue', () => {
  it('hands out full chunks in order, and open ones once they are sealed', () => {
    const { queue, push, taken } = setUp();
    for (const name of 'abcd') push(name);
    expect([queue.spanCount, queue.bytes, queue.hasSealed]).toEqual([4, 40, true]);
    expect(taken()).toEqual(['a', 'b', 'c']);
    expect([queue.spanCount, queue.bytes, queue.hasSealed]).toEqual([1, 10, false]);
    expect(taken()).toBeUndefined();
    queue.sealOpen();
    expect(taken()).toEqual(['d']);
    expect([queue.spanCount, queue.bytes, queue.hasSealed]).toEqual([0, 0, false]);
  });

  it('seals a chunk before its bytes exceed the limit, and lets one large span through alone', () => {
    const { queue, push, taken } = setUp({ chunkSize: 100 });
    push('a', { bytes: 600 });
    push('b', { bytes: 500 });
    push('c', { bytes: 5_000 });
    push('d');
    queue.sealOpen();
    expect([taken(), taken(), taken(), taken()]).toEqual([['a'], ['b'], ['c'], ['d']]);
  });

  it('evicts the oldest first, from sealed chunks and from the open one, and tells of it', () => {
    const { queue, told, push, taken } = setUp();
    for (const name of 'abcd') push(name);
    queue.endGeneration();
    push('e');
    for (let i = 0; i < 4; i++) expect(queue.evictOldest(0)).toBe(true);
    expect(told).toEqual([
      'opened 0',
      'opened 0',
      'opened 1',
      ...Array(3).fill('lost 1 of 0'),
      'closed 0',
      'lost 1 of 0',
      'closed 0',
    ]);
    expect([queue.spanCount, queue.bytes, queue.hasSealed]).toEqual([1, 10, false]);
    expect(queue.evictOldest(0)).toBe(true);
    expect(queue.evictOldest(0)).toBe(false);
    expect(taken()).toBeUndefined();
  });

  it('fills a chunk that was evicted in part from the next one, unless a flush stands between them', () => {
    const { queue, told, push, taken } = setUp();
    for (const name of 'abcdef') push(name);
    queue.endGeneration();
    for (const name of 'ghi') push(name);
    for (let i = 0; i < 4; i++) queue.evictOldest(0);
    told.length = 0;
    expect(taken()).toEqual(['e', 'f']);
    expect(told).toEqual([]);
    expect([queue.spanCount, queue.bytes]).toEqual([3, 30]);
    expect(taken()).toEqual(['g', 'h', 'i']);

    for (const name of 'jklmno') push(name);
    queue.evictOldest(0);
    expect(taken()).toEqual(['k', 'l', 'm']);
    queue.evictOldest(0);
    expect([queue.spanCount, queue.bytes, queue.hasSealed]).toEqual([1, 10, true]);
    expect(taken()).toEqual(['o']);
  });

  it('never mixes spans from before and after a flush', () => {
    const { queue, push } = setUp();
    push('a');
    expect(queue.endGeneration()).toBe(0);
    push('b');
    expect(queue.endGeneration()).toBe(1);
    expect([queue.take(), queue.take()].map((chunk) => [chunk?.generation, chunk?.spanCount])).toEqual([
      [0, 1],
      [1, 1],
    ]);
  });

  it('with lanes, hands out the most valuable chunk first and evicts the least valuable span first', () => {
    const { queue, push, taken } = setUp({ lanes: true });
    push('rest', { lane: 0 });
    push('root', { lane: 1 });
    push('error', { lane: 2 });
    push('rest 2', { lane: 0 });
    expect(queue.evictOldest(0)).toBe(true);
    expect(queue.evictOldest(2)).toBe(true);
    expect(queue.evictOldest(0)).toBe(false);
    queue.sealOpen();
    expect([taken(), taken(), taken()]).toEqual([['error'], ['root'], undefined]);
  });

  it('knows what its spans take, whatever was pushed, evicted, taken and measured before', () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ kind: fc.constant('push'), blob: fc.nat(300), isMeasured: fc.boolean() }) },
      fc.record({ kind: fc.constantFrom('evict', 'take', 'seal', 'measure', 'read') }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const { queue } = setUp({ chunkSize: 7, maxChunkBytes: 5_000 });
        let model: number[] = [];
        for (const next of steps) {
          if ('blob' in next) {
            const span = fakeSpan({ attributes: { blob: 'é'.repeat(next.blob) } });
            const estimate = estimateSpanBytes(span);
            queue.push(span, next.isMeasured ? estimate : maxSpanBytes(span), 0, next.isMeasured);
            model.push(estimate);
          } else if (next.kind === 'evict') {
            if (queue.evictOldest(0)) model = model.slice(1);
          } else if (next.kind === 'take') model = model.slice(queue.take()?.spanCount ?? 0);
          else if (next.kind === 'seal') queue.sealOpen();
          else if (next.kind === 'measure') queue.measure();
          const bytes = model.reduce((sum, estimate) => sum + estimate, 0);
          expect(queue.spanCount).toBe(model.length);
          expect(queue.maxBytes).toBeGreaterThanOrEqual(bytes);
          if (next.kind === 'read') expect(queue.bytes).toBe(bytes);
        }
        expect(queue.bytes).toBe(model.reduce((sum, estimate) => sum + estimate, 0));
      }),
    );
  });
});
