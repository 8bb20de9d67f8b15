import type { ReadableSpan } from '@otel-resilience/core';
import { fakeSpan } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import type { ChunkKind } from './chunk.js';
import { admit, DROP_POLICIES, type DropPolicy, REFUSED } from './drop-policies.js';
import { encodedChunks } from './encoded-chunk.js';
import { spanChunks } from './span-chunk.js';
import { SpanQueue } from './span-queue.js';

const KINDS: Array<[string, (maxBytes: number) => ChunkKind]> = [
  ['spans', spanChunks],
  ['bytes', encodedChunks],
];
const CHILD = { parentSpanId: 'b7ad6b7169203331' };
const sized = (bytes: number) => fakeSpan({ attributes: { blob: 'x'.repeat(bytes) } });

/** A span that counts how often its attributes are read. */
function watched(overrides: Parameters<typeof fakeSpan>[0] = {}): { span: ReadableSpan; reads: () => number } {
  let reads = 0;
  const span = fakeSpan(overrides);
  const { attributes } = span;
  Object.defineProperty(span, 'attributes', {
    get() {
      reads++;
      return attributes;
    },
  });
  return { span, reads: () => reads };
}

describe.each(KINDS)('admit, to a queue of %s', (_, makeChunks) => {
  function setUp(policy: DropPolicy, bounds: { maxSpans?: number; maxBytes?: number }) {
    const { maxSpans = 10_000, maxBytes = 1_000_000 } = bounds;
    const lost: number[] = [];
    const tracker = { opened() {}, closed() {}, lost: (_: number, spans: number) => void lost.push(spans) };
    const queue = new SpanQueue({
      chunkSize: 100,
      chunks: makeChunks(4_000_000),
      lanes: policy === 'priority',
      tracker,
    });
    const end = (span: ReadableSpan) => admit(queue, policy, { maxSpans, maxBytes }, span);
    return { queue, end, lost };
  }

  it.each(DROP_POLICIES)('with %s, refuses a span that is larger than the queue, and nothing goes for it', (policy) => {
    const { queue, end, lost } = setUp(policy, { maxBytes: 10_000 });
    expect([end(sized(100)), end(sized(20_000)), end(sized(100))]).toEqual([0, REFUSED, 0]);
    expect([queue.spanCount, lost]).toEqual([2, []]);
  });

  it.each(DROP_POLICIES)('with %s, keeps within the bytes whatever the sizes are', (policy) => {
    const { queue, end } = setUp(policy, { maxBytes: 10_000 });
    let queued = 0;
    for (let i = 0; i < 300; i++) {
      const before = queue.spanCount;
      const evicted = end(sized((i * 7_919) % 9_000));
      queued = before + (evicted === REFUSED ? 0 : 1 - evicted);
      expect(queue.spanCount).toBe(queued);
      expect(queue.bytes).toBeLessThanOrEqual(10_000);
    }
    expect(queued).toBeGreaterThan(0);
  });

  it('with newest, does not read what a full queue refuses, be it full of spans or of bytes', () => {
    const { span, reads } = watched();
    const ofSpans = setUp('newest', { maxSpans: 1 });
    expect([ofSpans.end(sized(1)), ofSpans.end(span)]).toEqual([0, REFUSED]);
    const ofBytes = setUp('newest', { maxBytes: 100_000 });
    while (ofBytes.end(sized(1)) === 0);
    expect(ofBytes.end(span)).toBe(REFUSED);
    expect(reads()).toBe(0);
  });

  it('with priority, neither reads a span that all that is queued is worth more than, nor drops any in vain', () => {
    const { queue, end, lost } = setUp('priority', { maxSpans: 3 });
    for (let i = 0; i < 3; i++) end(fakeSpan({ isError: true }));
    const { span, reads } = watched(CHILD);
    expect(end(span)).toBe(REFUSED);
    expect(reads()).toBe(0);

    const other = setUp('priority', { maxBytes: 10_000 });
    other.end(fakeSpan({ isError: true, attributes: { blob: 'x'.repeat(8_000) } }));
    other.end(sized(500));
    expect(other.end(sized(5_000))).toBe(REFUSED); // there would not be room even without the local root
    expect([queue.spanCount, other.queue.spanCount, lost, other.lost]).toEqual([3, 2, [], []]);
  });

  it('with priority, makes room in the lanes that are worth less first, for as much as it takes', () => {
    const { queue, end } = setUp('priority', { maxBytes: 10_000 });
    for (let i = 0; i < 5; i++) end(fakeSpan({ ...CHILD, attributes: { blob: 'x'.repeat(1_000) } }));
    end(sized(2_000));
    expect(queue.hasUpTo(0)).toBe(true);
    expect(end(fakeSpan({ isError: true, attributes: { blob: 'x'.repeat(7_000) } }))).toBe(5);
    expect(queue.hasUpTo(0)).toBe(false);
    expect(queue.hasUpTo(1)).toBe(true);
  });
});
