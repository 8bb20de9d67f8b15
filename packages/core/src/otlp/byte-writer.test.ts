import { fakeSpan } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { AttributeWriter } from './attribute-writer.js';
import { decodeSpans } from './decoder.js';
import { encodeSpans } from './encoder.js';
import { WorkingBuffer } from './working-buffer.js';

const roundTrip = (value: unknown): unknown =>
  decodeSpans(encodeSpans([fakeSpan({ attributes: { before: 1, value, after: 2 } as never })]))[0]!.attributes;

describe('a long text', () => {
  const text = 'x'.repeat(2 ** 20);

  it.each([
    ['an attribute', (writer: AttributeWriter) => writer.attributes(0x0a, { text })],
    ['a field', (writer: AttributeWriter) => writer.text(text)],
  ])('makes room for little more than it takes as %s', (_, write) => {
    const buffer = new WorkingBuffer();
    write(new AttributeWriter(buffer));
    expect(buffer.bytes.length).toBeLessThan(1.1 * 2 ** 20);
  });

  it.each(['x', '\u00fc', '\u20ac', '\ud83d\ude00', 'x\u20ac'])('of %j is written whole', (part) => {
    for (const count of [21_000, 32_768, 65_535, 65_536, 700_000]) {
      const value = part.repeat(count);
      expect(roundTrip(value) as object).toEqual({ before: 1, value, after: 2 });
      expect(roundTrip([value]) as object).toEqual({ before: 1, value: [value], after: 2 });
    }
  });
});

describe('bytes that say they have another length', () => {
  it.each([2.5, -100, 1e9, Number.NaN, 'many', undefined])('%s: are as long as they are', (length) => {
    for (const size of [3, 100]) {
      const value = new Uint8Array(size).fill(7);
      Object.defineProperty(value, 'length', { get: () => length });
      const bytes = new Uint8Array(size).fill(7);
      expect(roundTrip(value)).toEqual({ before: 1, value: bytes, after: 2 });
      expect(roundTrip({ inside: value })).toEqual({ before: 1, value: { inside: bytes }, after: 2 });
    }
  });
});
