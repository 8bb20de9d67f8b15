import { diag } from '@opentelemetry/api';
import {
  ConfigurationError,
  deliveredOutcome,
  droppedOutcome,
  type ExportContext,
  ExportError,
  type ExportOutcome,
  failedOutcome,
  type ReadableSpan,
  rejectedOutcome,
  type SpanBatch,
  SpanBatchExporterBase,
  storedOutcome,
} from '@otel-resilience/core';
import { type FakeSpanOverrides, fakeSpan, ScriptedExporter, VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it, vi } from 'vitest';
import { reachableSize } from '../../../test/support/reachable.js';
import { AdaptiveBatchSpanProcessor } from './adaptive-batch-span-processor.js';
import type { AdaptiveBatchSpanProcessorOptions } from './options.js';

type Script = (batch: SpanBatch, context: ExportContext) => ExportOutcome | Promise<ExportOutcome>;

class Leaf extends SpanBatchExporterBase {
  override readonly prefers: 'spans' | 'bytes';
  override readonly maxConcurrentExports: number = 5;
  script: Script;
  readonly batches: SpanBatch[] = [];
  open = 0;
  mostOpen = 0;
  shutdowns = 0;
  flushes = 0;

  constructor(
    clock: VirtualClock,
    prefers: 'spans' | 'bytes',
    script: Script = (batch) => deliveredOutcome(batch.spanCount),
  ) {
    super({ clock });
    this.prefers = prefers;
    this.script = script;
  }

  async exportBatch(batch: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    this.batches.push(batch);
    this.open++;
    this.mostOpen = Math.max(this.mostOpen, this.open);
    try {
      return await this.script(batch, context);
    } finally {
      this.open--;
    }
  }

  protected override async onFlush() {
    this.flushes++;
  }

  protected override async onShutdown() {
    this.shutdowns++;
  }

  get names(): string[] {
    return this.batches.flatMap((batch) => batch.spans().map((span) => span.name));
  }
}

const span = (name: string, overrides: FakeSpanOverrides = {}) => fakeSpan({ name, ...overrides });

const never = () => new Promise<never>(() => {});
/** Hangs as a good exporter does: until its signal aborts. */
const untilAborted: Script = (batch, { signal }) =>
  new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(failedOutcome(batch, 'retryable', signal.reason)), { once: true });
  });

describe.each(['spans', 'bytes'] as const)('over an exporter that prefers %s', (prefers) => {
  function setUp(options: Partial<AdaptiveBatchSpanProcessorOptions> = {}, script?: Script) {
    const clock = new VirtualClock();
    const leaf = new Leaf(clock, prefers, script);
    const processor = new AdaptiveBatchSpanProcessor({ exporter: leaf, clock, ...options });
    const end = (count: number, from = 0) => {
      for (let i = from; i < from + count; i++) processor.onEnd(span(String(i)));
    };
    return { clock, leaf, processor, end };
  }

  describe('batching', () => {
    it('sends a full batch at once and a partial one after the wait', async () => {
      const { clock, leaf, end } = setUp({ maxExportBatchSize: 10, scheduledDelayMillis: 5_000 });
      end(13);
      expect(leaf.batches.map((batch) => batch.spanCount)).toEqual([10]);
      await clock.advance(5_000);
      expect(leaf.batches.map((batch) => batch.spanCount)).toEqual([10, 3]);
      expect(leaf.names).toEqual(Array.from({ length: 13 }, (_, i) => String(i)));
    });

    it('sends a batch that has waited with the next free slot, and wakes up for nothing until then', async () => {
      let answer = () => {};
      const { clock, leaf, processor, end } = setUp({ maxConcurrentExports: 1, scheduledDelayMillis: 0 }, (batch) => {
        return new Promise((resolve) => {
          answer = () => resolve(deliveredOutcome(batch.spanCount));
        });
      });
      end(1);
      await clock.advance(1);
      end(3, 1);
      await clock.advance(10);
      expect(leaf.batches).toHaveLength(1);
      expect(clock.pendingTimers).toBe(1); // the export's own timeout
      end(2, 4);
      answer();
      await clock.settle();
      expect(leaf.batches.map((batch) => batch.spanCount)).toEqual([1, 5]);
      answer();
      await clock.run(processor.shutdown());
    });

    it('sends a batch of errors in its time although other lanes keep every slot busy', async () => {
      const { clock, leaf, processor } = setUp(
        { dropPolicy: 'priority', maxConcurrentExports: 1, maxExportBatchSize: 10, scheduledDelayMillis: 1_000 },
        async (batch) => {
          await new Promise<void>((resolve) => clock.setTimeout(resolve, 100));
          return deliveredOutcome(batch.spanCount);
        },
      );
      const child = { parentSpanContext: { traceId: '1', spanId: '2', traceFlags: 1 } };
      for (let tenth = 0; tenth < 20; tenth++) {
        for (let i = 0; i < 15; i++) processor.onEnd(span('rest', child));
        if (tenth === 0) processor.onEnd(span('error', { ...child, status: { code: 2 } }));
        await clock.advance(100);
      }
      expect(leaf.names).toContain('error');
      expect(processor.stats().queue.spans).toBeGreaterThan(10);
      await clock.run(processor.shutdown());
    });

    it('starts nothing before the first span', () => {
      const { clock, processor } = setUp();
      expect(clock.pendingTimers).toBe(0);
      processor.onEnd(span('unsampled', { traceFlags: 0 }));
      expect(clock.pendingTimers).toBe(0);
      expect(processor.stats().ledger).toMatchObject({ ended: 1, unsampled: 1, balanced: true });
    });

    it('splits batches before they exceed 4 MiB encoded', () => {
      const { leaf, processor } = setUp();
      for (let i = 0; i < 20; i++) processor.onEnd(span(String(i), { attributes: { blob: 'x'.repeat(500_000) } }));
      expect(leaf.batches.length).toBeGreaterThan(1);
      for (const batch of leaf.batches) expect(batch.byteLength).toBeLessThan(4 * 1024 * 1024);
    });

    it('waits for resource attributes that are still being detected, but not for ever', async () => {
      const { clock, leaf, processor } = setUp({ maxExportBatchSize: 1 });
      let detected = () => {};
      const detection = new Promise<void>((resolve) => {
        detected = resolve;
      });
      const pending = { attributes: {}, asyncAttributesPending: true, waitForAsyncAttributes: () => detection };
      processor.onEnd(span('a', { resource: pending }));
      await clock.advance(1_000);
      expect(leaf.batches).toHaveLength(0);
      detected();
      await clock.settle();
      expect(leaf.names).toEqual(['a']);

      const broken = { ...pending, waitForAsyncAttributes: never };
      processor.onEnd(span('b', { resource: broken }));
      await clock.advance(5_000);
      expect(leaf.names).toEqual(['a', 'b']);
      processor.onEnd(span('c', { resource: broken })); // has had its time
      await clock.settle();
      expect(leaf.names).toEqual(['a', 'b', 'c']);
    });

    it('does not count that wait as part of an export', async () => {
      const { clock, leaf, processor } = setUp({ maxExportBatchSize: 1, exportTimeoutMillis: 500 }, async (batch) => {
        await new Promise<void>((resolve) => clock.setTimeout(resolve, 400));
        return deliveredOutcome(batch.spanCount);
      });
      const detection = new Promise<void>((resolve) => clock.setTimeout(resolve, 1_000));
      const pending = { attributes: {}, asyncAttributesPending: true, waitForAsyncAttributes: () => detection };
      processor.onEnd(span('a', { resource: pending }));
      await clock.advance(1_500);
      expect(leaf.names).toEqual(['a']);
      expect(processor.stats().ledger).toMatchObject({ delivered: 1, dropped: {} });
    });
  });

  describe('bounds', () => {
    it.each([
      ['oldest', ['2', '3', '4', '5', '6']],
      ['newest', ['0', '1', '2', '3', '4']],
    ] as const)('drops the %s span when the queue is full, and counts it', async (dropPolicy, kept) => {
      const { clock, leaf, processor, end } = setUp({ dropPolicy, maxQueueSize: 5, maxExportBatchSize: 5 });
      leaf.script = untilAborted;
      for (let i = 0; i < 5 * 5; i++) processor.onEnd(span('fills every slot'));
      leaf.batches.length = 0;
      leaf.script = (batch) => deliveredOutcome(batch.spanCount);
      end(7);
      expect(processor.stats().ledger).toMatchObject({ queued: 5, dropped: { queue_full: 2 }, balanced: true });
      await clock.advance(40_000);
      expect(leaf.names).toEqual(kept);
    });

    it('with priority, drops the rest first and errors last, and a span that is worth less than all that wait', async () => {
      const { clock, leaf, processor } = setUp({ dropPolicy: 'priority', maxQueueSize: 4, maxExportBatchSize: 4 });
      leaf.script = untilAborted;
      for (let i = 0; i < 5 * 4; i++) processor.onEnd(span('fills every slot'));
      leaf.batches.length = 0;
      leaf.script = (batch) => deliveredOutcome(batch.spanCount);
      const parent = { parentSpanContext: { traceId: '1', spanId: '2', traceFlags: 1 } };
      const error = { status: { code: 2 }, ...parent };
      processor.onEnd(span('rest 1', parent));
      processor.onEnd(span('root 1'));
      processor.onEnd(span('error 1', error));
      processor.onEnd(span('error 2', error));
      processor.onEnd(span('root 2'));
      processor.onEnd(span('error 3', error));
      processor.onEnd(span('rest 2', parent));
      expect(processor.stats().ledger).toMatchObject({ queued: 4, dropped: { queue_full: 3 } });
      await clock.advance(40_000);
      expect(leaf.names).toEqual(['error 1', 'error 2', 'error 3', 'root 2']);
    });

    it('bounds the queue in bytes', () => {
      const { leaf, processor } = setUp({ maxQueueBytes: 100_000, maxQueueSize: 1_000, maxExportBatchSize: 1_000 });
      leaf.script = untilAborted;
      for (let i = 0; i < 100; i++) {
        processor.onEnd(span(String(i), { attributes: { blob: 'é'.repeat(5_000) } }));
        expect(processor.stats().queue.bytes).toBeLessThanOrEqual(100_000);
      }
      processor.onEnd(span('larger than the queue', { attributes: { blob: 'x'.repeat(200_000) } }));
      const { ledger, queue } = processor.stats();
      expect(queue.spans).toBeGreaterThan(5);
      expect(ledger).toMatchObject({ ended: 101, queued: queue.spans, balanced: true });
      expect(ledger.dropped.queue_full).toBe(101 - queue.spans);
    });

    it('forgets evicted spans, in a batch that never fills up too', () => {
      const { processor } = setUp({ maxQueueBytes: 10_000, maxExportBatchSize: 1_000, maxConcurrentExports: 1 }, never);
      processor.forceFlush({ deadline: 0 }).catch(() => {});
      for (let i = 0; i < 5_000; i++) processor.onEnd(span(String(i), { attributes: { blob: 'x'.repeat(1_000) } }));
      const { queue } = processor.stats();
      expect(queue.spans).toBeLessThan(10);
      // Bytes count one each.
      expect(reachableSize(Reflect.get(processor, 'queue'))).toBeLessThan(prefers === 'spans' ? 5_000 : 50_000);
    });

    it('never has more exports open than the exporter bears, hung ones included', async () => {
      const { clock, leaf, processor, end } = setUp({ maxExportBatchSize: 1, maxConcurrentExports: 3 }, never);
      end(50);
      await clock.advance(120_000);
      expect(leaf.mostOpen).toBe(3);
      expect(processor.stats().ledger).toMatchObject({ dropped: { export_timeout: 3 }, queued: 47, balanced: true });
    });
  });

  describe('overflow', () => {
    const spilling: Script = (batch, { overflow }) =>
      overflow ? storedOutcome(batch.spanCount) : new Promise(() => {});

    it('hands full batches to an exporter with a place of its own before anything is dropped, a burst in one tick too', async () => {
      const { clock, leaf, processor, end } = setUp({}, spilling);
      Object.assign(leaf, { takesOverflow: true });
      end(50_000);
      await clock.settle();
      const { ledger, queue, exports } = processor.stats();
      expect(ledger).toMatchObject({
        ended: 50_000,
        inFlight: 5_000,
        queued: queue.spans,
        dropped: {},
        balanced: true,
      });
      expect(ledger.handedToSpool).toBe(45_000 - queue.spans);
      expect(queue.spans).toBeLessThan(8_000);
      expect(exports.open).toBe(5);
    });

    it('does so for bytes as for spans', async () => {
      const { leaf, processor } = setUp({ maxQueueBytes: 2_000_000 }, spilling);
      Object.assign(leaf, { takesOverflow: true });
      for (let i = 0; i < 500; i++) processor.onEnd(span(String(i), { attributes: { blob: 'x'.repeat(100_000) } }));
      expect(processor.stats().ledger).toMatchObject({ ended: 500, dropped: {}, balanced: true });
    });

    it('never asks that of an exporter without one', async () => {
      const { clock, leaf, processor, end } = setUp({}, () => new Promise(() => {}));
      end(50_000);
      await clock.settle();
      expect(leaf.batches).toHaveLength(5);
      expect(processor.stats().ledger).toMatchObject({ queued: 10_000, dropped: { queue_full: 35_000 } });
    });

    it('leaves batches full when the oldest spans are evicted: overload costs spans, not throughput', async () => {
      const { clock, leaf, end } = setUp({ maxConcurrentExports: 1, maxQueueSize: 1_000, maxExportBatchSize: 100 });
      leaf.script = async (batch) => {
        await new Promise<void>((resolve) => clock.setTimeout(resolve, 100));
        return deliveredOutcome(batch.spanCount);
      };
      for (let tick = 0; tick < 100; tick++) {
        end(20);
        await clock.advance(10);
      }
      for (const batch of leaf.batches) expect(batch.spanCount).toBe(100);
    });
  });

  describe('failure', () => {
    it('counts a span once, and throws nothing, when a batch cannot be sent at all', () => {
      const clock = new VirtualClock();
      const broken = Object.assign(Object.create(clock), {
        now: () => clock.now(),
        setTimeout: () => {
          throw new Error('no timers');
        },
      });
      const processor = new AdaptiveBatchSpanProcessor({ exporter: new Leaf(clock, prefers), clock: broken });
      expect(() => processor.onEnd(span('a'))).not.toThrow();
      expect(processor.stats().ledger).toMatchObject({ ended: 1, queued: 1, balanced: true });
    });

    it('drops what an exporter could not take as export_failed', async () => {
      const { clock, processor, end } = setUp({ maxExportBatchSize: 10 }, (batch) =>
        failedOutcome(batch, 'retryable', new Error('no')),
      );
      end(10);
      await clock.settle();
      expect(processor.stats().ledger).toMatchObject({ ended: 10, dropped: { export_failed: 10 }, balanced: true });
    });

    it('counts a late acknowledgement beside, never twice', async () => {
      let answer = (_: ExportOutcome) => {};
      const { clock, processor, end } = setUp({ maxExportBatchSize: 10, exportTimeoutMillis: 1_000 }, () => {
        return new Promise((resolve) => {
          answer = resolve;
        });
      });
      end(10);
      await clock.advance(1_000);
      expect(processor.stats().ledger).toMatchObject({ dropped: { export_timeout: 10 } });
      answer(deliveredOutcome(10));
      await clock.settle();
      const { ledger, exports } = processor.stats();
      expect(ledger).toMatchObject({ delivered: 0, dropped: { export_timeout: 10 }, balanced: true });
      expect(ledger.beside).toMatchObject({ lateOutcomes: 10, lateAcknowledged: 10 });
      expect(exports.open).toBe(0);
    });

    it('pauses after a refusal instead of losing batch after batch to a taken slot', async () => {
      const { clock, leaf, processor, end } = setUp({ maxExportBatchSize: 1, maxConcurrentExports: 1 }, (batch) =>
        failedOutcome(batch, 'refused', new ExportError('REFUSED', 'open')),
      );
      end(20);
      await clock.advance(2_999);
      expect(leaf.batches).toHaveLength(3);
      leaf.script = (batch) => deliveredOutcome(batch.spanCount);
      await clock.advance(1_000);
      expect(processor.stats().ledger).toMatchObject({ delivered: 17, dropped: { export_failed: 3 } });
    });

    it('lets nothing reach span.end(): a hostile span is counted', () => {
      const { processor } = setUp();
      const hostile = {
        spanContext: () => {
          throw new Error('hostile');
        },
      } as unknown as ReadableSpan;
      expect(() => processor.onEnd(hostile)).not.toThrow();
      expect(processor.stats().ledger).toMatchObject({ ended: 1, dropped: { unreadable: 1 }, balanced: true });
    });

    it('keeps a span that ends while another one is being read, and the other', async () => {
      const { clock, leaf, processor } = setUp();
      let isFirst = true; // it may be read again
      const attributes = {
        get lazy() {
          if (isFirst) {
            isFirst = false;
            processor.onEnd(span('inner'));
          }
          return 'loaded';
        },
      };
      processor.onEnd(span('outer', { attributes }));
      const { ledger } = processor.stats();
      expect(ledger).toMatchObject({ ended: 2, queued: 2, dropped: {}, balanced: true });
      await clock.advance(5_000);
      expect(leaf.names).toEqual(['outer', 'inner']);
    });

    it('asks an exporter that refuses once, however its answer and new spans interleave', async () => {
      const { clock, leaf, processor, end } = setUp({ maxExportBatchSize: 1, maxConcurrentExports: 1 }, (batch) =>
        failedOutcome(batch, 'refused', new ExportError('REFUSED', 'open')),
      );
      for (let i = 0; i < 20; i++) {
        end(1, i);
        await Promise.resolve();
      }
      expect(leaf.batches).toHaveLength(1);
      leaf.script = (batch) => deliveredOutcome(batch.spanCount);
      await clock.advance(1_000);
      expect(processor.stats().ledger).toMatchObject({ delivered: 19, dropped: { export_failed: 1 } });
    });

    it('halves concurrency when exports fail and raises it when they succeed again', async () => {
      const { clock, leaf, processor, end } = setUp({ maxExportBatchSize: 1, maxConcurrentExports: 5 }, (batch) =>
        failedOutcome(batch, 'retryable', new Error('no')),
      );
      end(10);
      await clock.settle();
      expect(processor.stats().exports.limit).toBe(1);
      leaf.script = (batch) => deliveredOutcome(batch.spanCount);
      end(20);
      await clock.settle();
      expect(processor.stats().exports.limit).toBe(5);
    });
  });

  describe('forceFlush', () => {
    it('waits for exports in flight and for the whole queue, then flushes the exporter', async () => {
      const { clock, leaf, processor, end } = setUp({ maxExportBatchSize: 100 }, async (batch) => {
        await new Promise<void>((resolve) => clock.setTimeout(resolve, 500));
        return deliveredOutcome(batch.spanCount);
      });
      end(2_050);
      await clock.run(processor.forceFlush());
      expect(processor.stats().ledger).toMatchObject({ ended: 2_050, delivered: 2_050, balanced: true });
      expect(leaf.flushes).toBe(1);
      expect(leaf.mostOpen).toBeLessThanOrEqual(5);
      expect(clock.pendingTimers).toBe(0);
    });

    it('does not wait for spans that end after it was called', async () => {
      const { clock, leaf, processor, end } = setUp({ maxExportBatchSize: 10 });
      end(5);
      const flushed = processor.forceFlush();
      leaf.script = untilAborted;
      end(5, 5);
      await clock.run(flushed, 1_000);
      expect(leaf.names).toEqual(['0', '1', '2', '3', '4']);
    });

    it('rejects at its deadline, and when spans could not be exported', async () => {
      const { clock, leaf, processor, end } = setUp(
        { flushTimeoutMillis: 2_000, exportTimeoutMillis: 60_000 },
        untilAborted,
      );
      end(5);
      const startedAt = clock.now();
      await expect(clock.run(processor.forceFlush())).rejects.toThrow('5 spans were not exported in time');
      expect(clock.now() - startedAt).toBe(1_980); // before whoever waits for it as long gives it up
      leaf.script = (batch) => failedOutcome(batch, 'permanent', new Error('nope'));
      end(7);
      await expect(clock.run(processor.forceFlush({ deadline: clock.now() + 100_000 }))).rejects.toThrow(
        'spans were not exported',
      );
    });

    it('rejects with how many spans were lost and why, the reason as its cause', async () => {
      const refused = Object.assign(new Error('POST https://me:s3cret@a'), { code: 404 });
      const { clock, leaf, processor, end } = setUp({}, (batch) => failedOutcome(batch, 'permanent', refused));
      end(7);
      await expect(clock.run(processor.forceFlush())).rejects.toMatchObject({
        message: 'forceFlush: 7 spans were not exported: 404: POST https://a',
        cause: refused,
      });
      leaf.script = (batch) => rejectedOutcome(batch.spanCount, refused);
      end(3);
      await expect(clock.run(processor.forceFlush())).rejects.toMatchObject({ cause: refused });
      leaf.script = (batch) => droppedOutcome(batch.spanCount, 'spool_full');
      end(2);
      await expect(clock.run(processor.forceFlush())).rejects.toMatchObject({ cause: { message: 'spool_full' } });
    });

    it('hands on what its exporter says that has not flushed, in time to be heard', async () => {
      const { clock, leaf, processor, end } = setUp();
      let given = 0;
      leaf.forceFlush = async ({ deadline = 0 } = {}) => {
        given = deadline;
        throw new Error('12 spans wait in the spool: A: ECONNREFUSED');
      };
      end(1);
      const until = clock.now() + 30_000;
      await expect(clock.run(processor.forceFlush({ deadline: until }))).rejects.toThrow('12 spans wait in the spool');
      expect(until - given).toBe(50);
    });

    it('logs how many spans were not exported, in all so far, and why', async () => {
      const warn = vi.spyOn(diag, 'warn').mockReturnValue();
      const { clock, processor, end } = setUp({}, (batch) => rejectedOutcome(batch.spanCount, new Error('A: 404')));
      for (const count of [7, 3, 2]) {
        end(count);
        await clock.run(processor.forceFlush().catch(() => {}));
        if (count === 3) await clock.advance(10_000);
      }
      expect(warn.mock.calls.map(([line]) => line)).toEqual([
        'AdaptiveBatchSpanProcessor: 7 spans were not exported (7 so far): A: 404',
        expect.stringContaining('2 spans were not exported (12 so far): A: 404'),
      ]);
      warn.mockRestore();
    });
  });

  describe('shutdown', () => {
    it('exports the queue, shuts the exporter down and leaves nothing behind', async () => {
      const { clock, leaf, processor, end } = setUp();
      end(2_500);
      const first = processor.shutdown();
      expect(processor.shutdown()).toBe(first);
      await clock.run(first);
      end(3);
      expect(processor.stats().ledger).toMatchObject({
        ended: 2_503,
        delivered: 2_500,
        dropped: { shutdown: 3 },
        balanced: true,
      });
      await processor.forceFlush(); // of what is over, so the exporter is left alone
      expect([leaf.shutdowns, leaf.flushes]).toEqual([1, 0]);
      expect(clock.pendingTimers).toBe(0);
    });

    it.each([
      ['hangs and ignores its signal', never],
      ['hangs until its signal', untilAborted],
      ['fails', (batch: SpanBatch) => failedOutcome(batch, 'retryable', new Error('no'))],
      [
        'throws',
        () => {
          throw new Error('no');
        },
      ],
    ] as const)('reaches an exporter that %s, by the deadline, with every span accounted for', async (_, script) => {
      const { clock, leaf, processor, end } = setUp({ maxExportBatchSize: 100, adaptive: false }, script);
      end(1_000);
      const startedAt = clock.now();
      await clock.run(processor.shutdown());
      expect(clock.now() - startedAt).toBeLessThanOrEqual(10_000);
      expect(leaf.shutdowns).toBe(1);
      const { ledger } = processor.stats();
      expect(ledger).toMatchObject({ ended: 1_000, queued: 0, inFlight: 0, delivered: 0, balanced: true });
      expect(clock.pendingTimers).toBe(0);
    });
  });
});

describe('options', () => {
  it.each([
    ['stock', () => new ScriptedExporter()],
    ['ours', () => new Leaf(new VirtualClock(), 'bytes')],
  ])('says what to write instead of an exporter alone, as the stock processor takes it: %s', (_, make) => {
    const construct = () => new AdaptiveBatchSpanProcessor(make() as unknown as AdaptiveBatchSpanProcessorOptions);
    expect(construct).toThrow('expected an options object: new AdaptiveBatchSpanProcessor({ exporter })');
  });

  it.each([
    [{ maxQueueSize: -1 }, 'maxQueueSize'],
    [{ maxQueueSize: Number.NaN }, 'maxQueueSize'],
    [{ maxQueueSize: 10, maxExportBatchSize: 11 }, 'maxExportBatchSize'],
    [{ maxExportBatchSize: 10, minExportBatchSize: 11 }, 'minExportBatchSize'],
    [{ scheduledDelayMillis: 10, minScheduledDelayMillis: 11 }, 'minScheduledDelayMillis'],
    [{ dropPolicy: 'random' }, 'dropPolicy'],
    [{ profile: 'fast' }, 'profile'],
    [{ maxQueueSizes: 10 }, 'maxQueueSizes'],
    [{ exporter: {} }, 'exporter'],
  ])('refuses %j, naming the path', (options, path) => {
    expect(() => new AdaptiveBatchSpanProcessor({ exporter: new ScriptedExporter(), ...(options as object) })).toThrow(
      ConfigurationError,
    );
    expect(() => new AdaptiveBatchSpanProcessor({ exporter: new ScriptedExporter(), ...(options as object) })).toThrow(
      `AdaptiveBatchSpanProcessor.${path}: expected`,
    );
  });
});
