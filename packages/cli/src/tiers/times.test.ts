import { describe, expect, it } from 'vitest';
import { durationText, parseDuration, parseTime } from './times.js';

describe('a duration', () => {
  it.each([
    ['30d', 2_592_000_000],
    ['12h', 43_200_000],
    ['1h30m', 5_400_000],
    ['0.5h', 1_800_000],
    ['2w', 1_209_600_000],
    ['0s', 0],
  ])('%s', (text, millis) => expect(parseDuration(text)).toBe(millis));

  it.each([
    ['90d', '90 d'],
    ['90m', '1 h 30 min'],
    ['36h', '1 d 12 h'],
    ['5s', '5.0 s'],
  ])('%s is shown as %s', (text, shown) => expect(durationText(parseDuration(text))).toBe(shown));

  it.each(['', '30', 'd', '-1d', '1y', '1h 30m', '1e3d', '99999999w'])('%j is none', (text) => {
    expect(() => parseDuration(text)).toThrow('expected a duration');
  });
});

describe('a time', () => {
  it.each([
    ['2026-11-21T08:30Z', '2026-11-21T08:30:00.000Z'],
    ['2026-11-21T08:30', '2026-11-21T08:30:00.000Z'],
    ['2026-11-21 08:30:15.5', '2026-11-21T08:30:15.500Z'],
    ['2026-11-21T08:30+02:00', '2026-11-21T06:30:00.000Z'],
    ['2026-11-21', '2026-11-21T00:00:00.000Z'],
  ])('%s is %s', (text, iso) => expect(new Date(parseTime(text)).toISOString()).toBe(iso));

  it('may be how long ago it was', () => {
    const before = Date.now();
    const millis = parseTime('2h');
    expect(millis).toBeGreaterThanOrEqual(before - 7_200_000);
    expect(millis).toBeLessThanOrEqual(Date.now() - 7_200_000);
  });

  it.each(['', 'now', 'yesterday', '2026-02-30', '2026-13-01', '2026-11-21T25:00', '1700000000', '-2h'])(
    '%j is none',
    (text) => {
      expect(() => parseTime(text)).toThrow('expected a time');
    },
  );
});
