import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CountWindow, TimeWindow } from './windows.js';

interface Call {
  readonly at: number;
  readonly failed: boolean;
  readonly slow: boolean;
}

const sums = (calls: readonly Call[]) => ({
  calls: calls.length,
  failures: calls.filter(({ failed }) => failed).length,
  slow: calls.filter(({ slow }) => slow).length,
});

const held = ({ calls, failures, slow }: TimeWindow | CountWindow) => ({ calls, failures, slow });

const results = fc.array(fc.record({ gap: fc.nat(40_000), failed: fc.boolean(), slow: fc.boolean() }), {
  maxLength: 200,
});

describe('TimeWindow', () => {
  it('holds every call of the last 59/60 of its length and none that is older than its length', () => {
    fc.assert(
      fc.property(results, fc.integer({ min: 100, max: 100_000 }), (gaps, lengthMillis) => {
        const window = new TimeWindow(lengthMillis);
        const calls: Call[] = [];
        let now = 1_000;
        for (const { gap, failed, slow } of gaps) {
          now += gap;
          window.add(now, 1, failed ? 1 : 0, slow ? 1 : 0);
          calls.push({ at: now, failed, slow });
          const atMost = sums(calls.filter(({ at }) => now - at <= lengthMillis));
          const atLeast = sums(calls.filter(({ at }) => now - at < (lengthMillis / 60) * 59 * (1 - 1e-9)));
          for (const sum of ['calls', 'failures', 'slow'] as const) {
            expect(window[sum]).toBeGreaterThanOrEqual(atLeast[sum]);
            expect(window[sum]).toBeLessThanOrEqual(atMost[sum]);
          }
        }
      }),
    );
  });

  it('keeps the first call of a burst for its whole length', () => {
    const window = new TimeWindow(60_000);
    window.add(1_234.5, 1, 1, 0);
    window.advance(61_234.4);
    expect(window.failures).toBe(1);
    window.advance(61_234.5);
    expect(window.failures).toBe(0);
  });

  it('empties while nobody calls', () => {
    const window = new TimeWindow(60_000);
    window.add(0, 10, 9, 8);
    window.advance(10 * 60_000);
    expect(held(window)).toEqual({ calls: 0, failures: 0, slow: 0 });
    window.add(10 * 60_000, 1, 1, 0);
    expect(held(window)).toEqual({ calls: 1, failures: 1, slow: 0 });
  });

  it('forgets everything when cleared, and starts anew', () => {
    const window = new TimeWindow(60_000);
    window.add(0, 10, 9, 8);
    window.add(30_000, 10, 9, 8);
    window.clear();
    expect(held(window)).toEqual({ calls: 0, failures: 0, slow: 0 });
    window.add(30_001, 1, 0, 0);
    window.advance(60_002);
    expect(held(window)).toEqual({ calls: 1, failures: 0, slow: 0 });
  });
});

describe('CountWindow', () => {
  it('holds exactly the last calls, however long ago they were', () => {
    fc.assert(
      fc.property(results, fc.integer({ min: 1, max: 50 }), (gaps, size) => {
        const window = new CountWindow(size);
        const calls: Call[] = [];
        for (const { gap, failed, slow } of gaps) {
          window.add(gap, 1, failed ? 1 : 0, slow ? 1 : 0);
          calls.push({ at: gap, failed, slow });
          expect(held(window)).toEqual(sums(calls.slice(-size)));
        }
      }),
    );
  });

  it('takes on the rates of a report that is larger than itself', () => {
    const window = new CountWindow(20);
    window.add(0, 1_000, 50, 500);
    expect(held(window)).toEqual({ calls: 20, failures: 1, slow: 10 });
  });
});
