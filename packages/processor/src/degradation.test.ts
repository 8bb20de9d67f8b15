import {
  type DegradationLevel,
  type DegradationStrategy,
  isActive,
  type LevelSource,
  PipelineSignals,
} from '@otel-resilience/core';
import { fakeSpan, fakeSpans, ScriptedBatchExporter, VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { AdaptiveBatchSpanProcessor } from './adaptive-batch-span-processor.js';
import type { AdaptiveBatchSpanProcessorOptions } from './options.js';

class Controller implements LevelSource {
  level: DegradationLevel = 'normal';
  starts = 0;
  reads = 0;
  off: DegradationStrategy[] = [];

  isActive(strategy: DegradationStrategy): boolean {
    this.reads++;
    return !this.off.includes(strategy) && isActive({ level: this.level }, strategy);
  }

  start(): void {
    this.starts++;
  }
}

function setUp(options: Partial<AdaptiveBatchSpanProcessorOptions> = {}) {
  const clock = new VirtualClock();
  const exporter = new ScriptedBatchExporter({ clock });
  const controller = new Controller();
  const processor = new AdaptiveBatchSpanProcessor({ exporter, clock, controller, ...options });
  const end = (count: number) => {
    for (const span of fakeSpans(count)) processor.onEnd(span);
  };
  const at = (level: DegradationLevel) => {
    controller.level = level;
    const { batchSize, batchWaitMillis } = processor.stats();
    return [batchSize, batchWaitMillis];
  };
  const sizes = () => exporter.exports.map(({ batch }) => batch.spanCount);
  return { clock, exporter, controller, processor, end, at, sizes };
}

describe('the level in force', () => {
  it('makes batches larger and lets them wait longer, and says why', () => {
    const { at, processor } = setUp({ maxQueueSize: 40_000 });
    expect(at('normal')).toEqual([1_000, 5_000]);
    expect(at('light')).toEqual([1_500, 7_500]);
    expect(at('moderate')).toEqual([2_000, 10_000]);
    expect(at('heavy')).toEqual([3_000, 15_000]);
    expect(at('emergency')).toEqual([4_000, 20_000]);
    expect(processor.stats().degradation).toEqual({ level: 'emergency', batchSizeFactor: 4, batchWaitFactor: 4 });
    expect(at('normal')).toEqual([1_000, 5_000]);
  });

  it('never makes a batch larger than the largest, nor lets one wait longer than 30 s', () => {
    expect(setUp({ maxQueueSize: 8_000 }).at('emergency')).toEqual([2_000, 20_000]);
    expect(setUp({ maxExportBatchSize: 512 }).at('emergency')).toEqual([512, 20_000]);
    expect(setUp({ scheduledDelayMillis: 20_000 }).at('emergency')[1]).toBe(30_000);
    expect(setUp({ scheduledDelayMillis: 45_000 }).at('emergency')[1]).toBe(45_000);
  });

  it('does so without adaptation too', () => {
    expect(setUp({ adaptive: false }).at('moderate')).toEqual([2_000, 10_000]);
  });

  it('is followed with the next span, and batches of it leave', async () => {
    const { clock, controller, end, sizes } = setUp({ maxQueueSize: 400, scheduledDelayMillis: 1_000 });
    end(100);
    expect(sizes()).toEqual([100]);
    controller.level = 'moderate'; // the largest batch is a quarter of the queue
    end(150);
    expect(sizes()).toEqual([100, 100]);
    await clock.advance(999);
    expect(sizes()).toEqual([100, 100]);
    await clock.advance(1_001);
    expect(sizes()).toEqual([100, 100, 50]);
  });

  it('counts for as much as its strategies say', () => {
    const { controller, at } = setUp();
    controller.off = ['increaseBatchSize'];
    expect(at('moderate')).toEqual([1_000, 10_000]);
    controller.off = ['increaseBatchWait'];
    expect(at('heavy')).toEqual([2_500, 5_000]);
  });

  it('costs nothing while it does not change', () => {
    const { controller, end } = setUp();
    controller.level = 'light';
    end(1);
    const { reads } = controller;
    end(1_000);
    expect(controller.reads).toBe(reads);
  });

  it('starts its controller with the first span that is queued, once', () => {
    const { controller, processor, end } = setUp();
    processor.stats();
    processor.onEnd(fakeSpan({ traceFlags: 0 }));
    expect(controller.starts).toBe(0);
    end(2);
    expect(controller.starts).toBe(1);
  });

  it('stays what it was when the controller throws, and spans are queued all the same', () => {
    const { controller, processor, end, at } = setUp();
    at('moderate');
    Object.defineProperty(controller, 'level', {
      get() {
        throw new Error('no level');
      },
    });
    controller.start = () => {
      throw new Error('no start');
    };
    end(3);
    expect(processor.stats()).toMatchObject({ batchSize: 2_000, ledger: { ended: 3, queued: 3, balanced: true } });
  });

  it('that a controller made up changes nothing', () => {
    expect(setUp().at('panic' as never)).toEqual([1_000, 5_000]);
  });
});

describe('signals', () => {
  function listening(options: Partial<AdaptiveBatchSpanProcessorOptions> = {}) {
    const signals = new PipelineSignals();
    const world = setUp({ signals, maxQueueSize: 20, maxExportBatchSize: 5, maxConcurrentExports: 1, ...options });
    const seen: number[] = [];
    signals.onChange(() => seen.push(signals.read('queueUtilization')!));
    return { ...world, signals, seen };
  }

  it('are told of a batch that no slot is free for, and of spans that are dropped, once', () => {
    const { exporter, end, seen } = listening({ dropPolicy: 'newest' });
    exporter.respond('hang');
    end(9);
    expect(seen).toEqual([]);
    end(1);
    expect(seen).toEqual([0.25]);
    end(15);
    expect(seen).toEqual([0.25, 0.5, 0.75, 1]);
    end(100);
    expect(seen).toEqual([0.25, 0.5, 0.75, 1, 1]);
  });

  it('are told when an export has ended', async () => {
    const { clock, end, seen, signals } = listening();
    end(5);
    await clock.settle();
    expect(seen).toEqual([0]);
    expect(signals.snapshot()).toMatchObject({ exportErrorRate: 0, exportTimeoutRate: 0, exportLatencyP95Millis: 0 });
  });

  it('read how exports went, and nothing once a minute has passed', async () => {
    const { clock, exporter, processor, end, signals } = listening();
    exporter.respond({ kind: 'failed', failure: 'throttled', delayMillis: 300 });
    end(5);
    await clock.advance(1_000);
    exporter.respond('delivered');
    end(5);
    await clock.advance(1_000);
    const rates = { exportErrorRate: 0.5, exportTimeoutRate: 0, exportLatencyP95Millis: 300 };
    expect(signals.snapshot()).toMatchObject({ ...rates, throttledExports: 1 });
    expect(processor.stats().recentExports).toEqual({
      count: 2,
      errorRate: 0.5,
      timeoutRate: 0,
      latencyP95Millis: 300,
    });
    await clock.advance(60_000);
    expect(signals.read('exportErrorRate')).toBeUndefined();
    expect(signals.read('exportLatencyP95Millis')).toBeUndefined();
    expect(processor.stats().recentExports).toEqual({ count: 0 });
  });

  it('that throw hurt nothing', async () => {
    const { clock, processor, end, signals } = listening();
    signals.onChange(() => {
      throw new Error('no');
    });
    end(23);
    await clock.run(processor.forceFlush());
    expect(processor.stats().ledger).toMatchObject({ ended: 23, delivered: 23, balanced: true });
  });
});
