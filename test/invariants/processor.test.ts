import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { context, DiagLogLevel, diag, metrics } from '@opentelemetry/api';
import {
  type ExportOutcome,
  failedOutcome,
  SPAN_BATCH_EXPORTER,
  type SpanBatchExporter,
  SpanBatchExporterBase,
  type SpanExporter,
} from '@otel-resilience/core';
import { AdaptiveBatchSpanProcessor, type AdaptiveBatchSpanProcessorOptions } from '@otel-resilience/processor';
import { fakeSpan, fakeSpans, ScriptedBatchExporter, ScriptedExporter, VirtualClock } from '@otel-resilience/testing';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asApplication } from '../support/application-context.js';
import { installAsyncContext } from '../support/async-context.js';
import { batchChaos, stockChaos } from '../support/chaos-exporters.js';
import { TimerCount } from '../support/clocks.js';
import { HOSTILE_SPANS, UNPRINTABLE } from '../support/hostile-spans.js';
import { reachableSize } from '../support/reachable.js';
import { arbitraryProcessorCommand, arbitrarySettings, World } from './processor-world.js';

beforeAll(installAsyncContext);
afterAll(() => context.disable());

/** Holds nothing, so that what is held is ours. */
const hanging: SpanExporter = { export() {}, shutdown: async () => {} };
class Hanging extends SpanBatchExporterBase {
  override readonly prefers: 'spans' | 'bytes';

  constructor(prefers: 'spans' | 'bytes') {
    super();
    this.prefers = prefers;
  }

  override exportBatch(): Promise<ExportOutcome> {
    return new Promise(() => {});
  }
}
const failing: SpanExporter = {
  export: (_, done) => done({ code: 1, error: new Error('no') }),
  shutdown: async () => {},
};

const failingWithBytes: SpanBatchExporter = {
  [SPAN_BATCH_EXPORTER]: true,
  prefers: 'bytes',
  maxConcurrentExports: 5,
  exportBatch: async (batch) => failedOutcome(batch, 'permanent', new Error('no')),
  forceFlush: async () => {},
  shutdown: async () => {},
} as SpanBatchExporter;

function setUp(options: Partial<AdaptiveBatchSpanProcessorOptions> = {}) {
  const clock = new VirtualClock();
  const exporter = new ScriptedExporter({ clock });
  const processor = new AdaptiveBatchSpanProcessor({ exporter, clock, ...options });
  return { clock, exporter, processor };
}

describe('invariants 1, 6, 7 and 8: whatever spans, held ones, exporters, time, levels, flushes and shutdowns do', () => {
  it.each([
    ['a stock exporter', stockChaos],
    ['one of ours that prefers spans', batchChaos({ stores: true, prefers: 'spans' })],
    ['one of ours that prefers bytes', batchChaos({ stores: true, prefers: 'bytes' })],
  ])('the processor keeps its promises over %s', async (_, chaos) => {
    const commands = fc.array(arbitraryProcessorCommand, { maxLength: 25 });
    const worlds = [arbitrarySettings, chaos, commands, fc.boolean()] as const;
    await fc.assert(
      fc.asyncProperty(...worlds, async (settings, makeChaos, commands, calm) => {
        const world = new World(settings, makeChaos);
        expect(world.clock.pendingTimers).toBe(0);
        for (const command of commands) {
          await world.run(command);
          world.check();
        }
        if (calm) await world.calm();
        await world.finish();
      }),
      { numRuns: 300 },
    );
  });
});

describe('invariant 6: deadlines and completeness', () => {
  it('forceFlush rejects when a span that ended before it had to make room for another', async () => {
    const { clock, exporter, processor } = setUp({ maxQueueSize: 5, maxExportBatchSize: 5 });
    exporter.script(['never']);
    for (const span of fakeSpans(10)) processor.onEnd(span); // five with the exporter, five queued
    const flushed = processor.forceFlush();
    for (const span of fakeSpans(2)) processor.onEnd(span);
    exporter.answerOpen();
    await expect(clock.run(flushed)).rejects.toThrow('2 spans were not exported');
    expect(processor.stats().ledger).toMatchObject({ ended: 12, dropped: { queue_full: 2 }, balanced: true });
    await clock.run(processor.shutdown());
  });
});

describe('invariant 7: nothing grows with the length of an outage', () => {
  it.each([
    ['hangs', hanging, false],
    ['hangs and keeps its slot', new Hanging('spans'), false],
    ['hangs and keeps its slot, while the application flushes', new Hanging('spans'), true],
    ['fails, while the application flushes', failing, true],
    ['that takes bytes hangs and keeps its slot', new Hanging('bytes'), false],
    ['that takes bytes hangs and keeps its slot, while the application flushes', new Hanging('bytes'), true],
    ['that takes bytes fails, while the application flushes', failingWithBytes, true],
  ])('while the exporter %s', async (_, exporter, flushes) => {
    // The bytes of the queue are spent long before a batch is full.
    const { clock, processor } = setUp({ exporter, maxQueueBytes: 20_000, exportTimeoutMillis: 1_000 });
    const hour = async () => {
      for (let minute = 0; minute < 60; minute++) {
        for (let i = 0; i < 60; i++) processor.onEnd(fakeSpan());
        if (flushes) processor.forceFlush({ deadline: clock.now() + 10_000 }).catch(() => {});
        await clock.advance(60_000);
      }
      return reachableSize(processor);
    };
    await hour();
    const afterTwo = [await hour(), clock.pendingTimers];
    await hour();
    const afterFour = [await hour(), clock.pendingTimers];
    expect(afterFour[0]).toBeLessThan(1.1 * afterTwo[0]!);
    expect(afterFour[1]).toBe(afterTwo[1]);
    await clock.run(processor.shutdown());
  });

  it('and an exporter that hangs costs no timer of its own, even when batches do not wait', async () => {
    const virtual = new VirtualClock();
    let timers = 0;
    class CountingClock extends TimerCount {
      override setTimeout(callback: () => void, delayMillis: number) {
        timers++;
        return super.setTimeout(callback, delayMillis);
      }
    }
    const { processor } = setUp({ exporter: hanging, clock: new CountingClock(virtual), scheduledDelayMillis: 0 });
    for (const span of fakeSpans(5)) processor.onEnd(span);
    await virtual.advance(10);
    for (const span of fakeSpans(5)) processor.onEnd(span);
    timers = 0;
    for (let i = 0; i < 100; i++) await virtual.advance(100);
    expect(timers).toBeLessThanOrEqual(1);
  });
});

describe('invariant 8: nothing of ours reaches the application', () => {
  it.each(Object.keys(HOSTILE_SPANS))('a span that %s is counted once, and its neighbours leave', async (shape) => {
    const { clock, exporter, processor } = setUp({ maxExportBatchSize: 3 });
    const good = fakeSpan();
    processor.onEnd(good);
    expect(() => processor.onEnd(HOSTILE_SPANS[shape]!())).not.toThrow();
    expect(processor.stats().ledger).toMatchObject({ ended: 2, balanced: true });
    await clock.advance(20_000);
    expect(exporter.spans).toContain(good);
    expect(processor.stats().ledger).toMatchObject({ queued: 0, inFlight: 0, balanced: true });
    await clock.run(processor.shutdown());
    expect(clock.pendingTimers).toBe(0);
  });

  it.each(Object.keys(HOSTILE_SPANS))('so is one that is encoded and %s', async (shape) => {
    const clock = new VirtualClock();
    const exporter = new ScriptedBatchExporter({ clock, prefers: 'bytes' });
    const processor = new AdaptiveBatchSpanProcessor({ exporter, clock, maxExportBatchSize: 3 });
    for (const span of [fakeSpan({ index: 0 }), HOSTILE_SPANS[shape]!(), fakeSpan({ index: 1 })]) {
      expect(() => processor.onEnd(span)).not.toThrow();
    }
    expect(processor.stats().ledger).toMatchObject({ ended: 3, balanced: true });
    await clock.advance(20_000);
    const { ledger } = processor.stats();
    expect(ledger).toMatchObject({ queued: 0, inFlight: 0, delivered: 3 - (ledger.dropped.unreadable ?? 0) });
    const traceIds = exporter.exports.flatMap(({ batch }) => batch.spans().map((span) => span.spanContext().traceId));
    expect(traceIds).toHaveLength(ledger.delivered);
    for (const end of ['1', '2']) expect(traceIds).toContain(end.padStart(32, '0'));
    await clock.run(processor.shutdown());
    expect(clock.pendingTimers).toBe(0);
  });

  it('a logger that throws, and what cannot be logged', async () => {
    const throws = () => {
      throw UNPRINTABLE;
    };
    diag.setLogger({ verbose() {}, debug() {}, info() {}, warn: throws, error: throws }, DiagLogLevel.ALL);
    try {
      const { clock, processor } = setUp({ maxQueueSize: 1, exporter: failing });
      const hostile = HOSTILE_SPANS['has a spanContext that throws what cannot be printed']!;
      for (let i = 0; i < 5; i++) for (const span of [fakeSpan(), fakeSpan(), hostile()]) processor.onEnd(span);
      expect(processor.stats().ledger).toMatchObject({ ended: 15, dropped: { unreadable: 5 }, balanced: true });
      await clock.run(processor.shutdown());
      expect(processor.stats().ledger).toMatchObject({ ended: 15, queued: 0, inFlight: 0, balanced: true });
    } finally {
      diag.disable();
    }
  });

  it('a meter provider that throws', async () => {
    metrics.setGlobalMeterProvider({
      getMeter() {
        throw UNPRINTABLE;
      },
    });
    try {
      const { clock, processor } = setUp({ maxExportBatchSize: 1 });
      for (const span of fakeSpans(5)) processor.onEnd(span);
      await clock.run(processor.forceFlush());
      expect(processor.stats().ledger).toMatchObject({ ended: 5, delivered: 5, balanced: true });
      await clock.run(processor.shutdown());
    } finally {
      metrics.disable();
    }
  });

  it.each([
    ['spans', hanging],
    ['bytes', new Hanging('bytes')],
  ])('an export of %s in flight retains no request', async (_, exporter) => {
    setFlagsFromString('--expose-gc');
    const collectGarbage: () => void = runInNewContext('gc');
    const processor = new AdaptiveBatchSpanProcessor({ exporter, maxExportBatchSize: 1 });
    const request = endInRequest(processor);
    await new Promise((resolve) => setImmediate(resolve));
    expect(processor.stats().exports.open).toBe(1);
    collectGarbage();
    expect(request.deref()).toBeUndefined();
    await processor.shutdown({ deadline: performance.now() });
  });

  function endInRequest(processor: AdaptiveBatchSpanProcessor): WeakRef<object> {
    const request = {};
    asApplication(() => processor.onEnd(fakeSpan()), request);
    return new WeakRef(request);
  }
});

describe('invariant 10: constructors start nothing', () => {
  it('neither timer, handle, metric nor export, before the first span that is sampled', () => {
    let metersAsked = 0;
    metrics.setGlobalMeterProvider({
      getMeter: () => {
        metersAsked++;
        throw new Error('too early');
      },
    });
    const before = process.getActiveResourcesInfo();
    const { clock, exporter, processor } = setUp();
    new AdaptiveBatchSpanProcessor({ exporter });
    processor.onStart();
    processor.onEnd(fakeSpan({ traceFlags: 0 }));
    processor.stats();
    expect(process.getActiveResourcesInfo()).toEqual(before);
    expect(clock.pendingTimers).toBe(0);
    expect([exporter.exports.length, exporter.forceFlushes, metersAsked]).toEqual([0, 0, 0]);
    metrics.disable();
  });
});
