import { metrics } from '@opentelemetry/api';
import { PipelineSignals } from '@otel-resilience/core';
import { fakeSpans, ScriptedBatchExporter, VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { AdaptiveBatchSpanProcessor } from './adaptive-batch-span-processor.js';
import type { AdaptiveBatchSpanProcessorOptions } from './options.js';

function setUp(options: Partial<AdaptiveBatchSpanProcessorOptions>) {
  const clock = new VirtualClock();
  const exporter = new ScriptedBatchExporter({ clock });
  const processor = new AdaptiveBatchSpanProcessor({ exporter, clock, ...options });
  const end = (count: number) => {
    for (const span of fakeSpans(count)) processor.onEnd(span);
  };
  return { clock, exporter, processor, end };
}

describe('self-observability', () => {
  it('publishes its gauges until it is shut down', async () => {
    const signals = new PipelineSignals();
    const { clock, processor, end } = setUp({ signals, maxQueueSize: 10, maxExportBatchSize: 10 });
    end(5);
    expect(signals.snapshot()).toEqual({ queueSize: 5, queueUtilization: 0.5, throttledExports: 0 });
    await clock.run(processor.shutdown());
    expect(signals.snapshot()).toEqual({});
  });

  it('counts spans by the semantic conventions until it is shut down', async () => {
    const observed = new Map<string, Set<(result: { observe(value: number, attributes: object): void }) => void>>();
    const observable = (name: string) => {
      const callbacks = observed.get(name) ?? new Set();
      observed.set(name, callbacks);
      return {
        addCallback: callbacks.add.bind(callbacks),
        removeCallback: callbacks.delete.bind(callbacks),
      };
    };
    const recorded: string[] = [];
    const meter = {
      createHistogram: (name: string) => ({ record: () => recorded.push(name) }),
      createObservableCounter: observable,
      createObservableUpDownCounter: observable,
    };
    metrics.setGlobalMeterProvider({ getMeter: () => meter } as never);
    const collect = (name: string) => {
      const points: Array<[number, unknown]> = [];
      for (const callback of observed.get(name) ?? []) {
        callback({ observe: (value, attributes) => points.push([value, Reflect.get(attributes, 'error.type')]) });
      }
      return points;
    };
    const { clock, exporter, processor, end } = setUp({
      maxExportBatchSize: 5,
      maxQueueSize: 5,
      maxConcurrentExports: 1,
    });
    exporter.respond('hang');
    end(12);
    expect(collect('otel.sdk.processor.span.processed')).toEqual([
      [5, undefined],
      [2, 'queue_full'],
    ]);
    expect(collect('otel.sdk.processor.span.queue.size')).toEqual([[5, undefined]]);
    expect(collect('otel.sdk.processor.span.queue.capacity')).toEqual([[5, undefined]]);
    await clock.run(processor.shutdown());
    // Not the exporter's own metric: whoever adds that up over all components must not count an export twice.
    expect(new Set(recorded)).toEqual(new Set(['otel_resilience.processor.export.duration']));
    expect([...observed.values()].map((callbacks) => callbacks.size)).toEqual([0, 0, 0]);
    metrics.disable();
  });
});
