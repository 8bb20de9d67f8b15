import { deliveredOutcome, ExportError, failedOutcome, type ReadableSpan, SpanBatch } from '@otel-resilience/core';
import { VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { CircuitBreaker, CircuitBreakerSpanExporter } from '../circuit-breaker/index.js';
import { Endpoint } from './endpoint.js';

const exporter = { export: () => {}, shutdown: async () => {} };
const batch = SpanBatch.fromSpans([{}] as ReadableSpan[]);
const refused = failedOutcome(batch, 'refused', new ExportError('REFUSED', 'its breaker is open'));
const failed = failedOutcome(batch, 'retryable', new Error('connect ECONNREFUSED'));

function setUp() {
  const clock = new VirtualClock();
  const endpoint = new Endpoint({ name: 'A', exporter, priority: 0, weight: 1 }, clock, 2_000);
  return { clock, endpoint };
}

describe('an endpoint', () => {
  it('keeps its turn when nobody was asked after all', async () => {
    const { clock, endpoint } = setUp();
    endpoint.begin(4).end(failed);
    const { lastAttemptAt } = endpoint;
    await clock.advance(400);
    endpoint.begin(7).end(refused);
    expect(endpoint).toMatchObject({ lastTurn: 4, lastAttemptAt });
  });

  it('does not give a turn back that a later attempt has taken', () => {
    const { endpoint } = setUp();
    const early = endpoint.begin(1);
    endpoint.begin(2);
    early.end(refused);
    expect(endpoint.lastTurn).toBe(2);
  });

  it('shows the last thing it said itself, not that it was left alone since', () => {
    const { endpoint } = setUp();
    endpoint.begin(1).end(failed);
    endpoint.begin(2).end(refused);
    expect(endpoint.status()).toMatchObject({
      lastFailure: { failure: 'retryable', message: 'connect ECONNREFUSED' },
      counts: { attempts: 2, failed: { retryable: 1, refused: 1 } },
    });
  });

  it('shows that it refuses spans for good, why and how many, until it takes some', async () => {
    const { clock, endpoint } = setUp();
    const notFound = Object.assign(new Error('Not Found'), { code: 404 });
    const rejected = failedOutcome(batch, 'permanent', notFound);
    const since = clock.wallTime();
    endpoint.begin(1).end(rejected);
    await clock.advance(5_000);
    endpoint.begin(2).end(rejected);
    endpoint.begin(3).end(failed);
    expect(endpoint.status()).toMatchObject({
      state: 'closed',
      rejecting: { message: '404: Not Found', spans: 2, since },
      counts: { rejectedSpans: 2 },
    });
    endpoint.begin(4).end(deliveredOutcome(3, 1));
    expect(endpoint.status()).toMatchObject({ rejecting: undefined, counts: { rejectedSpans: 3 } });
  });

  it('keeps the last thing it said itself through a shutdown', () => {
    const { endpoint } = setUp();
    endpoint.begin(1).end(failed);
    endpoint.begin(2).end(failedOutcome(batch, 'shutdown', new ExportError('SHUTDOWN', 'shut down')));
    expect(endpoint.status().lastFailure).toMatchObject({ failure: 'retryable', message: 'connect ECONNREFUSED' });
  });

  it('is passed over for a reason that says how it failed', () => {
    const { endpoint } = setUp();
    endpoint.begin(1).end(failed);
    endpoint.exporter.breaker.trip();
    expect(endpoint.refusal()?.error.message).toMatch(/^A was not asked: .*forced-open.*connect ECONNREFUSED/);
  });

  it('averages latency over answers, refusals aside', async () => {
    const { clock, endpoint } = setUp();
    const answer = async (turn: number, millis: number) => {
      const attempt = endpoint.begin(turn);
      await clock.advance(millis);
      attempt.end(deliveredOutcome(1));
    };
    await answer(1, 100);
    expect(endpoint.ewmaMillis).toBe(100);
    endpoint.begin(2).end(refused);
    await answer(3, 200);
    expect(endpoint.ewmaMillis).toBeCloseTo(130);
  });

  it.each([
    ['closed', () => {}, false],
    ['disabled', (breaker: CircuitBreaker) => breaker.disable(), false],
    ['metrics-only', (breaker: CircuitBreaker) => breaker.metricsOnly(), false],
    ['forced-open', (breaker: CircuitBreaker) => breaker.trip(), true],
    ['open', (breaker: CircuitBreaker) => breaker.recordBatch({ failures: 5 }), true],
  ] as const)('has failed by its breaker alone: %s', (state, prepare, isFailed) => {
    const breaker = new CircuitBreaker();
    const guarded = new CircuitBreakerSpanExporter({ exporter, breaker });
    const endpoint = new Endpoint({ name: 'A', exporter: guarded, priority: 0, weight: 1 }, new VirtualClock(), 2_000);
    prepare(breaker);
    expect(endpoint.status().state).toBe(state);
    expect(endpoint.isFailed).toBe(isFailed);
    expect(endpoint.refusal()?.failure).toBe(isFailed ? 'refused' : undefined);
  });
});
