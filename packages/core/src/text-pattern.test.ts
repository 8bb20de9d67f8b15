import fc from 'fast-check';
import { expect, test } from 'vitest';
import { patternTest } from './text-pattern.js';

test.each([
  ['*', '', true],
  ['*', 'anything', true],
  ['/health', '/health', true],
  ['/health', '/healthz', false],
  ['/health*', '/healthz', true],
  ['*/id', '/orders/id', true],
  ['/a/*/c', '/a/b/c', true],
  ['/a/*/c', '/a/c', false],
  ['a*a', 'a', false],
  ['a*b*c*d', 'a-b-b-c-d', true],
  ['a*bc*c', 'a-bc', false],
  ['a.c', 'abc', false],
  ['**', 'x', true],
])('the pattern %j and %j: %s', (pattern, value, expected) => {
  expect(patternTest(pattern)(value)).toBe(expected);
});

test('patterns agree with the regular expression they stand for, and take no time to speak of', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 12 });
  const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*'), minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(pattern, text, (given, value) => {
      const expression = given
        .split('*')
        .map((part) => part.replaceAll('.', '\\.'))
        .join('.*');
      expect(patternTest(given)(value)).toBe(new RegExp(`^${expression}$`, 's').test(value));
    }),
    { numRuns: 1_000 },
  );
  expect(patternTest(`${'a*'.repeat(50)}b`)('a'.repeat(100_000))).toBe(false);
});
