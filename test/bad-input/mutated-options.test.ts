import { AlwaysOnSampler, BasicTracerProvider, type SpanProcessor } from '@opentelemetry/sdk-trace-base';
import { type ExportOutcome, SpanBatch, type SpanBatchExporterBase } from '@otel-resilience/core';
import { DegradationController, type Trigger } from '@otel-resilience/degradation';
import {
  breakerChain,
  CircuitBreaker,
  CircuitBreakerSpanExporter,
  FailoverSpanExporter,
  RetryBudget,
  RetryingSpanExporter,
} from '@otel-resilience/exporter';
import { resilience } from '@otel-resilience/node';
import { OtlpSpanExporter } from '@otel-resilience/otlp';
import { AdaptiveBatchSpanProcessor, AttributeTrimmingSpanProcessor } from '@otel-resilience/processor';
import { DegradationSampler, TailSamplingSpanProcessor } from '@otel-resilience/sampler';
import { fakeSpans, ScriptedExporter, VirtualClock } from '@otel-resilience/testing';
import { MemorySpool, TieredSpanExporter } from '@otel-resilience/tiered';
import { describe, expect, it } from 'vitest';
import { ScriptedTrigger } from '../support/degradation.js';
import { endTrace } from './application.js';
import { TRIGGERS } from './degradation-components.js';
import { Watched } from './watched.js';

const failure = { kind: 'failure' as const, error: new Error('no') };
const flaky = (clock: VirtualClock) => new ScriptedExporter({ clock, script: [failure, 'success', failure, failure] });

async function exportThrough(exporter: SpanBatchExporterBase, clock: VirtualClock): Promise<void> {
  for (let i = 0; i < 20; i++) {
    const context = { signal: new AbortController().signal, deadline: clock.now() + 30_000 };
    const outcome: ExportOutcome = await clock.run(exporter.exportBatch(SpanBatch.fromSpans(fakeSpans(3)), context));
    expect(outcome).toBeDefined();
    await clock.advance(1_000);
  }
  await clock.run(exporter.forceFlush().catch(() => {}));
  await clock.run(exporter.shutdown());
}

/** A controller that is forced to each level in turn, while traces end. */
async function endTracesAtEveryLevel(
  clock: VirtualClock,
  { sampler, spanProcessor }: { sampler: DegradationSampler; spanProcessor: SpanProcessor },
  controller: DegradationController,
): Promise<void> {
  const provider = new BasicTracerProvider({ sampler, spanProcessors: [spanProcessor] });
  for (const level of ['normal', 'light', 'moderate', 'heavy', 'emergency', 'light'] as const) {
    controller.force(level);
    for (let i = 0; i < 20; i++) endTrace(provider.getTracer('test'), { failed: i % 5 === 0 });
    await clock.advance(20_000);
  }
  await clock.run(provider.shutdown());
}

const forced = (clock: VirtualClock) => new DegradationController({ triggers: [], clock, metrics: false });
const batching = (clock: VirtualClock) => new AdaptiveBatchSpanProcessor({ exporter: flaky(clock), clock });

const overOtlp = (protocol: string) => async (watched: Watched, clock: VirtualClock) => {
  const options = {
    protocol,
    url: 'https://127.0.0.1:1',
    headers: { authorization: 'Bearer first' },
    tls: { ca: ['ca.pem'], cert: 'client.pem', key: 'client.key' },
    compression: 'gzip',
    connections: 2,
    timeoutMillis: 500,
    clock,
  };
  const exporter = new OtlpSpanExporter(watched.watch(options as Record<string, unknown>));
  watched.seal();
  await exportThrough(exporter, clock);
};

/** Constructs with watched options, then lets the component live. */
const LIVES: Record<string, (watched: Watched, clock: VirtualClock) => Promise<void>> = {
  async AdaptiveBatchSpanProcessor(watched, clock) {
    const exporter = flaky(clock);
    const options = watched.watch({ exporter, clock, maxQueueSize: 20, maxExportBatchSize: 5, dropPolicy: 'priority' });
    const processor = new AdaptiveBatchSpanProcessor(options as never);
    watched.seal();
    for (const span of fakeSpans(200)) processor.onEnd(span);
    await clock.advance(60_000);
    await clock.run(processor.forceFlush().catch(() => {}));
    await clock.run(processor.shutdown());
    processor.stats();
  },
  async AttributeTrimmingSpanProcessor(watched, clock) {
    const controller = forced(clock);
    const spanProcessor = new AttributeTrimmingSpanProcessor(
      watched.watch({
        next: batching(clock),
        controller,
        verboseAttributes: ['http.*'],
        keepAttributes: ['http.request.method'],
        maxValueLength: { light: 10, moderate: 5 },
        maxEvents: { heavy: 1 },
        clock,
      } as Record<string, unknown>) as never,
    );
    watched.seal();
    await endTracesAtEveryLevel(clock, { sampler: new DegradationSampler({ controller }), spanProcessor }, controller);
    spanProcessor.stats();
  },
  async TailSamplingSpanProcessor(watched, clock) {
    const controller = forced(clock);
    const keepRules = [{ name: ['query', 'q*'], kind: ['internal'], attributes: { tier: ['gold', 1] } }];
    const options = { next: batching(clock), controller, keepRules, slowThresholdMillis: 1, maxHeldTraces: 5, clock };
    const spanProcessor = new TailSamplingSpanProcessor(watched.watch(options as Record<string, unknown>) as never);
    watched.seal();
    await endTracesAtEveryLevel(clock, { sampler: new DegradationSampler({ controller }), spanProcessor }, controller);
    spanProcessor.stats();
  },
  async DegradationSampler(watched, clock) {
    const controller = forced(clock);
    const options = {
      controller,
      delegate: new AlwaysOnSampler(),
      ratios: { light: 0.4 },
      rules: [{ name: ['query', 'r*'], service: 'shop', kind: ['server'], attributes: { tier: ['gold'] }, ratio: 0.5 }],
      serviceName: 'shop',
      criticalServices: ['shop'],
      criticalRoutes: ['/checkout/*'],
      keepErrors: { light: 'off' },
      targetSpansPerSecond: 5,
      clock,
    };
    const sampler = new DegradationSampler(watched.watch(options as Record<string, unknown>) as never);
    watched.seal();
    await endTracesAtEveryLevel(clock, { sampler, spanProcessor: batching(clock) as SpanProcessor }, controller);
    sampler.stats();
    sampler.toString();
  },
  async DegradationController(watched, clock) {
    const load = new ScriptedTrigger();
    const options = {
      triggers: [load],
      strategies: { errorsOnly: 'heavy' },
      features: { search: 'moderate' },
      evaluationIntervalMillis: 1_000,
      recoveryIntervalMillis: 1_000,
      clock,
    };
    const controller = new DegradationController(watched.watch(options as Record<string, unknown>) as never);
    watched.seal();
    controller.start();
    for (load.says of [90, 0]) await clock.advance(5_000);
    controller.force('light', { ttlMillis: 10 });
    controller.isActive('errorsOnly');
    controller.isFeatureAvailable('search');
    controller.guard(
      () => 1,
      () => 2,
    );
    controller.status();
    controller.stop();
  },
  async 'every trigger'(watched, clock) {
    const never = Number.POSITIVE_INFINITY;
    const triggers = TRIGGERS.map(({ make, valid, max, light }) => {
      const thresholds = { light, moderate: max, heavy: max, emergency: never };
      return make(watched.watch({ ...valid(), thresholds, holdForMillis: 5 })) as Trigger;
    });
    const controller = new DegradationController({ triggers, clock, metrics: false });
    watched.seal();
    controller.start();
    controller.guard(
      () => 1,
      () => 2,
    );
    await clock.advance(90_000);
    controller.status();
    controller.stop();
  },
  async RetryingSpanExporter(watched, clock) {
    const budget = { capacity: 100, retryCost: 10, clock };
    const options = watched.watch({ exporter: flaky(clock), clock, budget, maxRetries: 2, random: () => 0.5 });
    const exporter = new RetryingSpanExporter(options as never);
    watched.seal();
    await exportThrough(exporter, clock);
  },
  async RetryBudget(watched, clock) {
    const budget = new RetryBudget(watched.watch({ clock, capacity: 20, retryCost: 10 }));
    watched.seal();
    for (let i = 0; i < 5; i++) {
      const taken = budget.tryAcquire('retryable');
      if (taken !== undefined && i % 2 === 0) budget.release(taken);
      budget.recordSuccess();
      await clock.advance(1_000);
    }
  },
  async CircuitBreaker(watched, clock) {
    const breaker = new CircuitBreaker(watched.watch({ clock, strategy: 'composite' as const, openMillis: 100 }));
    watched.seal();
    for (let i = 0; i < 50; i++) {
      const permit = breaker.tryAcquire({ lastResort: i % 2 === 0 });
      if (i % 7 === 0) permit?.success({ durationMillis: 5 });
      else permit?.failure({ durationMillis: 2_000 });
      await clock.advance(50);
    }
    breaker.metrics();
    breaker.reset();
  },
  async CircuitBreakerSpanExporter(watched, clock) {
    const options = watched.watch({ exporter: flaky(clock), clock, consecutiveFailures: 1, openMillis: 500 });
    const exporter = new CircuitBreakerSpanExporter(options);
    watched.seal();
    await exportThrough(exporter, clock);
  },
  async FailoverSpanExporter(watched, clock) {
    const endpoints = [
      { name: 'a', exporter: flaky(clock), priority: 1, weight: 1 },
      { name: 'b', exporter: flaky(clock), priority: 0, weight: 2 },
    ];
    const options = watched.watch({ endpoints, clock, strategy: 'weighted', onFailover: () => {} });
    const exporter = new FailoverSpanExporter(options as never);
    watched.seal();
    await exportThrough(exporter, clock);
    exporter.endpoints();
  },
  async breakerChain(watched, clock) {
    const levels = [{ exporter: flaky(clock), openMillis: 500 }, flaky(clock)];
    const exporter = breakerChain(watched.watch({ levels, clock }));
    watched.seal();
    await exportThrough(exporter, clock);
    exporter.states();
  },
  async TieredSpanExporter(watched, clock) {
    const options = { hot: flaky(clock), spool: new MemorySpool(), clock, probeIntervalMillis: 100 };
    const exporter = new TieredSpanExporter(watched.watch(options));
    watched.seal();
    await exportThrough(exporter, clock);
    exporter.stats();
  },
  async MemorySpool(watched) {
    const spool = new MemorySpool(watched.watch({ maxBytes: 5_000 }));
    watched.seal();
    for (let i = 0; i < 5; i++) await spool.append(SpanBatch.fromSpans(fakeSpans(3)));
    await spool.lease();
    await spool.shutdown();
  },
  'OtlpSpanExporter, gRPC': overOtlp('grpc'),
  'OtlpSpanExporter, HTTP': overOtlp('http/protobuf'),
  async resilience(watched, clock) {
    const { sdk, status, shutdown } = resilience(
      watched.watch({
        exporters: [{ exporter: flaky(clock), priority: 1, weight: 1 }, flaky(clock)],
        processor: { maxQueueSize: 100 },
        retry: { maxRetries: 1, budget: { capacity: 50 } },
        circuitBreaker: { openMillis: 500 },
        failover: { strategy: 'roundRobin' },
        tiered: { probeIntervalMillis: 100 },
        spool: { maxBytes: 1_000_000 },
        degradation: {
          triggers: { cpu: false, memory: false, queue: { thresholds: { light: 0.1 } }, quota: {} },
          additionalTriggers: [new ScriptedTrigger()],
          strategies: { errorsOnly: 'off' },
          features: { search: 'light' },
        },
        sampler: { rules: [{ name: 'GET*', ratio: 0.5 }], keepErrors: { light: 'off' } },
        tailSampling: { keepRules: [{ route: ['/orders/*'] }], maxHeldTraces: 100 },
        attributeTrimming: { verboseAttributes: ['http.*'], maxEvents: { light: 1 } },
        clock,
      } as Record<string, unknown>),
    );
    watched.seal();
    for (const span of fakeSpans(300)) sdk.spanProcessors[0]!.onEnd(span);
    await clock.advance(60_000);
    status();
    await clock.run(shutdown());
  },
  async 'resilience, over the wire'(watched, clock) {
    const headers = { authorization: 'Bearer first' };
    const endpoints = ['grpc', 'http/protobuf'].map((protocol) => ({
      name: protocol,
      url: 'http://127.0.0.1:1',
      protocol,
      headers,
    }));
    const { sdk, status, shutdown } = resilience(watched.watch({ endpoints, clock } as Record<string, unknown>));
    watched.seal();
    for (const span of fakeSpans(3)) sdk.spanProcessors[0]!.onEnd(span);
    status();
    await clock.run(shutdown());
  },
};

describe('options are read once, in the constructor, so that changing them later changes nothing', () => {
  it.each(Object.keys(LIVES))('%s', async (name) => {
    const watched = new Watched();
    await LIVES[name]!(watched, new VirtualClock());
    expect(watched.reads).toEqual([]);
  });
});
