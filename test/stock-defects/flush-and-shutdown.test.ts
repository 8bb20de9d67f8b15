import { BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { AdaptiveBatchSpanProcessor } from '@otel-resilience/processor';
import { ScriptedExporter, VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { endSpans } from '../support/sdk.js';

const BATCH = { maxExportBatchSize: 10 };

const hanging = () => new ScriptedExporter({ otherwise: 'never' });
const failing = () =>
  new ScriptedExporter({ otherwise: { kind: 'failure', error: new Error('the receiver said no') } });

function ours(exporter: ScriptedExporter) {
  const clock = new VirtualClock();
  return { clock, processor: new AdaptiveBatchSpanProcessor({ exporter, clock, ...BATCH }) };
}

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const done = () => {
    settled = true;
  };
  promise.then(done, done);
  await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

describe('forceFlush with an export in flight', () => {
  it('resolves at once with the stock processor, before the spans have been acknowledged', async () => {
    const exporter = hanging();
    const processor = new BatchSpanProcessor(exporter, BATCH);
    endSpans(processor, 10);
    expect(exporter.openExports).toBe(1);
    await processor.forceFlush();
    expect(exporter.openExports).toBe(1);
    exporter.answerOpen();
  });

  it('awaits it with ours', async () => {
    const exporter = hanging();
    const { clock, processor } = ours(exporter);
    endSpans(processor, 10);
    expect(exporter.openExports).toBe(1);
    const flushed = processor.forceFlush();
    await clock.settle();
    expect(await isSettled(flushed)).toBe(false);
    exporter.answerOpen();
    await clock.run(flushed);
    expect(processor.stats().ledger).toMatchObject({ ended: 10, delivered: 10, balanced: true });
    await clock.run(processor.shutdown());
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('shutdown whose last flush fails', () => {
  it('never reaches the exporter with the stock processor', async () => {
    const exporter = failing();
    const processor = new BatchSpanProcessor(exporter, BATCH);
    endSpans(processor, 5);
    await expect(processor.shutdown()).rejects.toThrow('the receiver said no');
    expect(exporter.exports).toHaveLength(1);
    expect(exporter.shutdowns).toBe(0);
  });

  it('reaches the exporter with ours, and resolves', async () => {
    const exporter = failing();
    const { clock, processor } = ours(exporter);
    endSpans(processor, 5);
    await clock.run(processor.shutdown());
    expect(exporter.exports).toHaveLength(1);
    expect(exporter.shutdowns).toBe(1);
    expect(processor.stats().ledger).toMatchObject({ ended: 5, dropped: { export_failed: 5 }, balanced: true });
  });
});

describe('shutdown with an exporter that hangs', () => {
  it('never reaches the exporter with the stock processor', async () => {
    const exporter = hanging();
    const processor = new BatchSpanProcessor(exporter, { ...BATCH, exportTimeoutMillis: 20 });
    endSpans(processor, 5);
    await expect(processor.shutdown()).rejects.toThrow('Timeout');
    expect(exporter.shutdowns).toBe(0);
  });

  it('reaches the exporter with ours, within the deadline', async () => {
    const exporter = hanging();
    const { clock, processor } = ours(exporter);
    endSpans(processor, 5);
    const startedAt = clock.now();
    await clock.run(processor.shutdown());
    expect(clock.now() - startedAt).toBeLessThanOrEqual(10_000);
    expect(exporter.shutdowns).toBe(1);
    expect(processor.stats().ledger).toMatchObject({ ended: 5, dropped: { shutdown: 5 }, balanced: true });
    expect(clock.pendingTimers).toBe(0);
  });
});
