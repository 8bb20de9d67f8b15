import { metrics } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import {
  deliveredOutcome,
  EXPORT_FAILED,
  EXPORT_SUCCESS,
  ExportError,
  type ExportResult,
  failedOutcome,
  followedBy,
  PipelineSignals,
} from '@otel-resilience/core';
import { VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it, vi } from 'vitest';
import { type Answer, batch, fail, hang, Leaf, ok, setUp } from '../../../../test/support/failover.js';
import { FailoverSpanExporter } from './failover-span-exporter.js';
import type { FailoverEvent } from './options.js';

describe('one call', () => {
  it('ends with the first endpoint that takes the spans', async () => {
    const { run, asked } = setUp([ok, ok]);
    expect(await run()).toEqual(deliveredOutcome(10));
    expect(asked()).toEqual([1, 0]);
  });

  it.each(['retryable', 'throttled', 'permanent', 'refused'] as const)(
    'leaves one that is %s for the next',
    async (failure) => {
      const { run, asked } = setUp([fail(failure), ok, ok]);
      expect(await run()).toEqual(deliveredOutcome(10));
      expect(asked()).toEqual([1, 1, 0]);
    },
  );

  it('stops at a shutdown', async () => {
    const { run, asked } = setUp([fail('shutdown'), ok]);
    expect(await run()).toMatchObject({ failure: 'shutdown', remaining: batch });
    expect(asked()).toEqual([1, 0]);
  });

  it('hands on only what remains, and adds up what became of the rest', async () => {
    const seen: number[] = [];
    const half: Answer = (all) =>
      followedBy(
        { ...deliveredOutcome(4, 1), remaining: all } as never,
        failedOutcome(all.slice(4), 'retryable', new Error('half')),
      );
    const { run } = setUp([
      half,
      (rest) => {
        seen.push(rest.spanCount);
        return fail('permanent')(rest, undefined as never);
      },
      (rest) => deliveredOutcome(rest.spanCount, 2),
    ]);
    expect(await run()).toEqual(deliveredOutcome(10, 3));
    expect(seen).toEqual([6]);
  });

  it('leaves a hung endpoint after attemptTimeoutMillis and tells it so', async () => {
    const { run, clock, a } = setUp([hang, ok], { attemptTimeoutMillis: 700 });
    const startedAt = clock.now();
    expect(await run()).toEqual(deliveredOutcome(10));
    expect(clock.now() - startedAt).toBe(700);
    expect(a.calls[0]!.signal.aborted).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  it('never lasts beyond its deadline, nor starts an attempt without time left', async () => {
    const { run, clock, asked } = setUp([hang, ok]);
    const startedAt = clock.now();
    const outcome = await run({ deadline: startedAt + 300 });
    expect(clock.now() - startedAt).toBe(300);
    expect(outcome).toMatchObject({ failure: 'retryable', remaining: batch });
    expect(asked()).toEqual([1, 0]);
    await run({ deadline: clock.now() });
    expect(asked()).toEqual([1, 0]);
  });

  it('is never permanent when an endpoint was not asked for lack of time', async () => {
    const virtual = new VirtualClock();
    let lateMillis = 0;
    const clock = Object.assign(Object.create(virtual) as VirtualClock, { now: () => virtual.now() + lateMillis });
    const { send, asked } = setUp(
      [
        (all, context) => {
          // The event loop was blocked: the time is over, and no timer has fired.
          lateMillis = 5_000;
          return fail('permanent')(all, context);
        },
        fail('permanent'),
      ],
      { clock },
    );
    expect(await send({ deadline: clock.now() + 3_000 })).toMatchObject({
      failure: 'retryable',
      error: { code: 'DEADLINE_EXCEEDED' },
    });
    expect(asked()).toEqual([1, 0]);
  });

  it('ends at once when its caller gives it up', async () => {
    const { send, abort, clock, asked } = setUp([hang, ok]);
    const outcome = send();
    abort.abort(new ExportError('SHUTDOWN', 'stop'));
    expect(await outcome).toMatchObject({ failure: 'shutdown', remaining: batch });
    expect(asked()).toEqual([1, 0]);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('strategies', () => {
  it('roundRobin spreads calls, also over those who are left', async () => {
    const { run, asked } = setUp([ok, fail('retryable'), ok], { strategy: 'roundRobin' });
    for (let call = 0; call < 40; call++) await run();
    const [first, failing, third] = asked();
    expect(failing).toBe(3);
    expect(Math.abs(first! - third!)).toBeLessThanOrEqual(3);
  });

  it('fastest finds the endpoint with the lowest latency', async () => {
    const clock = new VirtualClock();
    const after =
      (latencyMillis: number): Answer =>
      async (all) => {
        await new Promise<void>((resolve) => clock.setTimeout(resolve, latencyMillis));
        return deliveredOutcome(all.spanCount);
      };
    const { run, asked, failover } = setUp([after(90), after(10)], { strategy: 'fastest', clock });
    for (let call = 0; call < 50; call++) await run();
    expect(asked()).toEqual([1, 49]);
    expect(failover.endpoints().map(({ ewmaMillis }) => Math.round(ewmaMillis!))).toEqual([90, 10]);
  });

  it('fastest does not take an endpoint that fails at once for a fast one', async () => {
    const { run, asked } = setUp([fail('permanent'), ok], { strategy: 'fastest' });
    for (let call = 0; call < 20; call++) await run();
    expect(asked()[0]).toBe(1);
  });

  it('leastInFlight turns away from an endpoint that holds calls open', async () => {
    const { send, clock, asked } = setUp([hang, ok], { strategy: 'leastInFlight' });
    const first = send();
    for (let call = 0; call < 5; call++) await send();
    expect(asked()).toEqual([1, 5]);
    await clock.run(first);
  });
});

describe('what it tells', () => {
  it('counts and reports a failover once spans have been handed over, by which endpoint to which', async () => {
    const events: FailoverEvent[] = [];
    const { run, failover } = setUp([fail('retryable'), fail('permanent'), ok], {
      onFailover: (event) => {
        events.push(event);
        throw new Error('changes nothing');
      },
    });
    expect(await run()).toEqual(deliveredOutcome(10));
    expect(events.map(({ from, to, failure, spanCount }) => ({ from, to, failure, spanCount }))).toEqual([
      { from: 'A', to: 'B', failure: 'retryable', spanCount: 10 },
      { from: 'B', to: 'C', failure: 'permanent', spanCount: 10 },
    ]);
    expect(failover.stats()).toEqual({ failovers: 2, lastResorts: 0 });
    expect(failover.endpoints().map(({ counts }) => counts.failovers)).toEqual([1, 1, 0]);
  });

  it('names the endpoints in its error, and what each has said, without secrets', async () => {
    const notFound = Object.assign(new Error('POST https://me:s3cret@a/v1/trace: Not Found'), { code: 404 });
    const { run } = setUp([fail('permanent', undefined, notFound), hang]);
    const { error } = await run();
    expect(error?.message).toBe(
      'A: 404: POST https://a/v1/trace: Not Found; B: DEADLINE_EXCEEDED: no answer within 2000 ms',
    );
    expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED', cause: { message: 'no answer within 2000 ms' } });
  });

  it('shows the endpoints without secrets', async () => {
    const secret = new Error('POST https://me:s3cret@a.example/v1/traces?key=s3cret: 503');
    const { run, failover, clock } = setUp([fail('retryable', undefined, secret), ok]);
    await run();
    const [a, b] = failover.endpoints();
    expect(a).toMatchObject({
      name: 'A',
      state: 'closed',
      inFlight: 0,
      counts: { attempts: 1, succeeded: 0, deliveredSpans: 0, failed: { retryable: 1, permanent: 0 } },
      lastFailure: { failure: 'retryable', at: clock.wallTime() },
    });
    expect(b).toMatchObject({ counts: { attempts: 1, succeeded: 1, deliveredSpans: 10 }, lastFailure: undefined });
    expect(JSON.stringify([a, b])).not.toContain('s3cret');
  });

  it('counts failovers as a metric, by endpoint', async () => {
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
    metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));
    try {
      const { run, failover } = setUp([fail('permanent'), ok]);
      const { componentName } = Reflect.get(failover, 'instruments') as { componentName: string };
      const collected = async () => {
        const { resourceMetrics } = await reader.collect();
        const all = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
        const points = all.find(
          ({ descriptor }) => descriptor.name === 'otel_resilience.exporter.failovers',
        )?.dataPoints;
        const own = points?.filter(({ attributes }) => attributes['otel.component.name'] === componentName);
        return own?.map(({ attributes, value }) => [attributes['otel_resilience.endpoint'], value]);
      };
      await run();
      await run();
      expect(await collected()).toEqual([
        ['A', 2],
        ['B', 0],
      ]);
    } finally {
      metrics.disable();
      await reader.shutdown();
    }
  });

  it('publishes the share of failed endpoints until it is shut down', async () => {
    const signals = new PipelineSignals();
    const { run, failover } = setUp([fail('retryable'), ok, ok, ok], { signals });
    expect(signals.read('failedEndpoints')).toBe(0);
    for (let call = 0; call < 3; call++) await run();
    expect(signals.read('failedEndpoints')).toBe(0.25);
    await failover.shutdown();
    expect(signals.read('failedEndpoints')).toBeUndefined();
  });

  it('tells signals of every attempt that fails, when its breaker knows', async () => {
    const signals = new PipelineSignals();
    const { run } = setUp([fail('retryable'), ok], { signals });
    const shares: Array<number | undefined> = [];
    signals.onChange(() => shares.push(signals.read('failedEndpoints')));
    for (let call = 0; call < 4; call++) await run();
    expect(shares).toEqual([0, 0, 0.5]);
  });
});

describe('as an exporter', () => {
  it('takes the least concurrency and the form of its children', () => {
    const one = { export: () => {}, shutdown: async () => {} };
    const failover = new FailoverSpanExporter({
      endpoints: [
        { name: 'ours', exporter: new Leaf() },
        { name: 'stock', exporter: one },
      ],
    });
    expect(failover.maxConcurrentExports).toBe(1);
    expect(failover.prefers).toBe('spans');
  });

  it('is a stock SpanExporter', async () => {
    const { failover, a, b } = setUp([fail('retryable'), ok]);
    const exported = () => new Promise<ExportResult>((resolve) => failover.export(batch.spans(), resolve));
    expect(await exported()).toEqual({ code: EXPORT_SUCCESS });
    b.answer = fail('permanent', undefined, new Error('no'));
    a.answer = fail('permanent', undefined, new Error('no'));
    expect(await exported()).toMatchObject({
      code: EXPORT_FAILED,
      error: { message: 'A: no; B: no', cause: { message: 'no' } },
    });
  });

  it('goes on to the next endpoint when a hung one answers refused because its slot is taken', async () => {
    const hung = vi.fn();
    const clock = new VirtualClock();
    const { run } = setUp([], {
      clock,
      endpoints: [
        { name: 'hung', exporter: { export: hung, shutdown: async () => {} } },
        { name: 'B', exporter: new Leaf() },
      ],
    });
    const startedAt = clock.now();
    expect(await run()).toEqual(deliveredOutcome(10));
    expect(clock.now() - startedAt).toBe(2_000);
    expect(await run()).toEqual(deliveredOutcome(10));
    expect(clock.now() - startedAt).toBe(2_000);
    expect(hung).toHaveBeenCalledTimes(1);
  });

  it('flushes when its open calls have ended', async () => {
    const { send, failover, clock } = setUp([hang, ok]);
    const outcome = send();
    let flushed = false;
    const flush = failover.forceFlush().then(() => {
      flushed = true;
    });
    await clock.settle();
    expect(flushed).toBe(false);
    await clock.run(flush);
    expect(await outcome).toEqual(deliveredOutcome(10));
    expect(clock.pendingTimers).toBe(0);
  });

  it('shuts every endpoint down, asks nobody any more, and leaves nothing open', async () => {
    const { send, failover, clock, a, b, asked } = setUp([hang, ok]);
    const open = send();
    await clock.run(failover.shutdown());
    expect(await open).toMatchObject({ failure: 'shutdown', remaining: batch });
    expect(await send()).toMatchObject({ failure: 'shutdown', remaining: batch });
    expect([a.stopped, b.stopped]).toEqual([1, 1]);
    expect(asked()).toEqual([1, 0]);
    expect(clock.pendingTimers).toBe(0);
    expect(failover.shutdown()).toBe(failover.shutdown());
  });
});
