import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  fromHex,
  hexOfBigInt,
  higherThreshold,
  NEVER,
  ratioOf,
  thresholdOf,
  traceIdReaches,
  ZERO,
} from './threshold.js';

const HEX = /^[0-9a-f]{14}$/;
const hexOf = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length });

test.each([
  [1, '0'],
  [0.5, '8'],
  [0.25, 'c'],
  [0.1, 'e666'],
  [0.05, 'f3333'],
  [0.01, 'fd70a'],
  [0.001, 'ffbe77'],
  [0.999999999, '0'],
  [2 ** -56, 'ffffffffffffff'],
])('ratio %d is written as th:%s', (ratio, th) => {
  expect(thresholdOf(ratio).th).toBe(th);
});

test('ratio 0, and what 56 bits cannot hold, keeps nothing and cannot be written', () => {
  for (const ratio of [0, 1e-20]) expect(thresholdOf(ratio)).toEqual({ hex: NEVER, th: undefined, ratio: 0 });
  expect(traceIdReaches('f'.repeat(32), NEVER)).toBe(false);
});

test('precision is counted after leading f’s', () => {
  expect(thresholdOf(1 / 3, 2).th).toBe('ab');
  expect(thresholdOf(1 / 300, 2).th).toBe('ff26');
  expect(thresholdOf(1 / 3, 14).th).toBe('aaaaaaaaaaaaac');
});

test('the ratio in force is that of what is written, and near the one asked for', () => {
  fc.assert(
    fc.property(fc.double({ min: 1e-9, max: 1, noNaN: true }), fc.integer({ min: 1, max: 14 }), (ratio, precision) => {
      const threshold = thresholdOf(ratio, precision);
      expect(threshold.hex).toMatch(HEX);
      expect(fromHex(threshold.th!.padEnd(14, '0')).ratio).toBe(threshold.ratio);
      expect(ratioOf(threshold.hex)).toBeCloseTo(threshold.ratio, 12);
      expect(threshold.th!.replace(/^f+/, '').length).toBeLessThanOrEqual(precision);
      // The digit behind the leading f's is at most e, so half a step is at most 16^(1 - precision) / 2 of the ratio.
      expect(Math.abs(threshold.ratio - ratio)).toBeLessThanOrEqual((16 ** (1 - precision) / 2) * ratio + 2 ** -56);
    }),
  );
});

test('a higher ratio never has a higher threshold', () => {
  const ratio = fc.oneof(
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.double({ min: 0, max: 60, noNaN: true }).map((exponent) => 2 ** -exponent),
  );
  fc.assert(
    fc.property(ratio, ratio, fc.integer({ min: 1, max: 14 }), (a, b, precision) => {
      const [low, high] = [thresholdOf(Math.min(a, b), precision), thresholdOf(Math.max(a, b), precision)];
      expect(higherThreshold(low.hex, high.hex)).toBe(low.hex);
    }),
  );
});

test('a trace id reaches a threshold when its last 56 bits are at least that, whatever the case of its letters', () => {
  fc.assert(
    fc.property(hexOf(18), hexOf(14), hexOf(14), fc.boolean(), (head, tail, hex, capitals) => {
      const traceId = head + tail;
      const given = capitals ? traceId.toUpperCase() : traceId;
      expect(traceIdReaches(given, hex)).toBe(BigInt(`0x${tail}`) >= BigInt(`0x${hex}`));
      expect(traceIdReaches(given, tail)).toBe(true);
    }),
  );
});

test('what is no trace id reaches no threshold that thins', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 17 }), (text) => {
      expect(traceIdReaches(text, '80000000000000')).toBe(false);
    }),
  );
  for (const text of ['', 'z'.repeat(32), '~'.repeat(32), '𝟠'.repeat(16)]) {
    expect(traceIdReaches(text, '80000000000000')).toBe(false);
    expect(traceIdReaches(text, NEVER)).toBe(false);
  }
});

test('thresholds of composable samplers: what is out of range keeps nothing', () => {
  expect(hexOfBigInt(0n)).toBe(ZERO);
  expect(hexOfBigInt(1n << 55n)).toBe('80000000000000');
  expect(hexOfBigInt((1n << 56n) - 1n)).toBe('f'.repeat(14));
  for (const none of [-1n, 1n << 56n, 1n << 80n]) expect(hexOfBigInt(none)).toBe(NEVER);
});
