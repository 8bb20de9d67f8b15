import { BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { AdaptiveBatchSpanProcessor } from '@otel-resilience/processor';
import { ScriptedExporter, VirtualClock } from '@otel-resilience/testing';
import { MemorySpool, TieredSpanExporter } from '@otel-resilience/tiered';
import { describe, expect, it } from 'vitest';
import { endSpans, spanNames } from '../support/sdk.js';

const BATCH = { maxExportBatchSize: 10 };
const failingOnce = () => new ScriptedExporter({ script: [{ kind: 'failure', error: new Error('not now') }] });

describe('a batch that the exporter could not deliver', () => {
  it('is discarded by the stock processor', async () => {
    const exporter = failingOnce();
    const processor = new BatchSpanProcessor(exporter, BATCH);
    endSpans(processor, 10);
    await processor.forceFlush();
    await processor.shutdown();
    expect(exporter.exports).toHaveLength(1);
  });

  it('waits in the spool with ours, and is delivered when the exporter is well again', async () => {
    const clock = new VirtualClock();
    const exporter = failingOnce();
    const tiered = new TieredSpanExporter({ hot: exporter, spool: new MemorySpool(), clock });
    const processor = new AdaptiveBatchSpanProcessor({ exporter: tiered, clock, ...BATCH });
    endSpans(processor, 10);
    await clock.settle();
    expect(processor.stats().ledger).toMatchObject({ ended: 10, handedToSpool: 10, dropped: {}, balanced: true });
    expect(tiered.stats().spool).toMatchObject({ accepted: 10, waiting: 10, balanced: true });

    await clock.run(processor.forceFlush());
    expect(tiered.stats().spool).toMatchObject({ waiting: 0, delivered: 10, balanced: true });
    expect(exporter.exports.at(-1)!.spans.map((span) => span.name)).toEqual(spanNames(0, 10));
    await clock.run(processor.shutdown());
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('a queue that is full', () => {
  const OPTIONS = { maxExportBatchSize: 5, maxQueueSize: 10 };
  const afterwards = async (exporter: ScriptedExporter, flush: () => Promise<void>) => {
    exporter.respond('success');
    exporter.answerOpen();
    await flush();
    return exporter.spans.slice(5).map((span) => span.name);
  };

  it('loses the newest spans with the stock processor, whatever they say', async () => {
    const exporter = new ScriptedExporter({ otherwise: 'never' });
    const processor = new BatchSpanProcessor(exporter, OPTIONS);
    endSpans(processor, 25); // five leave at once, ten wait
    expect(await afterwards(exporter, () => processor.forceFlush())).toEqual(spanNames(5, 15));
    await processor.shutdown();
  });

  it.each([
    ['oldest', spanNames(15, 25)],
    ['newest', spanNames(5, 15)],
    ['priority', ['span 24', ...spanNames(16, 24), 'span 15'].toSorted()],
  ] as const)('loses by policy with ours: %s', async (dropPolicy, kept) => {
    const clock = new VirtualClock();
    const exporter = new ScriptedExporter({ otherwise: 'never' });
    const processor = new AdaptiveBatchSpanProcessor({ exporter, clock, dropPolicy, ...OPTIONS });
    endSpans(processor, 25);
    expect(processor.stats().ledger).toMatchObject({ ended: 25, dropped: { queue_full: 10 }, balanced: true });
    const names = await afterwards(exporter, () => clock.run(processor.forceFlush()));
    expect(dropPolicy === 'priority' ? names.toSorted() : names).toEqual(kept);
    await clock.run(processor.shutdown());
  });

  it('never loses an error with our policy `priority` while there is anything else to lose', async () => {
    const clock = new VirtualClock();
    const exporter = new ScriptedExporter({ otherwise: 'never' });
    const processor = new AdaptiveBatchSpanProcessor({ exporter, clock, dropPolicy: 'priority', ...OPTIONS });
    endSpans(processor, 5);
    endSpans(processor, 10, { error: true });
    endSpans(processor, 10);
    exporter.respond('success');
    exporter.answerOpen();
    await clock.run(processor.forceFlush());
    const kept = exporter.exports.slice(1).flatMap(({ spans }) => spans.map((span) => span.status.code));
    expect(kept).toEqual(Array(10).fill(2));
    await clock.run(processor.shutdown());
  });
});
