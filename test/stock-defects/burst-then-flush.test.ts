import { BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { AdaptiveBatchSpanProcessor } from '@otel-resilience/processor';
import { CountingReceiver } from '@otel-resilience/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { endSpans } from '../support/sdk.js';
import { PROTOCOLS, stockOtlpExporter } from '../support/stock-otlp.js';

const SPANS = 30_000;
const QUEUE = { maxQueueSize: 65_536 };

// The stock processor sends all batches at once, and the stock OTLP exporter fails the 31st that is open. So 30 batches
// of 512 arrive, whatever the receiver could take.
const STOCK_RECEIVES = 30 * 512;

describe.each(PROTOCOLS)('a burst that fits into the queue, over %s', (protocol) => {
  let receiver: CountingReceiver;

  beforeEach(async () => {
    receiver = new CountingReceiver({ protocol });
    await receiver.start();
  });
  afterEach(() => receiver.stop());

  it.each(['forceFlush', 'shutdown'] as const)('%s delivers half of it from the stock processor', async (stop) => {
    const exporter = stockOtlpExporter(receiver);
    const processor = new BatchSpanProcessor(exporter, QUEUE);
    endSpans(processor, SPANS);
    await expect(processor[stop]()).rejects.toThrow('Concurrent export limit reached');
    await exporter.shutdown(); // waits for what is in flight
    expect(receiver.snapshot()).toMatchObject({ uniqueSpans: STOCK_RECEIVES });
  });

  it.each(['forceFlush', 'shutdown'] as const)(
    '%s delivers all of it from ours, by the same exporter',
    async (stop) => {
      const processor = new AdaptiveBatchSpanProcessor({ exporter: stockOtlpExporter(receiver), ...QUEUE });
      const ids = endSpans(processor, SPANS);
      await processor[stop]();
      expect(receiver.spanIds).toEqual(ids);
      expect(receiver.duplicates).toBe(0);
      expect(processor.stats().ledger).toMatchObject({ ended: SPANS, delivered: SPANS, balanced: true });
      await processor.shutdown();
    },
  );

  it('with default options the stock processor delivers a quarter of 10,000 spans, ours all', async () => {
    const exporter = stockOtlpExporter(receiver);
    const stock = new BatchSpanProcessor(exporter);
    endSpans(stock, 10_000);
    await stock.forceFlush();
    await exporter.shutdown();
    expect(receiver.snapshot()).toMatchObject({ uniqueSpans: 2_048 + 512 });

    receiver.clear();
    const ours = new AdaptiveBatchSpanProcessor({ exporter: stockOtlpExporter(receiver) });
    const ids = endSpans(ours, 10_000);
    await ours.forceFlush();
    expect(receiver.spanIds).toEqual(ids);
    await ours.shutdown();
  });
});
