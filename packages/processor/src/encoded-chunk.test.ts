import { fakeSpan } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { encodedChunks } from './encoded-chunk.js';

const MIB = 1024 * 1024;
const ofItsOwn = (index: number) => fakeSpan({ resource: { attributes: { blob: 'x'.repeat(9_000), index } } });

/** Chunks of spans that each have a resource of their own. */
function chunksOf(...sizes: number[]) {
  const newChunk = encodedChunks(4 * MIB)();
  return sizes.map((spans, index) => {
    const chunk = newChunk(0);
    for (let i = 0; i < spans; i++) expect(chunk.add(ofItsOwn(100 * index + i))).toBe(true);
    if (index < sizes.length - 1) chunk.seal(true);
    return chunk;
  });
}

describe('a chunk of encoded spans counts a resource once, and no longer than it has spans of it', () => {
  it('when the oldest are dropped', () => {
    const [chunk] = chunksOf(10);
    const each = chunk!.envelopeBytes / 10;
    for (let left = 9; left >= 0; left--) {
      chunk!.dropFirst();
      expect(chunk!.envelopeBytes).toBeCloseTo(left * each, -1);
    }
    expect([chunk!.spanCount, chunk!.bytes, chunk!.envelopeBytes]).toEqual([0, 0, 0]);
  });

  it('when it is filled up from the next one', () => {
    const [chunk, next] = chunksOf(4, 6, 1);
    const each = chunk!.envelopeBytes / 4;
    chunk!.dropFirst();
    chunk!.takeFrom(next!, 2);
    expect(chunk!.envelopeBytes).toBeCloseTo(5 * each, -1);
    expect(next!.envelopeBytes).toBeCloseTo(4 * each, -1);
    chunk!.takeFrom(next!, 4);
    expect(chunk!.envelopeBytes).toBeCloseTo(9 * each, -1);
    expect([next!.spanCount, next!.bytes, next!.envelopeBytes]).toEqual([0, 0, 0]);
    expect(chunk!.toBatch().byteLength).toBeLessThanOrEqual(chunk!.bytes + chunk!.envelopeBytes);
  });
});
