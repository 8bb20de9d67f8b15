import { metrics } from '@opentelemetry/api';
import { BatchSpanProcessor, type BufferConfig } from '@opentelemetry/sdk-trace-base';
import { METRIC } from '@otel-resilience/core';
import { AdaptiveBatchSpanProcessor } from '@otel-resilience/processor';
import { ScriptedExporter, VirtualClock } from '@otel-resilience/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { manualMetrics } from '../support/metrics.js';
import { endSpans } from '../support/sdk.js';

/** `ExportResult.error` is optional, and not every exporter sets it. */
describe('an export that failed without saying why', () => {
  const failing = () => new ScriptedExporter({ otherwise: 'failure' });
  const withErrorType = (point: { attributes: object }) => 'error.type' in point.attributes;

  afterEach(() => metrics.disable());

  it('counts as a success in the metric of the stock processor', async () => {
    const { provider, points } = manualMetrics();
    const config: BufferConfig = Object.assign({ maxExportBatchSize: 5 }, { selfObsMeterProvider: provider });
    const processor = new BatchSpanProcessor(failing(), config);
    endSpans(processor, 5);
    await new Promise((resolve) => setImmediate(resolve));
    const processed = await points(METRIC.spanProcessed);
    expect(processed.map((point) => point.value)).toEqual([5]);
    expect(processed.filter(withErrorType)).toEqual([]);
    await processor.shutdown();
  });

  it('counts as a failure in our ledger and our metric, and fails forceFlush', async () => {
    const { provider, points } = manualMetrics();
    metrics.setGlobalMeterProvider(provider);
    const clock = new VirtualClock();
    const processor = new AdaptiveBatchSpanProcessor({ exporter: failing(), clock, maxExportBatchSize: 5 });
    endSpans(processor, 5);
    await clock.settle();
    const { ledger } = processor.stats();
    expect(ledger).toMatchObject({ ended: 5, delivered: 0, dropped: { export_failed: 5 }, balanced: true });
    const durations = await points(METRIC.exportDuration);
    expect(durations.map(({ attributes, value }) => [attributes['error.type'], value])).toEqual([['retryable', 1]]);

    endSpans(processor, 3);
    await expect(clock.run(processor.forceFlush())).rejects.toThrow('3 spans were not exported');
    await clock.run(processor.shutdown());
  });
});
