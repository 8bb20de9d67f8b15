import { metrics } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import {
  ConfigurationError,
  deliveredOutcome,
  EXPORT_FAILED,
  EXPORT_SUCCESS,
  type ExportContext,
  ExportError,
  type ExportOutcome,
  type ExportResult,
  type Failure,
  failedOutcome,
  followedBy,
  PipelineSignals,
  type ReadableSpan,
  SpanBatch,
  SpanBatchExporterBase,
} from '@otel-resilience/core';
import { VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it, vi } from 'vitest';
import { CircuitBreakerSpanExporter } from '../circuit-breaker/index.js';
import { FailoverSpanExporter } from './failover-span-exporter.js';
import type { FailoverEvent, FailoverSpanExporterOptions } from './options.js';

type Answer = (batch: SpanBatch, context: ExportContext) => ExportOutcome | Promise<ExportOutcome>;

const ok: Answer = (batch) => deliveredOutcome(batch.spanCount);
const hang: Answer = () => new Promise(() => {});
const fail =
  (failure: Failure, retryAfterMillis?: number, error = new Error(failure)): Answer =>
  (batch) =>
    failedOutcome(batch, failure, error, retryAfterMillis);

class Leaf extends SpanBatchExporterBase {
  override readonly prefers = 'spans';
  calls: ExportContext[] = [];
  stopped = 0;
  answer: Answer;

  constructor(answer: Answer = ok) {
    super();
    this.answer = answer;
  }

  async exportBatch(batch: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    this.calls.push(context);
    return this.answer(batch, context);
  }

  protected override async onShutdown(): Promise<void> {
    this.stopped++;
  }
}

const batch = SpanBatch.fromSpans(Array.from({ length: 10 }, () => ({}) as ReadableSpan));

function setUp(answers: Answer[], options: Partial<FailoverSpanExporterOptions> = {}) {
  const clock = (options.clock as VirtualClock | undefined) ?? new VirtualClock();
  const leaves = answers.map((answer) => new Leaf(answer));
  const failover = new FailoverSpanExporter({
    endpoints: leaves.map((exporter, index) => ({ name: 'ABCDEF'[index]!, exporter })),
    clock,
    ...options,
  });
  const abort = new AbortController();
  const send = (context: Partial<ExportContext> = {}) =>
    failover.exportBatch(batch, { signal: abort.signal, deadline: clock.now() + 30_000, ...context });
  const run = (context?: Partial<ExportContext>) => clock.run(send(context));
  const asked = () => leaves.map(({ calls }) => calls.length);
  const states = () => failover.endpoints().map(({ state }) => state);
  const [a, b, c, d] = leaves as [Leaf, Leaf, Leaf, Leaf];
  return { clock, failover, abort, send, run, asked, states, a, b, c, d };
}

/** Opens the breakers of all endpoints. */
async function outage({ run, a, b }: ReturnType<typeof setUp>): Promise<void> {
  const before = [a.answer, b.answer];
  a.answer = b.answer = fail('retryable');
  for (let call = 0; call < 3; call++) await run();
  [a.answer, b.answer] = before as [Answer, Answer];
  a.calls = [];
  b.calls = [];
}

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

describe('throttling', () => {
  it('leaves an endpoint alone until its hint has passed', async () => {
    const { run, clock, asked, a, failover } = setUp([fail('throttled', 5_000), ok]);
    await run();
    a.answer = ok;
    await clock.advance(4_999);
    await run();
    expect(asked()).toEqual([1, 2]);
    expect(failover.endpoints()[0]).toMatchObject({ throttledMillis: 1, state: 'closed' });
    await clock.advance(1);
    await run();
    expect(asked()).toEqual([2, 2]);
  });

  it('asks nobody while all want to be left alone, not even as a last resort, and says for how long', async () => {
    const error = Object.assign(new Error('slow down'), { code: 429 });
    const { run, clock, asked } = setUp([fail('throttled', 5_000, error), fail('throttled', 8_000, error)]);
    expect(await run()).toMatchObject({ failure: 'throttled', retryAfterMillis: 5_000, error });
    await clock.advance(1_000);
    for (const lastResort of [false, true]) {
      expect(await run({ lastResort })).toMatchObject({ failure: 'throttled', retryAfterMillis: 4_000, error });
    }
    expect(asked()).toEqual([1, 1]);
  });

  it.each([Number.POSITIVE_INFINITY, 1e12, -5, Number.NaN])('never believes a hint of %s for good', async (hint) => {
    const { run, clock, asked } = setUp([fail('throttled', hint), ok]);
    await run();
    await clock.advance(300_000);
    await run();
    expect(asked()[0]).toBe(2);
  });
});

describe('health', () => {
  it('is what the breaker says: a bare endpoint is passed over after 3 failures in a row', async () => {
    const { run, asked, states } = setUp([fail('retryable'), ok]);
    for (let call = 0; call < 5; call++) expect(await run()).toEqual(deliveredOutcome(10));
    expect(asked()).toEqual([3, 5]);
    expect(states()).toEqual(['open', 'closed']);
  });

  it('takes a breaker that an endpoint brings along', async () => {
    const clock = new VirtualClock();
    const leaf = new Leaf();
    const guarded = new CircuitBreakerSpanExporter({ exporter: leaf, clock });
    const { run, states } = setUp([ok, ok], {
      clock,
      endpoints: [
        { name: 'own', exporter: guarded },
        { name: 'B', exporter: new Leaf() },
      ],
    });
    guarded.breaker.trip();
    await run();
    expect(leaf.calls).toHaveLength(0);
    expect(states()).toEqual(['forced-open', 'closed']);
  });

  it('asks once more as a last resort when nobody could be asked, once per 500 ms', async () => {
    const all = setUp([fail('retryable'), fail('retryable')]);
    const { run, asked, clock, a, failover } = all;
    await outage(all);
    await run();
    expect(asked()).toEqual([1, 1]);
    expect(a.calls[0]!.lastResort).toBe(true);
    expect(await run()).toMatchObject({ failure: 'refused', remaining: batch });
    expect(asked()).toEqual([1, 1]);
    await clock.advance(500);
    a.answer = ok;
    expect(await run()).toEqual(deliveredOutcome(10));
    expect(failover.stats().lastResorts).toBe(3);
  });

  it('is no last resort when somebody was asked', async () => {
    const { run, asked, states } = setUp([fail('retryable'), fail('permanent')]);
    for (let call = 0; call < 4; call++) await run();
    expect(states()).toEqual(['open', 'closed']);
    expect(asked()).toEqual([3, 4]);
  });

  it('lets one call at a time find out about an endpoint that swallows what it gets', async () => {
    const { run, send, clock, states, asked, a } = setUp([fail('retryable'), ok]);
    for (let call = 0; call < 3; call++) await run();
    a.answer = hang;
    await clock.advance(30_000);
    const outcomes = Array.from({ length: 10 }, () => send());
    await clock.settle();
    expect(states()).toEqual(['half-open', 'closed']);
    expect(asked()).toEqual([4, 12]);
    // Others follow, so that its recovery does not wait for the first to time out.
    await clock.advance(1_000);
    outcomes.push(send(), send());
    await clock.settle();
    expect(asked()).toEqual([5, 13]);
    await clock.advance(2_000);
    expect(await Promise.all(outcomes)).toEqual(outcomes.map(() => deliveredOutcome(10)));
    expect(clock.pendingTimers).toBe(0);
  });

  it('gives a half-open endpoint all its probes once one has succeeded', async () => {
    const all = setUp([ok, fail('retryable')]);
    await outage(all);
    const { run, send, clock, states, a } = all;
    expect(await run()).toEqual(deliveredOutcome(10));
    expect(states()).toEqual(['half-open', 'open']);
    a.answer = hang;
    const outcomes = Array.from({ length: 6 }, () => send({ deadline: clock.now() + 1_000 }));
    await clock.settle();
    expect(a.calls).toHaveLength(5);
    await clock.advance(1_000);
    await Promise.all(outcomes);
  });
});

describe('panic', () => {
  const four = () => setUp([fail('retryable'), fail('retryable'), fail('retryable'), ok]);

  it('troubles none of the ejected while the few left take the spans', async () => {
    const { run, asked, states, failover } = four();
    for (let call = 0; call < 6; call++) expect(await run()).toEqual(deliveredOutcome(10));
    expect(states()).toEqual(['open', 'open', 'open', 'closed']);
    expect(asked()).toEqual([3, 3, 3, 6]);
    expect(failover.stats().lastResorts).toBe(0);
  });

  it('offers what they do not take to the ejected ones, each at most once, and not again to those who were asked', async () => {
    const { run, asked, a, b, c, d } = four();
    for (let call = 0; call < 3; call++) await run();
    d.answer = fail('permanent');
    expect(await run()).toMatchObject({ failure: 'retryable', remaining: batch });
    expect(asked()).toEqual([4, 4, 4, 4]);
    for (const leaf of [a, b, c]) expect(leaf.calls.at(-1)!.lastResort).toBe(true);
    expect(d.calls.at(-1)!.lastResort).toBeUndefined();
  });

  it.each([1, 2])('leaves %i of 3 endpoints out, however the others fare', async (ejected) => {
    const { run, asked, states, failover, a, b } = setUp([ok, ok, fail('permanent')]);
    for (const leaf of [a, b].slice(0, ejected)) leaf.answer = fail('retryable');
    for (let call = 0; call < 3; call++) await run();
    expect(states().filter((state) => state === 'open')).toHaveLength(ejected);
    const before = asked();
    b.answer = ejected === 1 ? fail('permanent') : b.answer;
    await run();
    expect(asked()).toEqual(before.map((count, index) => (index < ejected ? count : count + 1)));
    expect(failover.stats().lastResorts).toBe(0);
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
      const { run } = setUp([fail('permanent'), ok]);
      const collected = async () => {
        const { resourceMetrics } = await reader.collect();
        const all = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
        const points = all.find(
          ({ descriptor }) => descriptor.name === 'otel_resilience.exporter.failovers',
        )?.dataPoints;
        return points?.map(({ attributes, value }) => [attributes['otel_resilience.endpoint'], value]);
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
    expect(await exported()).toMatchObject({ code: EXPORT_FAILED, error: { message: 'no' } });
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

describe('options', () => {
  const exporter = new Leaf();
  const endpoints = [
    { name: 'A', exporter },
    { name: 'B', exporter },
  ];

  it.each<[string, unknown]>([
    ['endpoints', {}],
    ['endpoints', { endpoints: [] }],
    ['endpoints[1].name', { endpoints: [endpoints[0], endpoints[0]] }],
    ['endpoints[0].name', { endpoints: [{ exporter }] }],
    ['endpoints[1].exporter', { endpoints: [endpoints[0], { name: 'B', exporter: {} }] }],
    ['endpoints[1].weight', { endpoints: [endpoints[0], { ...endpoints[1], weight: 0 }] }],
    ['endpoints[1].weight', { endpoints: [endpoints[0], { ...endpoints[1], weight: Number.NaN }] }],
    ['endpoints[0].priority', { endpoints: [{ ...endpoints[0], priority: -1 }] }],
    ['endpoints[0].url', { endpoints: [{ ...endpoints[0], url: 'http://a' }] }],
    ['strategy', { endpoints, strategy: 'best' }],
    ['attemptTimeoutMillis', { endpoints, attemptTimeoutMillis: 0 }],
    ['maxEjectionRatio', { endpoints, maxEjectionRatio: 1.1 }],
    ['onFailover', { endpoints, onFailover: true }],
    ['random', { endpoints, random: {} }],
    ['timeoutMillis', { endpoints, timeoutMillis: 1 }],
  ])('throws for a wrong %s', (path, options) => {
    const construct = () => new FailoverSpanExporter(options as FailoverSpanExporterOptions);
    expect(construct).toThrow(ConfigurationError);
    expect(construct).toThrow(expect.objectContaining({ path: `FailoverSpanExporter.${path}` }));
  });

  it('are copied', async () => {
    const mine = [{ name: 'A', exporter: new Leaf() }];
    const failover = new FailoverSpanExporter({ endpoints: mine });
    mine[0]!.name = 'changed';
    mine.push({ name: 'more', exporter: new Leaf() });
    expect(failover.endpoints().map(({ name }) => name)).toEqual(['A']);
  });
});
