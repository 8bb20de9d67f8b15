import type { SpanOutline } from '@otel-resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { adjustedCount } from './adjusted-count.js';
import { estimateRequests } from './request-estimator.js';

const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0');

let spans = 0;
const request = (values: Partial<SpanOutline> = {}): SpanOutline => ({
  traceId: hex(++spans, 32),
  spanId: hex(spans, 16),
  parentSpanId: '',
  traceState: 'ot=th:0',
  flags: 0x101,
  statusCode: 0,
  startTimeUnixMillis: 0,
  durationMillis: 1,
  ...values,
});

describe('adjustedCount', () => {
  it.each([
    ['ot=th:0', 1],
    ['ot=th:8', 2],
    ['ot=th:c', 4],
    ['ot=th:fd70a3d70a3d71', 100],
    ['vendor=th:8, ot=rv:1234567890abcd;th:c', 4],
  ])('%s stands for %d', (traceState, count) => {
    expect(adjustedCount(traceState)).toBeCloseTo(count, 10);
  });

  it.each(['', 'ot=rv:1234567890abcd', 'vendor=th:8', 'ot=th:', 'ot=th:g', 'ot=th:123456789012345', 'ot'])(
    "'%s' says nothing",
    (traceState) => {
      expect(adjustedCount(traceState)).toBeUndefined();
    },
  );
});

describe('estimateRequests', () => {
  it('is exact, and sure of it, where everything was kept', () => {
    const received = [request(), request(), request()];
    expect(estimateRequests(received)).toEqual({ requests: 3, standardError: 0, sample: 3, unknown: 0 });
  });

  it('counts local roots only, each one once', () => {
    const root = request({ traceState: 'ot=th:c' });
    const child = request({ traceId: root.traceId, parentSpanId: root.spanId, traceState: 'ot=th:c' });
    const { requests, sample } = estimateRequests([root, child, root]);
    expect([requests, sample]).toEqual([4, 1]);
    const ofRemoteParent = request({ parentSpanId: root.spanId, flags: 0x301 });
    expect(estimateRequests([ofRemoteParent]).requests).toBe(1);
  });

  it('says what it could not count', () => {
    expect(estimateRequests([request({ traceState: '' }), request()])).toMatchObject({ requests: 1, unknown: 1 });
  });

  it('takes the requests of one trace as one draw', () => {
    const one = request({ traceState: 'ot=th:c' });
    const together = [one, request({ traceId: one.traceId, traceState: 'ot=th:c' })];
    const apart = [one, request({ traceState: 'ot=th:c' })];
    // Both or none: four times the variance of one alone; independently: twice.
    expect(estimateRequests([one]).standardError ** 2).toBeCloseTo(12);
    expect(estimateRequests(apart).standardError ** 2).toBeCloseTo(24);
    expect(estimateRequests(together).standardError ** 2).toBeCloseTo(48);
  });

  it('is unbiased, and so is its variance: the mean over all outcomes is the truth', () => {
    // Two requests in one trace, with thresholds that every multiple of 1/16 decides alike.
    const threshold = fc.integer({ min: 0, max: 15 });
    fc.assert(
      fc.property(threshold, threshold, (a, b) => {
        const outcomes = Array.from({ length: 16 }, (_, randomness) => {
          const kept = [a, b].filter((rejected) => randomness >= rejected);
          return estimateRequests(
            kept.map((rejected) => request({ traceId: 'same', traceState: `ot=th:${hex(rejected, 1)}` })),
          );
        });
        const mean = (of: (estimate: ReturnType<typeof estimateRequests>) => number) =>
          outcomes.reduce((total, outcome) => total + of(outcome), 0) / outcomes.length;
        expect(mean(({ requests }) => requests)).toBeCloseTo(2, 9);
        const variance = mean(({ requests }) => (requests - 2) ** 2);
        expect(mean(({ standardError }) => standardError ** 2)).toBeCloseTo(variance, 9);
      }),
    );
  });
});
