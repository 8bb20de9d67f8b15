import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BACKOFF_STRATEGIES, type BackoffRule, type BackoffStrategy, createBackoff } from './backoff.js';

const RULE: BackoffRule = {
  strategy: 'exponential',
  initialDelayMillis: 100,
  multiplier: 2,
  maxDelayMillis: 1_000,
  randomizationFactor: 0.1,
};

function delays(strategy: BackoffStrategy, random: number, count: number, rule: Partial<BackoffRule> = {}): number[] {
  const next = createBackoff({ ...RULE, ...rule, strategy }, () => random);
  return Array.from({ length: count }, () => Math.round(next()));
}

describe('createBackoff', () => {
  it.each([
    ['fixed', 0, [90, 90, 90, 90, 90]],
    ['fixed', 1, [110, 110, 110, 110, 110]],
    ['exponential', 0, [90, 180, 360, 720, 900]],
    ['exponential', 0.5, [100, 200, 400, 800, 1_000]],
    ['exponential', 1, [110, 220, 440, 880, 1_000]],
    ['equalJitter', 0, [50, 100, 200, 400, 500]],
    ['equalJitter', 1, [100, 200, 400, 800, 1_000]],
    ['fullJitter', 0, [1, 1, 1, 1, 1]],
    ['fullJitter', 1, [100, 200, 400, 800, 1_000]],
    ['decorrelatedJitter', 0, [100, 100, 100, 100, 100]],
    ['decorrelatedJitter', 0.5, [200, 350, 575, 913, 1_000]],
    ['decorrelatedJitter', 1, [300, 900, 1_000, 1_000, 1_000]],
  ] as const)('%s with random = %d', (strategy, random, expected) => {
    expect(delays(strategy, random, 5)).toEqual(expected);
  });

  it('grows by the multiplier, and not beyond the cap however often it is asked', () => {
    expect(delays('exponential', 0.5, 4, { multiplier: 3 })).toEqual([100, 300, 900, 1_000]);
    expect(delays('exponential', 0.5, 2_000, { multiplier: 100 }).at(-1)).toBe(1_000);
  });

  it('starts anew for every batch', () => {
    expect(delays('decorrelatedJitter', 1, 1)).toEqual(delays('decorrelatedJitter', 1, 1));
  });

  it('keeps every wait within the bounds of its strategy', () => {
    const rules = fc.record({
      strategy: fc.constantFrom(...BACKOFF_STRATEGIES),
      initialDelayMillis: fc.double({ min: 1, max: 5_000, noNaN: true }),
      multiplier: fc.double({ min: 1, max: 100, noNaN: true }),
      maxDelayMillis: fc.double({ min: 5_000, max: 60_000, noNaN: true }),
      randomizationFactor: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    const randoms = fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 1 });
    fc.assert(
      fc.property(rules, randoms, (rule, values) => {
        let drawn = 0;
        const next = createBackoff(rule, () => values[drawn++ % values.length]!);
        let before = rule.initialDelayMillis;
        for (let retry = 0; retry < 12; retry++) {
          const wait = next();
          const [low, high] = boundsOf(rule, retry, before);
          expect(wait).toBeGreaterThanOrEqual(Math.max(1, Math.min(low, rule.maxDelayMillis)) * (1 - 1e-9));
          expect(wait).toBeLessThanOrEqual(Math.min(Math.max(1, high), rule.maxDelayMillis) * (1 + 1e-9));
          before = wait;
        }
      }),
    );
  });
});

function boundsOf(rule: BackoffRule, retry: number, before: number): [low: number, high: number] {
  const { strategy, initialDelayMillis: initial, randomizationFactor: share } = rule;
  const exponential = Math.min(initial * rule.multiplier ** retry, rule.maxDelayMillis);
  const bounds: Record<BackoffStrategy, [number, number]> = {
    fixed: [initial * (1 - share), initial * (1 + share)],
    exponential: [exponential * (1 - share), exponential * (1 + share)],
    equalJitter: [exponential / 2, exponential],
    fullJitter: [0, exponential],
    decorrelatedJitter: [initial, before * 3],
  };
  return bounds[strategy];
}
