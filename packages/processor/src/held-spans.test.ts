import { type HeldSpans, heldSpansOf, type ReadableSpan } from '@otel-resilience/core';
import { fakeSpan, fakeSpans, ScriptedBatchExporter, VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { AdaptiveBatchSpanProcessor } from './adaptive-batch-span-processor.js';
import type { AdaptiveBatchSpanProcessorOptions } from './options.js';

function setUp(options: Partial<AdaptiveBatchSpanProcessorOptions> = {}) {
  const clock = new VirtualClock();
  const exporter = new ScriptedBatchExporter({ clock });
  const processor = new AdaptiveBatchSpanProcessor({ exporter, clock, ...options });
  const held: HeldSpans = heldSpansOf(processor);
  const ledger = () => processor.stats().ledger;
  const hold = (count: number) => {
    for (let i = 0; i < count; i++) held.hold();
  };
  return { clock, exporter, processor, held, hold, ledger };
}

const hostile = {
  spanContext: () => {
    throw new Error('hostile');
  },
} as unknown as ReadableSpan;

describe('spans that another processor holds back', () => {
  it('are ended once, when they are held, and leave by their decision', async () => {
    const { clock, exporter, processor, held, hold, ledger } = setUp();
    hold(5);
    expect(ledger()).toMatchObject({ ended: 5, held: 5, queued: 0, balanced: true });
    held.discard(2);
    expect(ledger()).toMatchObject({ ended: 5, held: 3, unsampled: 2, balanced: true });
    const spans = fakeSpans(3);
    for (const span of spans) held.release(span);
    expect(ledger()).toMatchObject({ ended: 5, held: 0, unsampled: 2, queued: 3, balanced: true });
    await clock.run(processor.forceFlush());
    expect(exporter.exports.flatMap(({ batch }) => batch.spans())).toEqual(spans);
    expect(ledger()).toMatchObject({ ended: 5, unsampled: 2, delivered: 3, balanced: true });
  });

  it('are admitted as spans that end are: a full batch leaves, and a full queue drops', () => {
    const { exporter, held, hold, ledger } = setUp({
      maxQueueSize: 4,
      maxExportBatchSize: 2,
      maxConcurrentExports: 1,
      dropPolicy: 'newest',
    });
    exporter.respond('hang');
    hold(8);
    for (const span of fakeSpans(7)) held.release(span);
    expect(ledger()).toMatchObject({ held: 1, inFlight: 2, queued: 4, dropped: { queue_full: 1 }, balanced: true });
    expect(ledger().beside.neverDispatched).toEqual({ queue_full: 1 });
  });

  it('make room like others when the oldest goes', () => {
    const { exporter, held, hold, ledger } = setUp({
      maxQueueSize: 2,
      maxExportBatchSize: 2,
      maxConcurrentExports: 1,
    });
    exporter.respond('hang');
    hold(6);
    for (const span of fakeSpans(6)) held.release(span);
    expect(ledger()).toMatchObject({ ended: 6, inFlight: 2, queued: 2, dropped: { queue_full: 2 }, balanced: true });
  });

  it('that are not sampled after all, or cannot be read, are counted as such, and nothing is thrown', () => {
    const { held, hold, ledger } = setUp();
    hold(2);
    held.release(fakeSpan({ traceFlags: 0 }));
    expect(() => held.release(hostile)).not.toThrow();
    expect(ledger()).toMatchObject({ ended: 2, held: 0, unsampled: 1, dropped: { unreadable: 1 }, balanced: true });
  });

  it('that are let go after the shutdown are dropped for it', async () => {
    const { clock, processor, held, hold, ledger } = setUp();
    hold(3);
    await clock.run(processor.shutdown());
    expect(ledger()).toMatchObject({ ended: 3, held: 3, balanced: true });
    held.release(fakeSpan());
    held.release(hostile);
    held.discard(1);
    expect(ledger()).toMatchObject({
      ended: 3,
      held: 0,
      unsampled: 1,
      dropped: { shutdown: 1, unreadable: 1 },
      balanced: true,
    });
    expect(clock.pendingTimers).toBe(0);
  });

  it('that are let go while the last batches leave are dropped for the shutdown too', async () => {
    const { clock, exporter, processor, held, hold, ledger } = setUp();
    exporter.respond({ kind: 'delivered', delayMillis: 100 });
    processor.onEnd(fakeSpan());
    hold(1);
    const stopped = processor.shutdown();
    await clock.settle();
    held.release(fakeSpan());
    await clock.run(stopped);
    expect(ledger()).toMatchObject({ ended: 2, delivered: 1, dropped: { shutdown: 1 }, balanced: true });
  });
});
