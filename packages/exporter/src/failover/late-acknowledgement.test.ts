import {
  adaptSpanExporter,
  deliveredOutcome,
  ExportError,
  failedOutcome,
  type SpanExporter,
} from '@otel-resilience/core';
import { VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { type Answer, batch, fail, hang, ok, setUp } from '../../../../test/support/failover.js';
import { RetryingSpanExporter } from '../retry/index.js';
import { FailoverSpanExporter } from './failover-span-exporter.js';

/** An endpoint that acknowledges everything, `latency.millis` after it was asked, whether or not anybody waits. */
function slow(latencyMillis: number, options: { attemptTimeoutMillis?: number } = {}) {
  const clock = new VirtualClock();
  const latency = { millis: latencyMillis };
  const answer: Answer = async (all) => {
    await new Promise<void>((resolve) => clock.setTimeout(resolve, latency.millis));
    return deliveredOutcome(all.spanCount);
  };
  const world = setUp([answer], { clock, ...options });
  const status = () => world.failover.endpoints()[0]!;
  /** Until nothing is under way any more. */
  const runAndWait = async () => {
    const outcome = await world.run();
    await clock.advance(latency.millis);
    return outcome;
  };
  return { ...world, clock, latency, status, runAndWait };
}

describe('an endpoint that acknowledges after its attempt was given up', () => {
  it('gets twice the time it took, so that it is used from then on', async () => {
    const { runAndWait, status } = slow(2_100);
    expect(status()).toMatchObject({ attemptTimeoutMillis: 2_000, counts: { lateAcknowledgedSpans: 0 } });
    expect(await runAndWait()).toMatchObject({ failure: 'retryable', error: { code: 'DEADLINE_EXCEEDED' } });
    expect(status()).toMatchObject({ attemptTimeoutMillis: 4_200, counts: { lateAcknowledgedSpans: 10 } });
    for (let call = 0; call < 20; call++) expect(await runAndWait()).toEqual(deliveredOutcome(10));
    expect(status()).toMatchObject({
      attemptTimeoutMillis: 4_200,
      counts: { attempts: 21, lateAcknowledgedSpans: 10 },
    });
  });

  it.each([
    [9_500, {}, 10_000],
    [9_500, { attemptTimeoutMillis: 9_000 }, 10_000],
    [12_000, {}, 24_000],
    [16_000, {}, 30_000],
    [60_000, {}, 30_000],
    [50_000, { attemptTimeoutMillis: 40_000 }, 40_000],
  ])(
    'gets no more than 10 s, or 30 s if it took more than 10 s, unless it had more: after %i ms with %j',
    async (latencyMillis, options, expected) => {
      const { runAndWait, status } = slow(latencyMillis, options);
      await runAndWait();
      expect(status().attemptTimeoutMillis).toBe(expected);
    },
  );

  it('is bounded by the deadline of the call all the same', async () => {
    const { runAndWait, send, clock } = slow(2_100);
    await runAndWait();
    const startedAt = clock.now();
    await clock.run(send({ deadline: startedAt + 300 }));
    expect(clock.now() - startedAt).toBe(300);
  });

  it('gets less again when it answers well within that', async () => {
    const { runAndWait, status, latency } = slow(2_100);
    await runAndWait();
    latency.millis = 20;
    const timeouts: number[] = [];
    for (let call = 0; call < 15; call++) {
      await runAndWait();
      timeouts.push(status().attemptTimeoutMillis);
    }
    expect(timeouts).toEqual(timeouts.toSorted((a, b) => b - a));
    expect(timeouts[0]).toBeLessThan(4_200);
    expect(timeouts.at(-1)).toBe(2_000);
  });

  it('gets less again when it answers no more', async () => {
    const { runAndWait, run, status, a } = slow(4_500);
    await runAndWait();
    expect(status().attemptTimeoutMillis).toBe(9_000);
    a.answer = hang;
    await run();
    expect(status().attemptTimeoutMillis).toBe(4_500);
    for (let call = 0; call < 2; call++) await run();
    expect(status().attemptTimeoutMillis).toBe(2_000);
  });

  it('gets less again when the timeout of its own exporter ends what is not answered', async () => {
    const { runAndWait, run, status, a, clock } = slow(12_000);
    await runAndWait();
    expect(status().attemptTimeoutMillis).toBe(24_000);
    a.answer = async (all) => {
      await new Promise<void>((resolve) => clock.setTimeout(resolve, 20_000));
      return failedOutcome(all, 'retryable', new ExportError('DEADLINE_EXCEEDED', 'no answer within 20000 ms'));
    };
    for (const expected of [12_000, 6_000, 3_000, 2_000]) {
      await run();
      expect(status().attemptTimeoutMillis).toBe(expected);
    }
  });

  it('does not get more for what never comes, nor for a late failure', async () => {
    const clock = new VirtualClock();
    const failsLate: Answer = async (all, context) => {
      await new Promise<void>((resolve) => clock.setTimeout(resolve, 2_100));
      return fail('retryable')(all, context);
    };
    const { run, failover } = setUp([hang, failsLate], { clock });
    await run();
    await clock.advance(60_000);
    expect(failover.endpoints().map(({ attemptTimeoutMillis }) => attemptTimeoutMillis)).toEqual([2_000, 2_000]);
  });

  it('is no success for its breaker', async () => {
    const { runAndWait, status, a } = slow(2_100);
    await runAndWait();
    a.answer = fail('retryable');
    for (let call = 0; call < 2; call++) await runAndWait();
    expect(status().state).toBe('open');
  });
});

describe('an endpoint whose exporter cancels what is given up', () => {
  /** Acknowledges after `latencyMillis`, unless it is cancelled. */
  function cancellable(latencyMillis: number) {
    const clock = new VirtualClock();
    const first: Answer = (all, { signal }) =>
      new Promise((resolve) => {
        const timer = clock.setTimeout(() => resolve(deliveredOutcome(all.spanCount)), latencyMillis);
        signal.addEventListener('abort', () => {
          clock.clearTimeout(timer);
          resolve(failedOutcome(all, 'retryable', signal.reason));
        });
      });
    return { first, clock };
  }

  it('is heard of from its second late attempt on, and then has the time it takes', async () => {
    const { first, clock } = cancellable(3_000);
    const { run, failover } = setUp([first], { clock });
    for (let call = 0; call < 2; call++) await run();
    await clock.advance(1_000);
    expect(failover.endpoints()).toMatchObject([
      { attemptTimeoutMillis: 6_000, counts: { lateAcknowledgedSpans: 10 } },
    ]);
    for (let call = 0; call < 20; call++) expect(await run()).toEqual(deliveredOutcome(10));
  });

  it('is said to need a longer timeout, or to be dead, when it has been waited for in vain', async () => {
    const { first, clock } = cancellable(Number.POSITIVE_INFINITY);
    const { run, failover } = setUp([first, ok], { clock });
    await run();
    const message = () => failover.endpoints()[0]!.lastFailure!.message;
    expect(message()).toBe('DEADLINE_EXCEEDED: no answer within 2000 ms');
    await run();
    await clock.advance(60_000);
    await run();
    expect(message()).toMatch(
      /^DEADLINE_EXCEEDED: no answer within 2000 ms, and no answer within 30000 ms to a call .* timeoutMillis/,
    );
  });

  it.each([3_000, Number.POSITIVE_INFINITY])(
    'keeps nobody from the next for longer: after %s ms',
    async (latencyMillis) => {
      const { first, clock } = cancellable(latencyMillis);
      const { run, asked } = setUp([first, ok], { clock });
      for (let call = 1; call <= 2; call++) {
        const startedAt = clock.now();
        expect(await run()).toEqual(deliveredOutcome(10));
        expect([clock.now() - startedAt, ...asked()]).toEqual([2_000, call, call]);
      }
    },
  );
});

describe('the news of a late acknowledgement', () => {
  it('comes once, through adapter, breaker, failover and retry, to the caller', async () => {
    const clock = new VirtualClock();
    const late: number[] = [];
    const stock: SpanExporter = {
      export: (_, callback) => void clock.setTimeout(() => callback({ code: 0 }), 2_100),
      shutdown: async () => {},
    };
    const endpoints = ['A', 'B'].map((name) => ({ name, exporter: adaptSpanExporter(stock, { clock }) }));
    const failover = new FailoverSpanExporter({ endpoints, clock });
    const retry = new RetryingSpanExporter({ exporter: failover, maxRetries: 0, clock });
    const outcome = retry.exportBatch(batch, {
      signal: new AbortController().signal,
      deadline: clock.now() + 30_000,
      onLateAcknowledgement: (spans) => void late.push(spans),
    });
    expect(await clock.run(outcome)).toMatchObject({ failure: 'retryable' });
    await clock.advance(10_000);
    expect(late).toEqual([10, 10]);
    expect(failover.endpoints().map(({ counts }) => counts.lateAcknowledgedSpans)).toEqual([10, 10]);
    expect(retry.stats().lateAcknowledged).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });
});
