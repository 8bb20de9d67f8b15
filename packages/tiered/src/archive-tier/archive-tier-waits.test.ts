import {
  deliveredOutcome,
  type ExportContext,
  type FileSystem,
  failedOutcome,
  SpanBatch,
  sleep,
} from '@otel-resilience/core';
import { FaultyDisk, fakeSpan, fakeSpans, ScriptedBatchExporter, VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { MemoryObjectStore } from '../../../../test/support/memory-object-store.js';
import { reachableSize } from '../../../../test/support/reachable.js';
import { batchOf, setUpScripted, spoolThat } from '../../../../test/support/tiered.js';
import { TieredSpanExporter, type TieredSpanExporterStats } from '../index.js';
import { Spool } from '../spool/disk-spool.js';
import { MemorySpool } from '../spool/memory-spool.js';
import type { ArchiveTierOptions } from './archive-tier-options.js';
import { GatheringSpool } from './gathering-spool.js';

/** What flushes and shutdowns wait for, and what is due when. */

const SPANS = 200;
const BYTES = SPANS * 100;
const warmOf = (stats: TieredSpanExporterStats) => stats.warm!;

function setUp(options: Partial<ArchiveTierOptions> = {}, latencyMillis = 0) {
  const set = setUpScripted('delivered', {});
  const { clock, hot, spool } = set;
  const warm = new ScriptedBatchExporter({
    prefers: 'spans',
    clock,
    otherwise: { kind: 'delivered', delayMillis: latencyMillis },
  });
  const tiered = new TieredSpanExporter({ hot, spool, clock, warm: { exporter: warm, ...options } });
  const send = (spans = SPANS, context: Partial<ExportContext> = {}) =>
    tiered.exportBatch(batchOf(spans), {
      signal: new AbortController().signal,
      deadline: clock.now() + 30_000,
      ...context,
    });
  return { clock, hot, spool, tiered, send, warm };
}

describe('a flush of an archive', () => {
  it('resolves when the last of what waits is being written already', async () => {
    const { clock, send, tiered, warm } = setUp({ maxBatchBytes: BYTES }, 300);
    await clock.run(send());
    await clock.advance(100);
    expect(warm.openExports).toBe(1);
    const began = clock.now();
    await clock.run(tiered.forceFlush());
    expect(clock.now() - began).toBeLessThan(500);
  });

  it('that has given up leaves nothing behind: what comes later is gathered again', async () => {
    const clock = new VirtualClock();
    const gathering = new GatheringSpool({
      spool: new MemorySpool(),
      maxBatchBytes: 1_000_000,
      delayMillis: 60_000,
      encodes: false,
      clock,
    });
    await gathering.append(batchOf(SPANS));
    for (let flush = 0; flush < 5; flush++) {
      expect(await clock.run(gathering.emptied(clock.now() + 1_000))).toBe(false);
    }
    expect(await gathering.lease()).toBeUndefined();
    expect(clock.pendingTimers).toBe(1);
    await gathering.shutdown();
    expect(clock.pendingTimers).toBe(0);
  });

  it('archives copies although hot hangs for as long as the flush may take', async () => {
    const { clock, send, tiered, hot, warm } = setUp({}, 300);
    hot.respond('hang');
    void send();
    const flushed = tiered.forceFlush({ deadline: clock.now() + 4_000 });
    await expect(clock.run(flushed)).rejects.toThrow('forceFlush');
    expect(warm.exports.map(({ batch }) => batch.spanCount)).toEqual([SPANS]);
    expect(warmOf(tiered.stats()).spool.delivered).toBe(SPANS);
    await clock.run(tiered.shutdown());
  });

  it('waits for what is on its way into a spool on disk', async () => {
    const clock = new VirtualClock();
    const memory = new MemorySpool();
    let stored = 0;
    const slow = spoolThat({
      durable: true,
      append: async (batch: SpanBatch) => {
        await sleep(clock, 700);
        stored += batch.spanCount;
        return memory.append(batch);
      },
    });
    const hot = new ScriptedBatchExporter({ clock });
    const tiered = new TieredSpanExporter({
      hot,
      clock,
      warm: { exporter: new ScriptedBatchExporter({ clock }), spool: slow },
    });
    void tiered.exportBatch(batchOf(SPANS), { signal: new AbortController().signal, deadline: clock.now() + 20_000 });
    await clock.run(tiered.forceFlush());
    expect(stored).toBe(SPANS);
  });
});

describe('a shutdown', () => {
  it('archives copies although hot hangs until the end of it', async () => {
    const { clock, send, tiered, hot, warm } = setUp({}, 300);
    hot.respond('hang');
    void send();
    await clock.advance(10);
    await clock.run(tiered.shutdown({ deadline: clock.now() + 4_000 }));
    expect(warm.exports.map(({ batch }) => batch.spanCount)).toEqual([SPANS]);
    expect(warmOf(tiered.stats()).spool).toMatchObject({ delivered: SPANS, dropped: {} });
    expect(clock.pendingTimers).toBe(0);
  });

  it('archives what comes out of the spool of hot in the course of it', async () => {
    const set = setUpScripted('retryable', {});
    const { clock, hot } = set;
    const warm = new ScriptedBatchExporter({
      prefers: 'spans',
      clock,
      otherwise: { kind: 'delivered', delayMillis: 300 },
    });
    const rules = [{ minAgeMillis: 60_000, to: 'warm' as const }, { to: 'hot' as const }];
    const tiered = new TieredSpanExporter({
      hot,
      spool: new MemorySpool(),
      clock,
      warm,
      rules,
      probeIntervalMillis: 10_000,
    });
    const young = { startMillis: clock.wallTime() };
    for (let batch = 0; batch < 40; batch++) {
      const spans = SpanBatch.fromSpans(fakeSpans(SPANS, young), { byteLength: 600_000 });
      await clock.run(
        tiered.exportBatch(spans, { signal: new AbortController().signal, deadline: clock.now() + 5_000 }),
      );
    }
    await clock.advance(59_000);
    hot.respond('delivered');
    clock.jumpWallTime(10_000);
    await clock.run(tiered.shutdown());
    const { spool, divertedSpans } = warmOf(tiered.stats());
    expect(divertedSpans).toBeGreaterThan(0);
    expect(spool).toMatchObject({ delivered: divertedSpans, dropped: {} });
  });

  it('shuts the store down although a spool hangs', async () => {
    const store = new MemoryObjectStore();
    const spool = spoolThat({ shutdown: () => new Promise(() => {}) });
    const clock = new VirtualClock();
    const tiered = new TieredSpanExporter({ hot: new ScriptedBatchExporter({ clock }), clock, warm: { store, spool } });
    await clock.run(tiered.shutdown());
    await expect(store.head('x')).rejects.toMatchObject({ code: 'SHUTDOWN' });
    expect(clock.pendingTimers).toBe(0);
  });

  it('leaves no timer when a spool answers after it', async () => {
    let answer: (lease: undefined) => void = () => {};
    const memory = new MemorySpool();
    const spool = spoolThat({ lease: () => new Promise<undefined>((resolve) => (answer = resolve)) }, memory);
    const { clock, send, tiered } = setUp({ spool });
    await clock.run(send());
    await clock.run(tiered.shutdown());
    answer(undefined);
    await clock.settle();
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('what waits for an archive', () => {
  it('is due by its size, whatever empty batches came before', async () => {
    const { clock, send, warm } = setUp({ maxBatchBytes: 2 * BYTES });
    await clock.run(send(0));
    await clock.run(send());
    await clock.run(send());
    await clock.settle();
    expect(warm.exports.map(({ batch }) => batch.spanCount)).toEqual([2 * SPANS]);
  });

  it('is no more, for an exporter, than a collector takes in a request', async () => {
    const { clock, send, warm, tiered } = setUp();
    for (let batch = 0; batch < 60; batch++) void send(1_000); // 100,000 bytes each
    await clock.run(tiered.forceFlush());
    const sizes = warm.exports.map(({ batch }) => batch.spanCount * 100);
    expect(Math.min(...sizes.slice(0, -1))).toBeGreaterThanOrEqual(1_000_000);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(2_097_152);
  });

  it('goes alone when it was refused with others, for good: one bad batch takes no other with it', async () => {
    const { clock, tiered, warm, send } = setUp();
    warm.respond((batch) =>
      batch.spans().some(({ name }) => name === 'bad')
        ? failedOutcome(batch, 'permanent', new Error('400'))
        : deliveredOutcome(batch.spanCount),
    );
    for (let batch = 0; batch < 5; batch++) await clock.run(send(900));
    const bad = SpanBatch.fromSpans([fakeSpan({ name: 'bad' })], { byteLength: 2_000_000 });
    const context = { signal: new AbortController().signal, deadline: clock.now() + 5_000 };
    for (let batch = 0; batch < 3; batch++) await clock.run(send(900));
    await clock.run(tiered.exportBatch(bad, context));
    for (let batch = 0; batch < 3; batch++) await clock.run(send(900));
    await clock.run(tiered.forceFlush());
    expect(warmOf(tiered.stats()).spool).toMatchObject({ waiting: 0, delivered: 11 * 900, rejected: 1 });
    const calls = warm.exports.length;
    expect(calls).toBeLessThan(20);
  });

  it('from an earlier process is written as fast as it can be, though nothing new comes', async () => {
    const clock = new VirtualClock();
    const disk = new FaultyDisk();
    const make = (fileSystem: FileSystem, options: object) => {
      const warm = new ScriptedBatchExporter({ clock, prefers: 'bytes' });
      const spool = new Spool({ directory: '/archive', fsync: 'always', fileSystem, clock, maxSegmentBytes: 65_536 });
      const tiered = new TieredSpanExporter({
        hot: new ScriptedBatchExporter({ clock }),
        clock,
        warm: { exporter: warm, spool, ...options },
      });
      return { warm, tiered };
    };
    const first = make(disk, {});
    for (let batch = 0; batch < 40; batch++) {
      const context = { signal: new AbortController().signal, deadline: clock.now() + 20_000 };
      await clock.run(first.tiered.exportBatch(batchOf(1_000), context));
    }
    await clock.run(first.tiered.shutdown());
    const second = make(disk, { maxBatchBytes: 500_000 });
    await clock.run(second.tiered.open());
    await clock.advance(90_000);
    expect(warmOf(second.tiered.stats()).spool.waiting).toBeLessThan(5_000);
    await clock.run(second.tiered.shutdown());
  });
});

describe('an archive that is down', () => {
  it.each(['retryable', 'hang'] as const)(
    '(%s) holds no more after an hour of flushes than after some minutes',
    async (answer) => {
      const { clock, send, tiered, warm, hot } = setUp({ spool: new MemorySpool({ maxBytes: 40 * BYTES }) });
      warm.respond(answer);
      const residueAfter = async (millis: number) => {
        for (let t = 0; t < millis; t += 20_000) {
          await clock.run(send());
          await clock.run(tiered.forceFlush({ deadline: clock.now() + 3_000 }).catch(() => {}));
          await clock.advance(17_000);
        }
        const isOthers = (value: object) =>
          value === clock || value === warm || value === hot || value instanceof SpanBatch;
        return { size: reachableSize(tiered, isOthers), timers: clock.pendingTimers };
      };
      const soon = await residueAfter(1_200_000);
      const late = await residueAfter(3_600_000);
      expect(late.size).toBeLessThanOrEqual(soon.size * 1.1);
      expect(late.timers).toBeLessThanOrEqual(soon.timers + 2);
      await clock.run(tiered.shutdown());
    },
  );
});
