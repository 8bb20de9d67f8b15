import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cutValue } from './cut-value.js';

const longest = (value: unknown): number => {
  if (typeof value === 'string' || value instanceof Uint8Array) return value.length;
  if (typeof value !== 'object' || value === null) return 0;
  return Math.max(0, ...Object.values(value).map(longest));
};

describe('cutValue', () => {
  it.each([
    ['abcdef', 4, 'abcd'],
    ['abcd', 4, 'abcd'],
    ['ab😀', 3, 'ab'],
    ['ab😀c', 4, 'ab😀'],
    ['😀', 1, ''],
    ['ab\ud83dcd', 3, 'ab\ud83d'], // half a pair already, and not by us
    [['abc', 'a', 7, null, ['abc']], 2, ['ab', 'a', 7, null, ['ab']]],
    [{ long: 'abc', deep: { long: 'abc', ok: 1 } }, 2, { long: 'ab', deep: { long: 'ab', ok: 1 } }],
    [new Uint8Array([1, 2, 3]), 2, new Uint8Array([1, 2])],
  ])('cuts %j to %d as %j', (value, maxLength, expected) => {
    const before = structuredClone(value);
    expect(cutValue(value, maxLength)).toEqual(expected);
    expect(value).toEqual(before);
  });

  it.each([[12], [Number.NaN], [true], [null], [undefined], [['a', 'b']], [{ a: ['b'] }], [new Uint8Array(3)], [5n]])(
    'returns %s itself: there is nothing to cut',
    (value) => {
      expect(cutValue(value, 3)).toBe(value);
    },
  );

  it('cuts every string and byte array in a value, and turns none into another character', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 30 });
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 4 },
        text,
        fc.double(),
        fc.uint8Array({ maxLength: 30 }),
        fc.array(tie('any'), { maxLength: 5 }),
        fc.dictionary(text, tie('any'), { maxKeys: 5 }),
      ),
    })).any;
    fc.assert(
      fc.property(value, fc.integer({ min: 1, max: 20 }), (whole, maxLength) => {
        const cut = cutValue(whole, maxLength);
        expect(longest(cut)).toBeLessThanOrEqual(maxLength);
        expect(JSON.stringify(cut)).not.toMatch(/\\ud[89a-f]/);
        if (longest(whole) <= maxLength) expect(cut).toBe(whole);
      }),
    );
  });

  it('ends with values in a circle, however many ways lead round', () => {
    const circle: Record<string, unknown> = { text: 'abc' };
    for (let i = 0; i < 10; i++) circle[`way ${i}`] = circle;
    const startedAt = performance.now();
    expect(cutValue(circle, 2)).toMatchObject({ text: 'ab' });
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    expect(circle.text).toBe('abc');
  });
});
