import {
  BasicTracerProvider,
  BatchSpanProcessor,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import type { DegradationLevel, ReadableSpan, SpanProcessor } from '@otel-resilience/core';
import { AdaptiveBatchSpanProcessor } from '@otel-resilience/processor';
import {
  DegradationSampler,
  TailSamplingSpanProcessor,
  type TailSamplingSpanProcessorOptions,
} from '@otel-resilience/sampler';
import { ScriptedBatchExporter, spanKey, VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { TracedProcess, thresholdOf } from '../support/tail-sampling.js';
import { planRequests, type Request, SPANS, serve } from './requests.js';

const SLOW_MILLIS = 1_000;
const NO_EARLY_DECISIONS = { traces: 0, bytes: 0, ttl: 0, flush: 0, shutdown: 0 };

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function setUp(
  level: DegradationLevel,
  next: SpanProcessor,
  clock: VirtualClock,
  options: Partial<TailSamplingSpanProcessorOptions> = {},
) {
  const controller = { level };
  const tail = new TailSamplingSpanProcessor({ next, controller, clock, metrics: false, ...options });
  const sampler = new DegradationSampler({ controller, metrics: false, clock });
  const provider = new BasicTracerProvider({ sampler: sampler as never, spanProcessors: [tail as never] });
  return { tail, provider, tracer: provider.getTracer('shop') };
}

function exportedBy(spans: readonly ReadableSpan[]) {
  const thresholds = new Map(spans.map((span) => [spanKey(span.spanContext()), thresholdOf(span)]));
  expect(thresholds.size).toBe(spans.length);
  return {
    thresholds,
    /** Those of the request that were exported. */
    of: ({ traceId, spanIds }: Request) =>
      spanIds.map((spanId) => thresholds.get(spanKey({ traceId, spanId }))).filter((th) => th !== undefined),
  };
}

const isWorthKeeping = ({ failedSpan, durationMillis }: Request) =>
  failedSpan !== undefined || durationMillis > SLOW_MILLIS;

describe('at heavy, with default bounds, 5,000 spans/s in traces of ten that last up to 2 s', () => {
  it('every local trace with an error or a slow span is exported whole, and nothing is evicted', async () => {
    const clock = new VirtualClock();
    const exporter = new ScriptedBatchExporter({ clock });
    const processor = new AdaptiveBatchSpanProcessor({ exporter, clock, metrics: false });
    const { tail, provider, tracer } = setUp('heavy', processor, clock);
    const draw = random(1);
    const requests = await serve(planRequests(500, 8, draw), tracer, clock, draw);
    await clock.run(provider.shutdown());

    const exported = exportedBy(exporter.exports.flatMap(({ batch }) => batch.spans()));
    const worthKeeping = requests.filter(isWorthKeeping);
    expect(requests.length).toBe(4_000);
    expect(worthKeeping.length).toBeGreaterThan(400);
    for (const request of worthKeeping) expect(exported.of(request)).toEqual(Array(SPANS).fill('0'));

    const calm = requests.filter((request) => !isWorthKeeping(request));
    const kept = calm.filter((request) => exported.of(request).length > 0);
    // 1 % of three quarters of them: the others had a parent that was not sampled.
    expect(kept.length / calm.length).toBeGreaterThan(0.003);
    expect(kept.length / calm.length).toBeLessThan(0.015);
    for (const request of kept) expect(exported.of(request).length).toBe(SPANS);

    const { ledger } = processor.stats();
    expect(tail.stats()).toMatchObject({ earlyDecisions: NO_EARLY_DECISIONS, late: 0, ended: 40_000, balanced: true });
    expect(ledger).toMatchObject({
      ended: 40_000,
      held: 0,
      delivered: exported.thresholds.size,
      dropped: {},
      balanced: true,
    });
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('a flush of more than the queue behind can hold', () => {
  it('loses nothing', async () => {
    const clock = new VirtualClock();
    const exporter = new ScriptedBatchExporter({ clock });
    const processor = new AdaptiveBatchSpanProcessor({ exporter, clock, maxQueueSize: 1_500, metrics: false });
    const tail = new TailSamplingSpanProcessor({ next: processor, clock, metrics: false });
    const process = new TracedProcess(tail);
    for (let i = 0; i < 500; i++) {
      const root = process.root({ sampled: true });
      for (let child = 0; child < 10; child++) process.end(process.child(root));
    }
    expect(processor.stats().ledger).toMatchObject({ ended: 5_000, held: 5_000 });
    await clock.run(tail.forceFlush());
    expect(processor.stats().ledger).toMatchObject({ held: 0, delivered: 5_000, dropped: {}, balanced: true });
    await clock.run(tail.shutdown());
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('at emergency', () => {
  async function serveAtEmergency(options: Partial<TailSamplingSpanProcessorOptions> = {}) {
    const clock = new VirtualClock();
    const exporter = new InMemorySpanExporter();
    const { tail, provider, tracer } = setUp('emergency', new SimpleSpanProcessor(exporter) as never, clock, options);
    const draw = random(2);
    const requests = await serve(planRequests(500, 4, draw), tracer, clock, draw);
    await provider.forceFlush();
    return { requests, exported: exportedBy(exporter.getFinishedSpans() as never), tail };
  }

  it('every local root with an error is exported, and nothing is held', async () => {
    const { requests, exported, tail } = await serveAtEmergency();
    const failed = requests.filter(({ failedSpan }) => failedSpan === 0);
    expect(failed.length).toBeGreaterThan(1);
    for (const request of failed) expect(exported.of(request)[0]).toBe('0');
    expect(exported.thresholds.size).toBeLessThan(0.02 * requests.length);
    expect(tail.stats()).toMatchObject({ earlyDecisions: NO_EARLY_DECISIONS, held: { traces: 0 }, balanced: true });
  });

  it('every slow local root too, unless only errors are asked for', async () => {
    const controller = { level: 'emergency' as const, isActive: () => false };
    const { requests, exported } = await serveAtEmergency({ controller });
    const slow = requests.filter(({ durationMillis }) => durationMillis > SLOW_MILLIS);
    expect(slow.length).toBeGreaterThan(100);
    for (const request of slow) expect(exported.of(request)[0]).toBe('0');
  });
});

describe('before the stock batch processor', () => {
  it('kept traces are exported whole, and a flush exports what was held', async () => {
    const clock = new VirtualClock();
    const exporter = new InMemorySpanExporter();
    const processor = new BatchSpanProcessor(exporter, { maxQueueSize: 2_048 });
    const { tail, provider, tracer } = setUp('heavy', processor as never, clock);
    const draw = random(3);
    const requests = await serve(planRequests(100, 2, draw), tracer, clock, draw);
    await provider.forceFlush();
    const exported = exportedBy(exporter.getFinishedSpans() as never);
    for (const request of requests.filter(isWorthKeeping)) {
      expect(exported.of(request)).toEqual(Array(SPANS).fill('0'));
    }
    const root = tracer.startSpan('root');
    await provider.forceFlush();
    expect(tail.stats()).toMatchObject({ earlyDecisions: { flush: 1 }, balanced: true });
    root.end();
    await provider.shutdown();
  });
});
