import { encodeSpans, estimateSpanBytes, type ReadableSpan } from '@otel-resilience/core';
import { fakeSpan } from '@otel-resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ChunkKind } from './chunk.js';
import { encodedChunks } from './encoded-chunk.js';
import { spanChunks } from './span-chunk.js';
import { SpanQueue } from './span-queue.js';

const RESOURCE = { attributes: {} };
const SCOPE = { name: '' };
const named = (name: string, overrides: object = {}) =>
  fakeSpan({ name, resource: RESOURCE, instrumentationScope: SCOPE, ...overrides });

/** Bytes that the span adds to a request that has its resource and scope already, as the encoder writes it. */
function encodedBytes(span: ReadableSpan): number {
  return encodeSpans([span, span, span]).byteLength - encodeSpans([span, span]).byteLength;
}

type MakeChunks = (maxBytes: number) => ChunkKind;
const KINDS: Array<[string, MakeChunks, (span: ReadableSpan) => number]> = [
  ['spans', spanChunks, estimateSpanBytes],
  ['bytes', encodedChunks, encodedBytes],
];

describe.each(KINDS)('SpanQueue of %s', (_, makeChunks, bytesOf) => {
  function setUp({ lanes = false, chunkSize = 3, maxChunkBytes = 100_000 } = {}) {
    const told: string[] = [];
    const tracker = {
      opened: (generation: number) => void told.push(`opened ${generation}`),
      lost: (generation: number, spans: number) => void told.push(`lost ${spans} of ${generation}`),
      closed: (generation: number) => void told.push(`closed ${generation}`),
    };
    const queue = new SpanQueue({ chunkSize, chunks: makeChunks(maxChunkBytes), lanes, tracker });
    const push = (span: ReadableSpan, lane = 0) => {
      queue.add(span, lane);
      queue.settle(lane);
    };
    const pushAll = (names: string) => {
      for (const name of names) push(named(name));
    };
    const taken = () =>
      queue
        .take()
        ?.toBatch()
        .spans()
        .map((span) => span.name);
    return { queue, told, push, pushAll, taken };
  }
  const one = bytesOf(named('a'));

  it('hands out full chunks in order, and open ones once they are sealed', () => {
    const { queue, pushAll, taken } = setUp();
    pushAll('abcd');
    expect([queue.spanCount, queue.bytes, queue.hasSealed]).toEqual([4, 4 * one, true]);
    expect(taken()).toEqual(['a', 'b', 'c']);
    expect([queue.spanCount, queue.bytes, queue.hasSealed]).toEqual([1, one, false]);
    expect(taken()).toBeUndefined();
    queue.sealOpen();
    expect(taken()).toEqual(['d']);
    expect([queue.spanCount, queue.bytes, queue.hasSealed]).toEqual([0, 0, false]);
  });

  it('seals a chunk before its bytes exceed the limit, and lets one large span through alone', () => {
    const { queue, push, taken } = setUp({ chunkSize: 100, maxChunkBytes: 10_000 });
    const large = (name: string, bytes: number) => push(named(name, { attributes: { blob: 'x'.repeat(bytes) } }));
    large('a', 6_000);
    large('b', 5_000);
    large('c', 50_000);
    large('d', 1);
    queue.sealOpen();
    expect([taken(), taken(), taken(), taken()]).toEqual([['a'], ['b'], ['c'], ['d']]);
  });

  it('evicts the oldest first, from sealed chunks and from the open one, and tells of it', () => {
    const { queue, told, pushAll, taken } = setUp();
    pushAll('abcd');
    queue.endGeneration();
    pushAll('e');
    for (let i = 0; i < 4; i++) queue.evictOldest(0);
    expect(told).toEqual([
      'opened 0',
      'opened 0',
      'opened 1',
      ...Array(3).fill('lost 1 of 0'),
      'closed 0',
      'lost 1 of 0',
      'closed 0',
    ]);
    expect([queue.spanCount, queue.bytes, queue.hasSealed]).toEqual([1, one, false]);
    expect(queue.hasUpTo(0)).toBe(true);
    queue.evictOldest(0);
    expect(queue.hasUpTo(0)).toBe(false);
    expect(taken()).toBeUndefined();
  });

  it('goes on filling an open chunk that was evicted from', () => {
    const { queue, pushAll, taken } = setUp({ chunkSize: 4 });
    pushAll('abc');
    queue.evictOldest(0);
    queue.evictOldest(0);
    pushAll('d');
    queue.evictOldest(0);
    pushAll('efg');
    expect([queue.spanCount, queue.bytes, queue.hasSealed]).toEqual([4, 4 * one, true]);
    expect(taken()).toEqual(['d', 'e', 'f', 'g']);
  });

  it('fills a chunk that was evicted in part from the next one, unless a flush stands between them', () => {
    const { queue, told, pushAll, taken } = setUp();
    pushAll('abcdef');
    queue.endGeneration();
    pushAll('ghi');
    for (let i = 0; i < 4; i++) queue.evictOldest(0);
    told.length = 0;
    expect(taken()).toEqual(['e', 'f']);
    expect(told).toEqual([]);
    expect([queue.spanCount, queue.bytes]).toEqual([3, 3 * one]);
    expect(taken()).toEqual(['g', 'h', 'i']);

    pushAll('jklmno');
    queue.evictOldest(0);
    expect(taken()).toEqual(['k', 'l', 'm']);
    queue.evictOldest(0);
    expect([queue.spanCount, queue.bytes, queue.hasSealed]).toEqual([1, one, true]);
    expect(taken()).toEqual(['o']);
  });

  it('fills it from several, and tells of those that are gone', () => {
    const { queue, told, pushAll, taken } = setUp({ chunkSize: 2 });
    pushAll('abcdefgh');
    queue.chunkSize = 5;
    told.length = 0;
    expect(taken()).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(told).toEqual(['closed 0']);
    expect([queue.spanCount, queue.bytes]).toEqual([3, 3 * one]);
    expect(taken()).toEqual(['f', 'g', 'h']);
  });

  it('fills it no further than the limit of bytes', () => {
    const { queue, pushAll, taken } = setUp({ chunkSize: 3, maxChunkBytes: 4.5 * one });
    pushAll('abcdef');
    queue.chunkSize = 6;
    expect(taken()).toEqual(['a', 'b', 'c', 'd']);
    expect(taken()).toEqual(['e', 'f']);
  });

  it('never mixes spans from before and after a flush', () => {
    const { queue, pushAll } = setUp();
    pushAll('a');
    expect(queue.endGeneration()).toBe(0);
    pushAll('b');
    expect(queue.endGeneration()).toBe(1);
    expect([queue.take(), queue.take()].map((chunk) => [chunk?.generation, chunk?.spanCount])).toEqual([
      [0, 1],
      [1, 1],
    ]);
  });

  it('with lanes, hands out the most valuable chunk first and evicts the least valuable span first', () => {
    const { queue, push, taken } = setUp({ lanes: true });
    push(named('rest'), 0);
    push(named('root'), 1);
    push(named('error'), 2);
    push(named('rest 2'), 0);
    queue.evictOldest(0);
    queue.evictOldest(2);
    expect([queue.hasUpTo(0), queue.hasUpTo(1)]).toEqual([false, true]);
    queue.sealOpen();
    expect([taken(), taken(), taken()]).toEqual([['error'], ['root'], undefined]);
  });

  it('takes a span back as if it had never been added', () => {
    const { queue, told, push, pushAll, taken } = setUp({ lanes: true, chunkSize: 2 });
    queue.add(named('x'), 1);
    queue.undo(1);
    expect(told).toEqual(['opened 0', 'closed 0']);
    pushAll('a');
    queue.add(named('y'), 0);
    queue.undo(0);
    push(named('b'), 0);
    expect([queue.spanCount, queue.bytes]).toEqual([2, 2 * one]);
    expect(taken()).toEqual(['a', 'b']);
  });

  it('leaves no trace of a span that cannot be read', () => {
    const { queue, told, pushAll, taken } = setUp({ chunkSize: 2 });
    if (makeChunks === spanChunks) return; // which take any
    const unreadable = { ...named('x'), spanContext: () => ({ traceId: 'no', spanId: 'no', traceFlags: 1 }) };
    expect(() => queue.add(unreadable, 0)).toThrow();
    expect(told).toEqual([]);
    pushAll('a');
    expect(() => queue.add(unreadable, 0)).toThrow();
    pushAll('b');
    expect([queue.spanCount, queue.bytes]).toEqual([2, 2 * one]);
    expect(taken()).toEqual(['a', 'b']);
  });

  it('knows what can be made room for without making it', () => {
    const { queue, push } = setUp({ lanes: true });
    push(named('a'), 0);
    push(named('b'), 1);
    queue.add(named('b'), 1);
    queue.measure();
    const alone = one + queue.envelopeBytes / 2; // each lane has a chunk
    expect(queue.canShrinkTo({ maxSpans: 1, maxBytes: alone }, 1)).toBe(true);
    expect(queue.canShrinkTo({ maxSpans: 0, maxBytes: alone }, 1)).toBe(false);
    expect(queue.canShrinkTo({ maxSpans: 1, maxBytes: alone - 1 }, 1)).toBe(false);
    queue.undo(1);
    queue.add(named('a'), 0);
    const bytes = queue.totalBytes;
    expect(queue.canShrinkTo({ maxSpans: 2, maxBytes: bytes - one }, 0)).toBe(true);
    expect(queue.canShrinkTo({ maxSpans: 1, maxBytes: bytes }, 0)).toBe(false);
    expect(queue.canShrinkTo({ maxSpans: 3, maxBytes: bytes }, -1)).toBe(true);
    expect(queue.canShrinkTo({ maxSpans: 2, maxBytes: bytes }, -1)).toBe(false);
  });

  it('knows what it holds, and what that takes, whatever was added, taken back, evicted, taken and measured before', () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom('push', 'undo'), blob: fc.nat(300) }) },
      {
        weight: 6,
        arbitrary: fc.record({ most: fc.nat(9), maxSpans: fc.nat(9), maxBytes: fc.nat(3_000), blob: fc.nat(300) }),
      },
      fc.record({ kind: fc.constantFrom('evict', 'take', 'seal', 'flush', 'measure', 'read') }),
    );
    let quickly = 0;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const { queue, taken } = setUp({ chunkSize: 7, maxChunkBytes: 5_000 });
        let model: Array<{ name: string; bytes: number }> = [];
        const bytes = () => model.reduce((sum, span) => sum + span.bytes, 0);
        for (const [index, next] of steps.entries()) {
          if ('most' in next) {
            const bounds = { maxSpans: queue.spanCount + next.maxSpans, maxBytes: queue.maxTotalBytes + next.maxBytes };
            const { sealCount } = queue;
            queue.grant(next.most, bounds);
            const span = named(`${index}`, { attributes: { blob: 'é'.repeat(next.blob) } });
            let added = 0;
            for (; queue.addQuickly(span); added++) model.push({ name: span.name, bytes: bytesOf(span) });
            expect(added).toBeLessThanOrEqual(next.most);
            if (added > 0) expect(queue.isWithin(bounds)).toBe(true);
            expect(queue.sealCount).toBe(sealCount);
            quickly += added;
          } else if ('blob' in next) {
            const span = named(`${index}`, { attributes: { blob: 'é'.repeat(next.blob) } });
            queue.add(span, 0);
            if (next.kind === 'undo') queue.undo(0);
            else {
              queue.settle(0);
              model.push({ name: span.name, bytes: bytesOf(span) });
            }
          } else if (next.kind === 'evict') {
            expect(queue.hasUpTo(0)).toBe(model.length > 0);
            if (model.length > 0) queue.evictOldest(0);
            model = model.slice(1);
          } else if (next.kind === 'take') {
            const names = taken() ?? [];
            expect(names).toEqual(model.slice(0, names.length).map(({ name }) => name));
            model = model.slice(names.length);
          } else if (next.kind === 'seal') queue.sealOpen();
          else if (next.kind === 'flush') queue.endGeneration();
          else if (next.kind === 'measure') queue.measure();
          expect(queue.spanCount).toBe(model.length);
          expect(queue.maxBytes).toBeGreaterThanOrEqual(bytes());
          if ('kind' in next && next.kind === 'read') expect(queue.bytes).toBe(bytes());
          if (queue.spanCount === 0) expect(queue.envelopeBytes).toBe(0);
        }
        expect(queue.bytes).toBe(bytes());
      }),
    );
    expect(quickly).toBeGreaterThan(0);
  });

  it('adds quickly until the chunk is nearly full, and not after anything else has happened', () => {
    const { queue, push, taken } = setUp({ chunkSize: 5 });
    const bounds = { maxSpans: 100, maxBytes: 1e6 };
    const addAll = () => {
      let added = 0;
      while (queue.addQuickly(named('q'))) added++;
      return added;
    };
    queue.grant(10, bounds);
    expect(addAll()).toBe(0); // there is no open chunk
    push(named('a'));
    queue.grant(10, bounds);
    expect(addAll()).toBe(3); // the fifth seals it
    push(named('b'));
    expect(taken()).toEqual(['a', 'q', 'q', 'q', 'b']);
    const others: Array<() => void> = [
      () => push(named('b')),
      () => queue.sealOpen(),
      () => queue.endGeneration(),
      () => queue.take(),
      () => queue.measure(),
      () => queue.evictOldest(0),
      () => queue.revoke(),
      () => {
        queue.chunkSize++;
      },
    ];
    for (const other of others) {
      queue.sealOpen();
      push(named('a'));
      queue.grant(10, bounds);
      other();
      expect(addAll(), String(other)).toBe(0);
    }
  });

  it('stays within the bounds when a span turns out to be larger than it was', () => {
    const { queue, push } = setUp({ chunkSize: 50 });
    let reads = 0;
    const attributes = () => (reads++ === 0 ? {} : { blob: 'x'.repeat(50_000) });
    push(Object.defineProperty({ ...named('g') }, 'attributes', { get: attributes }));
    const bounds = { maxSpans: 100, maxBytes: queue.maxTotalBytes + 9_000 };
    queue.grant(32, bounds);
    queue.measure();
    while (queue.addQuickly(named('q'))) expect(queue.isWithin(bounds)).toBe(true);
  });
});
