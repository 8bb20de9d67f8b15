import { describe, expect, it } from 'vitest';
import { BatchSize } from './batch-size.js';

const INTERVAL = 30_000;

function setUp() {
  const size = new BatchSize(
    { initial: 1_000, min: 100, max: 2_500, targetLatencyMillis: 1_000, intervalMillis: INTERVAL },
    0,
  );
  let now = 0;
  /** One interval in which every export took as long. */
  const interval = (durationMillis: number, { full = true, backlog = false } = {}) => {
    for (let i = 1; i <= 20; i++) size.observe({ durationMillis, full, backlog }, now + (i * INTERVAL) / 20);
    now += INTERVAL;
    return size.current;
  };
  return { size, interval };
}

describe('BatchSize', () => {
  it('shrinks to nine tenths per interval while exports are slow, down to the least', () => {
    const { interval } = setUp();
    expect([interval(1_001), interval(5_000)]).toEqual([900, 810]);
    for (let i = 0; i < 50; i++) interval(5_000);
    expect(interval(5_000)).toBe(100);
  });

  it('grows to eleven tenths while they are fast, up to the most, but only if batches leave full', () => {
    const { interval } = setUp();
    expect(interval(1_000, { full: false })).toBe(1_000);
    expect([interval(1_000), interval(10)]).toEqual([1_100, 1_210]);
    for (let i = 0; i < 50; i++) interval(10);
    expect(interval(10)).toBe(2_500);
  });

  it('does not shrink while full batches wait: smaller ones would only carry less', () => {
    const { interval } = setUp();
    expect(interval(1_900, { backlog: true })).toBe(1_000);
    expect(interval(1_900)).toBe(900);
  });

  it('goes by the p95, and changes nothing within an interval', () => {
    const { size } = setUp();
    for (let i = 1; i < 20; i++) size.observe({ durationMillis: 10, full: true, backlog: false }, i * 1_000);
    expect(size.current).toBe(1_000);
    size.observe({ durationMillis: 9_000, full: true, backlog: false }, INTERVAL);
    expect(size.current).toBe(1_100);
  });
});
