import { spanKey } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import type { OrderRecord } from '../processes/shop.js';
import { countKept, promisedFor, trueStandardError } from './kept-orders.js';

const spans = ['a', 'b', 'c'].map((spanId) => ({ spanId, recording: true }));

const order = (values: Partial<OrderRecord> = {}): OrderRecord => ({
  traceId: 'trace',
  spans,
  error: 'none',
  startedAt: 0,
  durationMillis: 10,
  levelAtStart: 'heavy',
  levelAtEnd: 'heavy',
  ...values,
});
const keys = (...spanIds: string[]) => new Set(spanIds.map((spanId) => spanKey({ traceId: 'trace', spanId })));

describe('promisedFor', () => {
  it.each([
    [{ error: 'child' }, 'error'],
    [{ error: 'child', levelAtEnd: 'emergency' }, 'error'],
    [{ error: 'child', levelAtStart: 'emergency' }, undefined],
    [{ error: 'root', levelAtStart: 'emergency' }, 'error'],
    [{ error: 'root', durationMillis: 1_200 }, 'error'],
    [{ durationMillis: 1_200 }, 'slow'],
    [{ durationMillis: 1_200, levelAtStart: 'emergency' }, 'slow'],
    [{ durationMillis: 1_200, levelAtEnd: 'emergency' }, undefined],
    [{ durationMillis: 1_001 }, undefined],
    [{}, undefined],
  ] as const)('%o: %s', (values, promised) => {
    expect(promisedFor(order(values))).toBe(promised);
  });
});

describe('countKept', () => {
  it('wants every span', () => {
    const orders = [order({ error: 'root' }), order()];
    expect(countKept(orders, 'error', keys('a', 'b', 'c'))).toEqual({ expected: 1, received: 1 });
    expect(countKept(orders, 'error', keys('a', 'b'))).toEqual({ expected: 1, received: 0 });
  });

  it('wants spans that were not recorded too, but for those below a request that began at emergency', () => {
    const partly = [{ spanId: 'a', recording: true }, ...spans.slice(1).map((span) => ({ ...span, recording: false }))];
    const failed = (values: Partial<OrderRecord>) => order({ error: 'root', spans: partly, ...values });
    expect(countKept([failed({})], 'error', keys('a')).received).toBe(0);
    expect(countKept([failed({ levelAtStart: 'emergency' })], 'error', keys('a')).received).toBe(1);
    expect(countKept([failed({ levelAtStart: 'emergency' })], 'error', keys()).received).toBe(0);
    expect(countKept([failed({ levelAtStart: 'emergency', spans })], 'error', keys('a')).received).toBe(0);
  });
});

describe('trueStandardError', () => {
  it('comes from what is left to chance', () => {
    expect(trueStandardError([order({ levelAtStart: 'normal' }), order({ error: 'root' })])).toBe(0);
    expect(trueStandardError([order(), order(), order({ levelAtStart: 'light' })]) ** 2).toBeCloseTo(99 + 99 + 1);
  });
});
