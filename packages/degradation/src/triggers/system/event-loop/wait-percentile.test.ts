import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { waitPercentile, withoutStops } from './wait-percentile.js';

const one = (lateMillis: number) => ({ count: 1, lateMillis });

describe('how long what arrives at a random instant has to wait', () => {
  it('a block of 2 s in 30 s: 1 % of the time it is more than 1.7 s, though only one tick was late', () => {
    expect(waitPercentile([one(2_000), { count: 1_400, lateMillis: 0.1 }], 30_000, 0.01)).toBeCloseTo(1_700, 0);
  });

  it('a block too short to matter is not seen: 200 ms in 30 s', () => {
    expect(waitPercentile([one(200)], 30_000, 0.01)).toBe(0);
  });

  it('no ticks, no time, early ticks: no wait', () => {
    expect(waitPercentile([], 1_000, 0.01)).toBe(0);
    expect(waitPercentile([one(-5)], 1_000, 0.01)).toBe(0);
    expect(waitPercentile([], 0, 0.01)).toBe(0);
  });

  it('agrees with simulated arrivals', () => {
    const block = fc.record({ count: fc.integer({ min: 1, max: 5 }), lateMillis: fc.integer({ min: 1, max: 2_000 }) });
    fc.assert(
      fc.property(fc.array(block, { maxLength: 6 }), (ticks) => {
        const windowMillis = 60_001;
        const waits: number[] = [];
        for (const { count, lateMillis } of ticks) {
          for (let i = 0; i < count; i++) for (let at = 0; at < lateMillis; at++) waits.push(lateMillis - at);
        }
        waits.sort((a, b) => b - a);
        const simulated = waits[Math.ceil(0.01 * windowMillis) - 1] ?? 0;
        expect(Math.abs(waitPercentile(ticks, windowMillis, 0.01) - simulated)).toBeLessThanOrEqual(1.01);
      }),
      { numRuns: 50 },
    );
  });
});

describe('ticks that were late because the process was stopped', () => {
  const [stop, block, jitter] = [one(60_000), one(3_000), { count: 140, lateMillis: 30 }];

  it('are left out when the loop was idle meanwhile, beside a block and jitter, which stay', () => {
    expect(withoutStops([stop, block, jitter], 3_100)).toEqual([block, jitter]);
    expect(withoutStops([block, stop, one(10_000)], 3_100)).toEqual([block]);
  });

  it('are taken for blocks when the loop was active for that long, or nobody knows', () => {
    expect(withoutStops([stop, block], 63_000)).toEqual([stop, block]);
    expect(withoutStops([stop, block], Number.POSITIVE_INFINITY)).toEqual([stop, block]);
  });

  it('short ones always are', () => {
    expect(withoutStops([one(900), jitter], 0)).toEqual([one(900), jitter]);
  });
});
