import { spanKey } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import type { Level } from '../level.js';
import type { OrderRecord } from '../processes/shop.js';
import { type PlayedPhase, phaseResults } from './phase-results.js';
import { createPressureScenario } from './scenario.js';
import type { Transition } from './transition.js';

const [calm, cpu, cooling] = createPressureScenario(1).phases;
const played: PlayedPhase[] = [
  { phase: calm!, startedAt: 0, endedAt: 100, asked: {}, lowestRatio: 1, reached: true },
  { phase: cpu!, startedAt: 100, endedAt: 200, asked: { cpu: 'heavy' }, lowestRatio: 0.01, reached: true },
  { phase: cooling!, startedAt: 200, endedAt: 300, asked: {}, lowestRatio: 0.01, reached: true },
];
const move = (time: number, from: Level, to: Level): Transition => ({ time, from, to, cause: 'trigger' });
const order = (traceId: string, startedAt: number, levelAtStart: Level): OrderRecord => ({
  traceId,
  startedAt,
  spans: [{ spanId: 's', recording: true }],
  error: 'none',
  durationMillis: 10,
  levelAtStart,
  levelAtEnd: levelAtStart,
});
const root = (traceId: string, traceState: string) => ({
  traceId,
  spanId: 's',
  parentSpanId: '',
  traceState,
  flags: 0,
  statusCode: 0,
  startTimeUnixMillis: 0,
  durationMillis: 10,
});

describe('phaseResults', () => {
  const results = phaseResults(played, {
    orders: [order('a', 0, 'normal'), order('b', 150, 'light'), order('c', 199, 'light'), order('d', 250, 'normal')],
    transitions: [move(120, 'normal', 'light'), move(180, 'light', 'heavy'), move(240, 'heavy', 'moderate')],
    outlines: [root('a', 'ot=th:0'), root('b', 'ot=th:8'), root('d', 'ot=th:0')],
    receivedKeys: new Set([spanKey({ traceId: 'a', spanId: 's' })]),
  });

  it('puts each order into the phase in which it began', () => {
    expect(results.map(({ requests, estimate }) => [requests, estimate.requests])).toEqual([
      [1, 1],
      [2, 2],
      [1, 1],
    ]);
  });

  it('follows the level from phase to phase', () => {
    expect(results.map(({ levels }) => levels.join(' '))).toEqual(['normal', 'normal light heavy', 'heavy moderate']);
    expect(results.map(({ highest }) => highest)).toEqual(['normal', 'heavy', 'heavy']);
    expect(results.map(({ riseMillis }) => riseMillis)).toEqual([undefined, 20, undefined]);
  });
});
