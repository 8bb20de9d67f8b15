import { type ExportContext, type FileSystem, SpanBatch, systemClock } from '@otel-resilience/core';
import { FaultyDisk, fakeSpans, ScriptedBatchExporter, VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { all } from '../../../../test/support/archive.js';
import { MemoryObjectStore } from '../../../../test/support/memory-object-store.js';
import { batchOf, setUpScripted } from '../../../../test/support/tiered.js';
import { TieredSpanExporter, type TieredSpanExporterStats } from '../index.js';
import { ArchiveReader } from '../object-store/archive-reader.js';
import { ObjectStoreError } from '../object-store/object-store-error.js';
import { Spool } from '../spool/disk-spool.js';
import { MemorySpool } from '../spool/memory-spool.js';

const SPANS = 200;
const warmOf = (stats: TieredSpanExporterStats) => stats.warm!;
const context = (clock: { now(): number }): ExportContext => ({
  signal: new AbortController().signal,
  deadline: clock.now() + 20_000,
});
const spansIn = async (store: MemoryObjectStore) => {
  const reader = new ArchiveReader({ store });
  let spans = 0;
  for (const found of await all(reader.find({}))) spans += (await reader.read(found)).spanCount;
  return spans;
};

function scripted(options: { delayMillis?: number; maxBatchBytes?: number; maxBytes?: number } = {}) {
  const { delayMillis: scheduledDelayMillis, maxBatchBytes, maxBytes } = options;
  const warm = new ScriptedBatchExporter({ prefers: 'spans' });
  const spool = new MemorySpool({ ...(maxBytes && { maxBytes }) });
  const set = setUpScripted('delivered', {
    warm: {
      exporter: warm,
      spool,
      ...(scheduledDelayMillis && { scheduledDelayMillis }),
      ...(maxBatchBytes && { maxBatchBytes }),
    },
  });
  return { ...set, warm };
}

describe('a warm tier', () => {
  it('gets what hot gets, in one batch when the first of it has waited long enough', async () => {
    const { clock, send, hot, warm, tiered } = scripted({ delayMillis: 10_000 });
    for (let batch = 0; batch < 5; batch++) expect(await clock.run(send(SPANS))).toMatchObject({ delivered: SPANS });
    await clock.advance(9_900);
    expect([hot.exports.length, warm.exports.length]).toEqual([5, 0]);
    await clock.advance(200);
    expect(warm.exports.map(({ batch }) => batch.spanCount)).toEqual([5 * SPANS]);
    expect(warmOf(tiered.stats())).toMatchObject({
      copiedSpans: 5 * SPANS,
      routedSpans: 0,
      spool: { waiting: 0, delivered: 5 * SPANS },
    });
    expect(clock.pendingTimers).toBe(0);
  });

  it('gets it although timers are a little ahead of the clock, as those of node are', async () => {
    class Hasty extends VirtualClock {
      override setTimeout(callback: () => void, delayMillis: number) {
        return super.setTimeout(callback, delayMillis - 0.5);
      }
    }
    const clock = new Hasty();
    const warm = new ScriptedBatchExporter({ prefers: 'spans', clock });
    const tiered = new TieredSpanExporter({ hot: new ScriptedBatchExporter({ clock }), warm, clock });
    await clock.run(tiered.exportBatch(batchOf(SPANS), context(clock)));
    await clock.advance(60_000);
    expect(warm.exports.length).toBe(1);
  });

  it('gets it sooner when there is enough of it', async () => {
    const { clock, send, warm } = scripted({ maxBatchBytes: 3 * SPANS * 100 });
    for (let batch = 0; batch < 7; batch++) await clock.run(send(SPANS));
    await clock.settle();
    expect(warm.exports.map(({ batch }) => batch.spanCount)).toEqual([3 * SPANS, 3 * SPANS]);
  });

  it('is tried again every 5 s while it refuses, and then has everything once', async () => {
    const { clock, send, warm, tiered } = scripted({ delayMillis: 1_000 });
    warm.respond('retryable');
    await clock.run(send(SPANS));
    await clock.advance(20_000);
    expect(warmOf(tiered.stats())).toMatchObject({ state: { kind: 'down' }, spool: { waiting: SPANS } });
    expect(tiered.stats().hot.kind).toBe('up');
    const tries = warm.exports.length;
    expect(tries).toBeGreaterThan(2);
    expect(tries).toBeLessThan(7);
    warm.respond('delivered');
    await clock.advance(6_000);
    expect(warmOf(tiered.stats())).toMatchObject({ state: { kind: 'up' }, spool: { waiting: 0, delivered: SPANS } });
  });

  it('says what its spool could not take, and what it gave up: none of it is anybody else’s loss', async () => {
    const { clock, send, warm, tiered } = scripted({ delayMillis: 1_000, maxBytes: 2 * SPANS * 100 });
    warm.respond('retryable');
    for (let batch = 0; batch < 4; batch++) expect(await clock.run(send(SPANS))).toMatchObject({ delivered: SPANS });
    expect(await clock.run(send(3 * SPANS))).toMatchObject({ delivered: 3 * SPANS });
    const { missedSpans, copiedSpans, spool } = warmOf(tiered.stats());
    expect(missedSpans + copiedSpans).toBe(7 * SPANS);
    expect(spool).toMatchObject({ accepted: copiedSpans, balanced: true });
    expect(spool.dropped.full).toBeGreaterThan(0);
  });

  it('is flushed with the rest, and a flush says what is the matter with it', async () => {
    const { clock, send, warm, tiered } = scripted();
    await clock.run(send(SPANS));
    await clock.run(tiered.forceFlush());
    expect(warmOf(tiered.stats()).spool).toMatchObject({ waiting: 0, delivered: SPANS });
    await clock.advance(2_000); // so soon after a success it could be the batch
    warm.respond({ kind: 'failed', failure: 'retryable', error: new Error('no such bucket') });
    await clock.run(send(SPANS));
    const flushed = tiered.forceFlush({ deadline: clock.now() + 3_000 });
    await expect(clock.run(flushed)).rejects.toThrow(`${SPANS} spans wait for the warm tier: no such bucket`);
  });

  it('does not hold up a flush for what comes after it', async () => {
    const { clock, send, tiered } = scripted();
    await clock.run(send(SPANS));
    let flushed = false;
    tiered.forceFlush({ deadline: clock.now() + 5_000 }).then(() => {
      flushed = true;
    });
    for (let batch = 0; batch < 20; batch++) {
      void send(SPANS);
      await clock.settle();
    }
    expect(flushed).toBe(true);
  });

  it('has all that waits before a shutdown ends', async () => {
    const { clock, send, tiered, warm } = scripted();
    await clock.run(send(SPANS));
    await clock.run(tiered.shutdown());
    expect(warm.exports.map(({ batch }) => batch.spanCount)).toEqual([SPANS]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('is archived alone where a rule says so: stored, as what a spool has taken', async () => {
    const warm = new ScriptedBatchExporter({ prefers: 'spans' });
    const { clock, send, hot, tiered } = setUpScripted('delivered', { warm, rules: [{ to: 'warm' }] });
    expect(await clock.run(send(SPANS))).toMatchObject({ stored: SPANS });
    expect(await clock.run(send(SPANS, { overflow: true }))).toMatchObject({ stored: SPANS });
    expect(hot.exports).toEqual([]);
    expect(warmOf(tiered.stats())).toMatchObject({ routedSpans: 2 * SPANS, copiedSpans: 0 });
    const outcome = await clock.run(send(1, { signal: AbortSignal.abort(new Error('gone')) }));
    expect(outcome.remaining?.spanCount).toBe(1);
  });

  it('gets what has waited too long for hot', async () => {
    const warm = new ScriptedBatchExporter({ prefers: 'spans' });
    const rules = [{ minAgeMillis: 60_000, to: 'warm' as const }, { to: 'hot' as const }];
    const { clock, hot, spool, tiered } = setUpScripted('retryable', { warm, rules });
    const send = (spans: number) =>
      tiered.exportBatch(SpanBatch.fromSpans(fakeSpans(spans, { startMillis: clock.wallTime() })), context(clock));
    expect(await clock.run(send(SPANS))).toMatchObject({ stored: SPANS });
    await clock.advance(90_000);
    expect(await clock.run(send(1))).toMatchObject({ stored: 1 });
    hot.respond('delivered');
    await clock.advance(70_000);
    expect(spool.stats()).toMatchObject({ waiting: 0, delivered: SPANS + 1 });
    const received = hot.exports.filter(({ at }) => at > 90_000).flatMap(({ batch }) => batch.spanCount);
    expect(received.at(-1)).toBe(1);
    expect(warmOf(tiered.stats())).toMatchObject({ divertedSpans: SPANS, spool: { delivered: SPANS } });
  });
});

describe('a warm tier that is a store', () => {
  const make = (store: MemoryObjectStore, options: object = {}) => {
    const hot = new ScriptedBatchExporter({});
    return new TieredSpanExporter({ hot, warm: { store, ...options } });
  };

  it('holds every span, in objects of the class it was given, and is closed with the exporter', async () => {
    const store = new MemoryObjectStore();
    const cold = new MemoryObjectStore();
    const rules = [{ error: true, to: ['hot', 'warm', 'cold'] as const }];
    const tiered = new TieredSpanExporter({ hot: new ScriptedBatchExporter({}), warm: store, cold, rules });
    const errors = SpanBatch.fromSpans(fakeSpans(50, { isError: true }));
    const ok = SpanBatch.fromSpans(fakeSpans(70));
    for (const batch of [errors, ok]) await tiered.exportBatch(batch, context(systemClock));
    await tiered.forceFlush();
    expect([await spansIn(store), cold.objects.size]).toEqual([120, 2]);
    const classes = [...cold.objects].map(([key, { storageClass }]) => [key.endsWith('.gz'), storageClass]);
    expect(classes.sort()).toEqual([
      [false, 'STANDARD'],
      [true, 'GLACIER'],
    ]);
    await tiered.shutdown();
    await expect(store.get('x', { maxBytes: 1 })).rejects.toMatchObject({ code: 'SHUTDOWN' });
  });

  it('lets nobody start without it who requires it, and everybody else', async () => {
    const store = new MemoryObjectStore();
    store.open = () => Promise.reject(new ObjectStoreError('NO_BUCKET', 'there is no bucket of this name'));
    await expect(make(store).open()).rejects.toThrow('there is no bucket of this name');
    const outcome = await make(store).exportBatch(batchOf(3), context(systemClock));
    expect(outcome).toMatchObject({ delivered: 3 });
  });

  it('has after a crash what waited on disk for it', async () => {
    const clock = new VirtualClock();
    const disk = new FaultyDisk();
    const spool = (fileSystem: FileSystem) => new Spool({ directory: '/archive', fsync: 'always', fileSystem, clock });
    const hot = new ScriptedBatchExporter({ clock });
    const first = new TieredSpanExporter({
      hot,
      clock,
      warm: { exporter: new ScriptedBatchExporter({ clock }), spool: spool(disk) },
    });
    expect(await clock.run(first.exportBatch(batchOf(SPANS), context(clock)))).toMatchObject({ delivered: SPANS });
    await clock.run(first.forceFlush()); // stored where it survives is enough
    const left = disk.crash({ keep: 'none' });
    const warm = new ScriptedBatchExporter({ clock });
    const second = new TieredSpanExporter({ hot, clock, warm: { exporter: warm, spool: spool(left) } });
    await clock.run(second.open());
    await clock.advance(120_000);
    expect(warm.exports.map(({ batch }) => batch.spanCount)).toEqual([SPANS]);
  });
});
