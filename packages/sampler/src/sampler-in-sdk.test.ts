import { context, metrics, propagation, ROOT_CONTEXT, type Span, SpanKind, trace } from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { node } from '@opentelemetry/sdk-node';
import {
  AlwaysOnSampler,
  BasicTracerProvider,
  InMemorySpanExporter,
  ParentBasedSampler,
  type Sampler,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import type { DegradationLevel } from '@otel-resilience/core';
import { afterEach, expect, test } from 'vitest';
import { DegradationSampler } from './degradation-sampler.js';
import { samplingHandover } from './sampling-handover.js';

afterEach(() => {
  metrics.disable();
  context.disable();
  trace.disable();
  propagation.disable();
});

/** An application of its own, as far as tracing goes. */
function application(
  sampler: Sampler,
  Provider: typeof BasicTracerProvider | typeof node.NodeTracerProvider = BasicTracerProvider,
) {
  const exporter = new InMemorySpanExporter();
  const started: Array<{ taken: boolean; certainty: string }> = [];
  const provider = new Provider({
    sampler,
    spanProcessors: [
      {
        onStart: (span: Span) => {
          const { traceId, certainty } = samplingHandover;
          started.push({ taken: traceId === span.spanContext().traceId, certainty });
        },
        onEnd: () => {},
        forceFlush: async () => {},
        shutdown: async () => {},
      },
      new SimpleSpanProcessor(exporter),
    ],
  });
  const tracer = provider.getTracer('test');
  /** A local trace of two spans; what it would send with a request made by the second. */
  const handle = (carrier?: Record<string, string>) => {
    const propagator = new W3CTraceContextPropagator();
    const getter = { get: (from: Record<string, string>, key: string) => from[key], keys: Object.keys };
    const incoming = carrier ? propagator.extract(ROOT_CONTEXT, carrier, getter) : ROOT_CONTEXT;
    const root = tracer.startSpan('root', { kind: SpanKind.SERVER }, incoming);
    const child = tracer.startSpan('child', {}, trace.setSpan(incoming, root));
    const sent: Record<string, string> = {};
    propagator.inject(trace.setSpan(incoming, child), sent, {
      set: (to, key, value) => Object.assign(to, { [key]: value }),
    });
    child.end();
    root.end();
    return sent;
  };
  return { handle, provider, exported: () => exporter.getFinishedSpans(), started };
}

/** The number of spans there have been, from those that are left. */
const estimate = (spans: ReturnType<ReturnType<typeof application>['exported']>) =>
  spans.reduce((sum, span) => {
    const th = /th:([0-9a-f]+)/.exec(span.spanContext().traceState?.get('ot') ?? '')![1]!;
    return sum + 1 / (1 - Number.parseInt(th.padEnd(14, '0'), 16) / 2 ** 56);
  }, 0);

test.each([
  ['BasicTracerProvider', BasicTracerProvider],
  ['NodeTracerProvider', node.NodeTracerProvider],
])('two services at two levels, by HTTP headers, with the %s: both can be counted', (_what, Provider) => {
  const sampler = (level: DegradationLevel) =>
    new DegradationSampler({ controller: { level }, keepErrors: 'off', metrics: false });
  const [a, b] = [application(sampler('light'), Provider), application(sampler('moderate'), Provider)];
  const traces = 4_000;
  for (let i = 0; i < traces; i++) b.handle(a.handle());
  expect(a.exported().length / traces).toBeCloseTo(1, 0);
  // 5 standard errors of what is random here.
  expect(Math.abs(estimate(a.exported()) - 2 * traces)).toBeLessThan(5 * 2 * Math.sqrt(traces));
  expect(Math.abs(estimate(b.exported()) - 2 * traces)).toBeLessThan(5 * 2 * Math.sqrt(9 * traces));
  const kept = new Set(a.exported().map((span) => span.spanContext().traceId));
  for (const span of b.exported()) expect(kept).toContain(span.spanContext().traceId);
});

test('children and what they send carry the threshold of their root', () => {
  const app = application(new DegradationSampler({ ratio: 1 }));
  expect(app.handle()).toMatchObject({ traceparent: expect.stringMatching(/-01$/), tracestate: 'ot=th:0' });
  expect(app.exported().map((span) => span.spanContext().traceState!.serialize())).toEqual(['ot=th:0', 'ot=th:0']);
});

test('what is dropped sends no threshold, and is recorded while errors are kept', () => {
  const app = application(new DegradationSampler({ rules: [{ ratio: 0 }] }));
  const sent = app.handle({ traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`, tracestate: 'ot=th:8,v=1' });
  expect(sent).toMatchObject({ traceparent: expect.stringMatching(/-00$/), tracestate: 'v=1' });
  expect(app.started).toEqual([
    { taken: true, certainty: 'all' },
    { taken: true, certainty: 'all' },
  ]);
  expect(app.exported()).toEqual([]);
});

test('inside a ParentBased sampler it decides about roots, and the tail is told of no other', () => {
  const sampler = new ParentBasedSampler({ root: new DegradationSampler({ controller: { level: 'light' } }) });
  const app = application(sampler);
  samplingHandover.traceId = '';
  const sent = app.handle({ traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`, tracestate: 'ot=th:4' });
  expect(sent).toMatchObject({ tracestate: 'ot=th:4' });
  expect(app.started.map(({ taken }) => taken)).toEqual([false, false]);
  for (let i = 0; i < 50; i++) app.handle();
  expect(new Set(app.exported().map((span) => span.spanContext().traceState?.get('ot')))).toEqual(
    new Set(['th:4', 'th:8']),
  );
});

test('around a ParentBased sampler it changes nothing but the rate', () => {
  const delegate = new ParentBasedSampler({ root: new AlwaysOnSampler() });
  const app = application(new DegradationSampler({ delegate, controller: { level: 'light' }, keepErrors: 'off' }));
  for (let i = 0; i < 50; i++) app.handle();
  expect(new Set(app.exported().map((span) => span.spanContext().traceState!.serialize()))).toEqual(
    new Set(['ot=th:8']),
  );
  expect(app.exported().length % 2).toBe(0);
});

test('its counts are metrics', async () => {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));
  const app = application(
    new DegradationSampler({ controller: { level: 'light' }, ratio: 0, rules: [{ kind: 'server', ratio: 1 }] }),
  );
  for (let i = 0; i < 20; i++) app.handle();
  await reader.forceFlush();
  // Those of other tests are registered, too: whoever looks for a meter provider looks for all.
  const points = (name: string) => {
    const all = exporter
      .getMetrics()
      .at(-1)!
      .scopeMetrics.flatMap((scope) => scope.metrics)
      .find((metric) => metric.descriptor.name === `otel_resilience.sampler.${name}`)!
      .dataPoints.map(({ value, attributes }) => ({ ...attributes, value }) as Record<string, unknown>);
    return all.filter((point) => point['otel.component.name'] === all.at(-1)!['otel.component.name']);
  };
  const decisions = points('decisions');
  const of = (list: Array<Record<string, unknown>>, key: string, value: string) =>
    list.find((point) => point[`otel_resilience.sampler.${key}`] === value)!.value as number;
  expect(of(decisions, 'decision', 'sampled') + of(decisions, 'decision', 'record_only')).toBe(40);
  const reasons = points('reasons');
  expect(of(reasons, 'reason', 'rule') + of(reasons, 'reason', 'degraded')).toBe(20);
  expect(of(reasons, 'reason', 'parent')).toBe(of(reasons, 'reason', 'rule'));
  expect(points('ratio')).toEqual([expect.objectContaining({ value: 0 })]);
  await reader.shutdown();
});
