import { DiagLogLevel, diag } from '@opentelemetry/api';
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { adaptSpanExporter } from '@otel-resilience/core';
import { AdaptiveBatchSpanProcessor } from '@otel-resilience/processor';
import { ScriptedExporter, VirtualClock } from '@otel-resilience/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { endSpans } from '../support/sdk.js';

const FAILED = { code: 1, error: new Error('the receiver said no') };

/** The specification: "Export() will never be called concurrently for the same exporter instance." */
describe('a third-party exporter', () => {
  const BATCH = { maxExportBatchSize: 10, maxQueueSize: 10_000 };

  it('is called concurrently by a flush of the stock processor', async () => {
    const exporter = new ScriptedExporter({ otherwise: 'never' });
    const processor = new BatchSpanProcessor(exporter, BATCH);
    endSpans(processor, 500);
    const flushed = processor.forceFlush();
    expect(exporter.maxOpenExports).toBe(50);
    exporter.answerOpen();
    await flushed;
  });

  it('is called concurrently by the stock processor after one failure', async () => {
    const exporter = new ScriptedExporter({ otherwise: 'never' });
    const processor = new BatchSpanProcessor(exporter, BATCH);
    endSpans(processor, 500);
    expect(exporter.maxOpenExports).toBe(1);
    exporter.answerOpen(FAILED); // it starts the next export, then forgets that one is open
    await new Promise((resolve) => setImmediate(resolve));
    for (let i = 0; i < 20; i++) endSpans(processor, 1);
    expect(exporter.openExports).toBe(2);
  });

  it('is never called concurrently by ours, whatever happens', async () => {
    const clock = new VirtualClock();
    const exporter = new ScriptedExporter({ otherwise: 'never' });
    const processor = new AdaptiveBatchSpanProcessor({ exporter, clock, maxConcurrentExports: 10, ...BATCH });
    endSpans(processor, 500);
    exporter.answerOpen(FAILED);
    for (let i = 0; i < 20; i++) endSpans(processor, 1);
    const flushed = processor.forceFlush();
    await clock.settle();
    expect(exporter.openExports).toBe(1);
    exporter.respond('success');
    exporter.answerOpen();
    await expect(clock.run(flushed)).rejects.toThrow('10 spans were not exported');
    expect(exporter.maxOpenExports).toBe(1);
    expect(processor.stats().ledger).toMatchObject({ ended: 520, delivered: 510, dropped: { export_failed: 10 } });
  });

  it('is called concurrently by ours as far as it is said to bear it', async () => {
    const clock = new VirtualClock();
    const exporter = new ScriptedExporter({ otherwise: 'never' });
    const bearsThree = adaptSpanExporter(exporter, { maxConcurrentExports: 3, clock });
    const processor = new AdaptiveBatchSpanProcessor({ exporter: bearsThree, clock, ...BATCH });
    endSpans(processor, 500);
    const flushed = processor.forceFlush();
    expect(exporter.maxOpenExports).toBe(3);
    exporter.respond('success');
    exporter.answerOpen();
    await clock.run(flushed);
    expect(exporter.maxOpenExports).toBe(3);
    expect(processor.stats().ledger).toMatchObject({ delivered: 500, balanced: true });
  });
});

describe('an exporter that hangs under load', () => {
  const OPTIONS = { maxExportBatchSize: 10, maxQueueSize: 1_000, exportTimeoutMillis: 5_000 };
  const SECONDS = 120;

  beforeEach(() => {
    diag.setLogger({ verbose() {}, debug() {}, info() {}, warn() {}, error() {} }, DiagLogLevel.NONE);
  });
  afterEach(() => {
    vi.useRealTimers();
    diag.disable();
  });

  it('has ever more exports open with the stock processor', async () => {
    vi.useFakeTimers();
    const exporter = new ScriptedExporter({ otherwise: 'never' });
    const processor = new BatchSpanProcessor(exporter, OPTIONS);
    for (let second = 0; second < SECONDS; second++) {
      endSpans(processor, 10);
      await vi.advanceTimersByTimeAsync(1_000);
    }
    // One every 5 s, as each times out, would be 24; but a timeout is a failure, and after that there are more.
    expect(exporter.openExports).toBeGreaterThan(50);
    processor.shutdown().catch(() => {});
    await vi.advanceTimersByTimeAsync(10_000);
  });

  it.each([1, 4])('never has more than %i open with ours', async (bears) => {
    const clock = new VirtualClock();
    const exporter = new ScriptedExporter({ otherwise: 'never' });
    const adapted = adaptSpanExporter(exporter, { maxConcurrentExports: bears, clock });
    const processor = new AdaptiveBatchSpanProcessor({ exporter: adapted, clock, ...OPTIONS });
    for (let second = 0; second < SECONDS; second++) {
      endSpans(processor, 10);
      await clock.advance(1_000);
      expect(processor.stats().ledger.balanced).toBe(true);
    }
    expect(exporter.maxOpenExports).toBe(bears);
    await clock.run(processor.shutdown());
    expect(exporter.exports).toHaveLength(bears);
    expect(exporter.shutdowns).toBe(1);
    expect(clock.pendingTimers).toBe(0);
  });
});
