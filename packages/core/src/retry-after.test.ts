import { describe, expect, it } from 'vitest';
import { boundRetryAfter, MAX_RETRY_AFTER_MILLIS, MIN_RETRY_AFTER_MILLIS, parseRetryAfter } from './retry-after.js';

const NOW = Date.UTC(2026, 10, 6, 8, 49, 37);
const parse = (value: unknown) => parseRetryAfter(value, NOW);

describe('parseRetryAfter', () => {
  it.each([
    ['1', 1_000],
    [' 120 ', 120_000],
    ['0', MIN_RETRY_AFTER_MILLIS],
    ['00', MIN_RETRY_AFTER_MILLIS],
    ['86400', MAX_RETRY_AFTER_MILLIS],
    ['9'.repeat(400), MAX_RETRY_AFTER_MILLIS],
    [1.5, 1_500],
    [0, MIN_RETRY_AFTER_MILLIS],
    [Number.POSITIVE_INFINITY, MAX_RETRY_AFTER_MILLIS],
    [['2', '3'], 2_000],
  ])('reads seconds: %s', (value, millis) => {
    expect(parse(value)).toBe(millis);
  });

  it.each([
    ['the preferred form', 'Fri, 06 Nov 2026 08:50:07 GMT', 30_000],
    ['RFC 850', 'Friday, 06-Nov-26 08:50:07 GMT', 30_000],
    ['asctime, which is UTC too', 'Fri Nov  6 08:50:07 2026', 30_000],
    ['a leap second', 'Fri, 06 Nov 2026 08:49:60 GMT', 23_000],
    ['now', 'Fri, 06 Nov 2026 08:49:37 GMT', MIN_RETRY_AFTER_MILLIS],
    ['a date that has passed', 'Sun, 06 Nov 1994 08:49:37 GMT', MIN_RETRY_AFTER_MILLIS],
    [
      'two digits more than 50 years ahead, which are the past',
      'Sunday, 06-Nov-94 08:49:37 GMT',
      MIN_RETRY_AFTER_MILLIS,
    ],
    ['two digits less than 50 years ahead', 'Wednesday, 06-Nov-30 08:49:37 GMT', MAX_RETRY_AFTER_MILLIS],
    ['a far future', 'Fri, 31 Dec 9999 23:59:59 GMT', MAX_RETRY_AFTER_MILLIS],
  ])('reads an HTTP-date: %s', (_, value, millis) => {
    expect(parse(value)).toBe(millis);
  });

  it.each([
    ['-1'],
    ['+1'],
    ['1.5'],
    ['1e3'],
    ['0x10'],
    ['10s'],
    ['1 2'],
    [''],
    ['   '],
    ['soon'],
    ['NaN'],
    ['٣'],
    ['2026-11-06T08:50:07Z'],
    ['Fri, 06 Nov 2026 08:50:07'],
    ['Fri, 06 Nov 2026 08:50:07 +0100'],
    ['Fri, 6 Nov 2026 08:50:07 GMT'],
    ['Mon, 30 Feb 2026 08:50:07 GMT'],
    ['Fri, 00 Nov 2026 08:50:07 GMT'],
    ['Fri, 06 Nov 2026 24:00:00 GMT'],
    ['Fri, 06 Nov 2026 08:60:00 GMT'],
    [-1],
    [Number.NaN],
    [undefined],
    [null],
    [{}],
    [[]],
    [true],
  ])('takes nothing from %s', (value) => {
    expect(parse(value)).toBeUndefined();
  });

  it('takes nothing from a date when the time of day is unknown', () => {
    expect(parseRetryAfter('Fri, 06 Nov 2026 08:50:07 GMT', Number.NaN)).toBeUndefined();
  });
});

describe('boundRetryAfter', () => {
  it('makes any number a bounded positive wait', () => {
    expect(boundRetryAfter(20)).toBe(20);
    expect(boundRetryAfter(Number.NEGATIVE_INFINITY)).toBe(MIN_RETRY_AFTER_MILLIS);
    expect(boundRetryAfter(Number.MAX_VALUE)).toBe(MAX_RETRY_AFTER_MILLIS);
    expect(boundRetryAfter(Number.NaN)).toBeUndefined();
    expect(boundRetryAfter('20')).toBeUndefined();
  });
});
