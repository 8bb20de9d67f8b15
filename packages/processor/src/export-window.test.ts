import {
  deliveredOutcome,
  droppedOutcome,
  ExportError,
  type ExportOutcome,
  type Failure,
  failedOutcome,
  followedBy,
  rejectedOutcome,
  SpanBatch,
  storedOutcome,
} from '@otel-resilience/core';
import { fakeSpans } from '@otel-resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ExportWindow } from './export-window.js';

const batch = SpanBatch.fromSpans(fakeSpans(10));
const failed = (failure: Failure, error: Error = new Error('no')) => failedOutcome(batch, failure, error);
const timedOut = failed('retryable', new ExportError('DEADLINE_EXCEEDED', 'late'));

function windowOf(...outcomes: ExportOutcome[]): ExportWindow {
  const window = new ExportWindow(0);
  for (const outcome of outcomes) window.observe(outcome, 10, 50, 0);
  return window;
}

describe('ExportWindow', () => {
  it('has nothing to say before the first export, nor of what was put to nobody', () => {
    const window = windowOf(failed('refused'), failed('shutdown'), droppedOutcome(10, 'shutdown'));
    expect(window.rates(0)).toEqual({ count: 0, errorRate: Number.NaN, timeoutRate: Number.NaN });
    expect(window.latencyP95Millis(0)).toBeNaN();
  });

  it.each([
    ['delivered', deliveredOutcome(10), 0, 0],
    ['stored in a spool', storedOutcome(10), 0, 0],
    ['failed', failed('retryable'), 1, 0],
    ['throttled', failed('throttled'), 1, 0],
    ['refused for good', failed('permanent'), 1, 0],
    ['rejected', rejectedOutcome(10), 1, 0],
    ['dropped behind us', droppedOutcome(10, 'spool_full'), 1, 0],
    ['rejected in part', deliveredOutcome(10, 3), 0.3, 0],
    ['stored for the rest', followedBy(deliveredOutcome(4), storedOutcome(6)), 0, 0],
    [
      'refused for the rest',
      followedBy(deliveredOutcome(6), failedOutcome(batch.slice(6), 'refused', new Error())),
      0,
      0,
    ],
    ['timed out', timedOut, 1, 1],
    ['timed out by gRPC', failed('retryable', Object.assign(new Error('Deadline exceeded'), { code: 4 })), 1, 1],
    ['timed out by a socket', failed('retryable', Object.assign(new Error('no'), { code: 'ETIMEDOUT' })), 1, 1],
    ['timed out by the stock HTTP exporter', failed('retryable', new Error('Request timed out')), 1, 1],
    [
      'timed out for a part',
      followedBy(deliveredOutcome(6), { ...timedOut, remaining: batch.slice(6) } as never),
      0.4,
      0.4,
    ],
  ])('counts an export that is %s', (_, outcome, errorRate, timeoutRate) => {
    const rates = windowOf(outcome).rates(0);
    expect(rates.count).toBe(1);
    expect(rates.errorRate).toBeCloseTo(errorRate);
    expect(rates.timeoutRate).toBeCloseTo(timeoutRate);
  });

  it('gives every export the same weight', () => {
    const window = windowOf(deliveredOutcome(10), deliveredOutcome(10), failed('retryable'));
    window.observe(deliveredOutcome(10_000), 10_000, 50, 0);
    expect(window.rates(0).errorRate).toBe(0.25);
  });

  it('forgets what is older than a minute, in steps of 5 s', () => {
    const window = windowOf(failed('retryable'));
    window.observe(deliveredOutcome(10), 10, 200, 30_000);
    expect(window.rates(54_999)).toMatchObject({ count: 2, errorRate: 0.5 });
    expect(window.rates(60_000)).toMatchObject({ count: 1, errorRate: 0 });
    expect(window.latencyP95Millis(60_000)).toBe(200);
    expect(window.rates(90_000)).toMatchObject({ count: 0, errorRate: Number.NaN });
  });

  it('measures the p95 of exports that reached a receiver', () => {
    const window = new ExportWindow(0);
    for (let i = 1; i <= 100; i++) window.observe(deliveredOutcome(1), 1, i, i * 500);
    window.observe(storedOutcome(1), 1, 10_000, 50_000);
    expect(window.latencyP95Millis(50_000)).toBe(95);
  });

  it('takes no more memory for more exports', () => {
    const window = new ExportWindow(0);
    for (let i = 0; i < 100_000; i++) window.observe(deliveredOutcome(1), 1, i % 100, i);
    expect(JSON.stringify(window).length).toBeLessThan(10_000);
    expect(window.rates(100_000).count).toBeGreaterThan(50_000);
  });

  it('bears a clock that jumps, either way', () => {
    const jumps = fc.array(fc.tuple(fc.integer({ min: -1e12, max: 1e12 }), fc.boolean()), { maxLength: 50 });
    fc.assert(
      fc.property(jumps, (steps) => {
        const window = new ExportWindow(0);
        let now = 0;
        for (const [jump, isFailed] of steps) {
          now += jump;
          window.observe(isFailed ? failed('retryable') : deliveredOutcome(10), 10, jump, now);
          const { count, errorRate, timeoutRate } = window.rates(now);
          expect(count).toBeGreaterThan(0);
          expect(errorRate).toBeGreaterThanOrEqual(0);
          expect(errorRate).toBeLessThanOrEqual(1);
          expect(timeoutRate).toBe(0);
          expect(window.latencyP95Millis(now)).toBeGreaterThanOrEqual(0);
        }
        expect(window.rates(now + 60_000).count).toBe(0);
      }),
    );
  });

  it('forgets nothing when the clock jumps back, and goes on forgetting from there', () => {
    const window = new ExportWindow(1_000_000);
    window.observe(failed('retryable'), 10, 50, 1_000_000);
    expect(window.rates(0).count).toBe(1);
    expect(window.rates(54_999).count).toBe(1);
    expect(window.rates(60_000).count).toBe(0);
  });
});
