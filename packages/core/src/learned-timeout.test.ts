import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LearnedTimeout } from './learned-timeout.js';

const learnedAfter = (millis: number): LearnedTimeout => {
  const timeout = new LearnedTimeout(5_000);
  timeout.acknowledged(millis);
  return timeout;
};

describe('a learned timeout', () => {
  it.each([
    [20, 5_000],
    [5_000, 5_000],
    [5_001, 10_000],
    [10_000, 10_000],
    [12_000, 24_000],
    [16_000, 30_000],
    [60_000, 30_000],
  ])('after an acknowledgement that took %i ms, is %i ms', (afterMillis, expected) => {
    expect(learnedAfter(afterMillis).millis).toBe(expected);
  });

  it('is never less than was configured, however much that is, nor more than that or 30 s', () => {
    const change = fc.record({
      kind: fc.constantFrom('acknowledged', 'unanswered'),
      millis: fc.nat(40_000),
      givenMillis: fc.nat(40_000),
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30_000 }), fc.array(change), (configuredMillis, changes) => {
        const timeout = new LearnedTimeout(configuredMillis);
        let longest = 0;
        for (const { kind, millis, givenMillis } of changes) {
          timeout[kind](millis, givenMillis);
          if (kind === 'acknowledged') longest = Math.max(longest, millis);
          expect(timeout.millis).toBeGreaterThanOrEqual(configuredMillis);
          expect(timeout.millis).toBeLessThanOrEqual(Math.max(configuredMillis, longest > 10_000 ? 30_000 : 10_000));
          expect(timeout.learnedMillis).toBe(timeout.millis > configuredMillis ? timeout.millis : 0);
        }
      }),
    );
  });

  it('comes back when answers are fast again', () => {
    const timeout = learnedAfter(7_000);
    for (let answer = 0; answer < 14; answer++) timeout.acknowledged(20);
    expect(timeout.millis).toBe(5_000);
  });

  it('does not for a few fast answers among slow ones', () => {
    const timeout = learnedAfter(7_000);
    for (let answer = 0; answer < 5; answer++) timeout.acknowledged(1_500);
    expect(timeout.millis).toBeGreaterThan(7_000);
  });

  it('comes back at once when nothing comes in that time, and not for those who had less', () => {
    const timeout = learnedAfter(7_000);
    timeout.unanswered(5_000);
    expect(timeout.millis).toBe(10_000);
    timeout.unanswered(9_999.9);
    expect(timeout.millis).toBe(5_000);
  });

  it('comes back when an exporter with a shorter timeout of its own gives up, unless that is no more than was configured', () => {
    const timeout = learnedAfter(12_000);
    timeout.unanswered(5_000, 24_000);
    expect(timeout.millis).toBe(24_000);
    timeout.unanswered(15_000, 24_000);
    expect(timeout.millis).toBe(12_000);
  });
});
