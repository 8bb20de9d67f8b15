import { gzipSync } from 'node:zlib';
import { ConfigurationError } from '@otel-resilience/core';
import { ScriptedExporter } from '@otel-resilience/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { batchOf, HOUR, many, NOON } from '../../../../test/support/archive.js';
import { decodeIndex, encodeIndex } from '../object-store/archive-index.js';
import { FileObjectStore } from '../object-store/file-object-store.js';
import { ObjectStoreError } from '../object-store/object-store-error.js';
import { rehydrate } from './rehydrate.js';
import { idsOf, RehydrateBed } from './rehydrate-bed.test-support.js';
import type { RehydrateOptions } from './rehydrate-options.js';

const MAX_RAW_BYTES = 50_000;

let bed: RehydrateBed;
beforeEach(() => {
  bed = new RehydrateBed();
});

const spans = (from: number, count: number, overrides: object = {}) =>
  Array.from({ length: count }, (_, at) => ({ index: from + at, startMillis: NOON, ...overrides }));

describe('rehydrate', () => {
  it('sends what is archived, hour by hour', async () => {
    await bed.archive(spans(0, 20, { startMillis: NOON + HOUR }));
    await bed.archive(spans(100, 30));
    const report = await bed.run();
    expect(report).toMatchObject({
      complete: true,
      interrupted: false,
      objects: { found: 2, done: 2, left: 0 },
      expectedSpans: 50,
      foundSpans: 50,
      spans: { selected: 50, sent: 50, failed: 0 },
    });
    expect(report.resumeFromMillis).toBeUndefined();
    expect(report.error).toBeUndefined();
    expect(bed.to.exports.map(({ batch }) => batch.spanCount)).toEqual([30, 20]);
    expect(bed.sentIds).toEqual(idsOf([...spans(0, 20), ...spans(100, 30)]));
    expect(bed.to.shutdowns + bed.to.forceFlushes).toBe(0);
  });

  it('takes a stock exporter, one export at a time', async () => {
    await bed.archive(many(2_500));
    const stock = new ScriptedExporter({ otherwise: { kind: 'success', delayMillis: 10 }, clock: bed.clock });
    const report = await bed.run({ to: stock });
    expect(report).toMatchObject({ complete: true, spans: { sent: 2_500 } });
    expect(stock.maxOpenExports).toBe(1);
  });

  it('finds nothing in an empty archive, and that is complete', async () => {
    const fractions: number[] = [];
    const report = await bed.run({ onProgress: ({ fraction }) => fractions.push(fraction) });
    expect(report).toMatchObject({ complete: true, objects: { found: 0 }, expectedSpans: 0 });
    expect(fractions.at(-1)).toBe(1);
  });

  it('says how much there is in a dry run, sends nothing and restores nothing', async () => {
    await bed.archive(spans(0, 10));
    await bed.archive(spans(10, 5, { startMillis: NOON + HOUR }), { store: bed.cold, storageClass: 'GLACIER' });
    const report = await bed.run({ dryRun: true });
    expect(report).toMatchObject({
      dryRun: true,
      complete: false,
      objects: { found: 2, archived: 1, left: 1 },
      expectedSpans: 15,
      spans: { selected: 0 },
    });
    const bytes = (store = bed.warm) => store.objects.get(bed.keys(store)[0]!)!.bytes.byteLength;
    expect(report.storedBytes).toBe(bytes() + bytes(bed.cold));
    expect(report.archivedBytes).toBe(bytes(bed.cold));
    expect(bed.to.exports).toEqual([]);
    const operations = new Set([...bed.warm.calls, ...bed.cold.calls].map(({ operation }) => operation));
    expect(operations.has('requestRestore')).toBe(false);
    const read = bed.warm.calls.filter(({ operation, key }) => operation === 'get' && key.endsWith('.gz'));
    expect(read.length).toBe(0);
  });

  it('knows how many spans to expect by service, and does not guess by time', async () => {
    await bed.archive([...spans(0, 10, { serviceName: 'a' }), ...spans(10, 5, { serviceName: 'b' })]);
    expect((await bed.run({ select: { services: ['b'] } })).expectedSpans).toBe(5);
    expect((await bed.run({ select: { fromMillis: NOON + 1 } })).expectedSpans).toBeUndefined();
    expect((await bed.run({ select: { fromMillis: NOON - HOUR } })).expectedSpans).toBe(15);
  });

  it('rejects at once for wrong options, and for nothing else', async () => {
    const wrong: Array<[object, string]> = [
      [{ from: [] }, 'rehydrate.from'],
      [{ from: {} }, 'rehydrate.from'],
      [{ to: undefined }, 'rehydrate.to'],
      [{ select: { service: 'a' } }, 'ArchiveSelection.service'],
      [{ select: null }, 'ArchiveSelection'],
      [{ select: { fromMillis: 2, toMillis: 1 } }, 'ArchiveSelection.toMillis'],
      [{ spansPerSecond: 0 }, 'rehydrate.spansPerSecond'],
      [{ restore: true }, 'rehydrate.restore'],
      [{ restore: { days: 0 } }, 'rehydrate.restore.days'],
      [{ restore: { tier: 'standard' } }, 'rehydrate.restore.tier'],
      [{ restorePollMillis: 0 }, 'rehydrate.restorePollMillis'],
      [{ signal: {} }, 'rehydrate.signal'],
      [{ onprogress: () => {} }, 'rehydrate.onprogress'],
    ];
    for (const [options, path] of wrong) {
      const all = { from: bed.warm, to: bed.to, ...options } as RehydrateOptions;
      await expect(rehydrate(all)).rejects.toMatchObject({ name: 'ConfigurationError', path });
      await expect(rehydrate(all)).rejects.toBeInstanceOf(ConfigurationError);
    }
  });

  it('reads what is in several stores once, and where it can be read at once', async () => {
    const batch = many(10);
    await bed.archive(batch, { store: bed.cold, storageClass: 'GLACIER' });
    await bed.archive(batch);
    await bed.archive(spans(50, 5), { store: bed.cold });
    const report = await bed.run();
    expect(report).toMatchObject({ complete: true, objects: { found: 2 }, spans: { sent: 15, duplicates: 0 } });
    expect(bed.cold.calls.some(({ operation }) => operation === 'requestRestore')).toBe(false);
  });

  it('misses nothing that a lifecycle moves while it is looked for, and restores it from where it is', async () => {
    await bed.archive(many(10));
    let lists = 0;
    const move = (operation: string) => {
      if (operation !== 'list' || ++lists !== 2) return;
      for (const [key, stored] of bed.warm.objects) {
        bed.cold.objects.set(key, key.endsWith('.gz') ? { ...stored, storageClass: 'GLACIER' } : stored);
      }
      bed.warm.objects.clear();
    };
    bed.warm.before = move;
    bed.cold.before = move;
    expect(await bed.run()).toMatchObject({ complete: true, objects: { found: 1 }, spans: { sent: 10 } });
    const later = new RehydrateBed();
    await later.archive(many(10));
    later.warm.before = (operation, key) => {
      if (operation !== 'get' || !key.endsWith('.gz') || !later.warm.objects.has(key)) return;
      later.cold.objects.set(key, { ...later.warm.objects.get(key)!, storageClass: 'GLACIER' });
      later.warm.objects.delete(key);
    };
    expect(await later.run()).toMatchObject({ complete: true, objects: { found: 1 }, spans: { sent: 10 } });
  });

  it('sends from another store what is damaged in one', async () => {
    const batch = many(10);
    await bed.archive(batch, { store: bed.cold });
    await bed.archive(batch);
    bed.warm.objects.get(bed.keys()[0]!)!.bytes.fill(0);
    expect(await bed.run()).toMatchObject({ complete: true, objects: { done: 1, damaged: 0 }, spans: { sent: 10 } });
  });

  it('finds in another store what a lifecycle has moved since', async () => {
    await bed.archive(many(10));
    const [key] = bed.keys();
    bed.warm.before = (operation, called) => {
      if (operation !== 'get' || called !== key) return;
      bed.cold.objects.set(key, bed.warm.objects.get(key)!);
      bed.warm.objects.delete(key);
    };
    expect(await bed.run()).toMatchObject({ complete: true, spans: { sent: 10 } });
  });

  it('reports what is damaged, larger than declared or gone, and sends the rest', async () => {
    for (let hour = 0; hour < 4; hour++) await bed.archive(spans(hour * 10, 10, { startMillis: NOON + hour * HOUR }));
    const [damaged, trap, gone] = bed.keys();
    bed.warm.objects.get(damaged!)!.bytes[40]! ^= 1;
    bed.warm.objects.get(trap!)!.bytes = gzipSync(Buffer.alloc(10 * MAX_RAW_BYTES));
    bed.warm.before = (operation, key) => {
      if (operation === 'get' && key === gone) bed.warm.objects.delete(gone);
    };
    const report = await bed.run({ maxRawBytes: MAX_RAW_BYTES });
    expect(report).toMatchObject({
      complete: false,
      objects: { found: 4, done: 1, damaged: 2, failed: 1 },
      spans: { selected: 10, sent: 10 },
      problems: [
        { key: damaged, state: 'damaged' },
        { key: trap, state: 'damaged', message: expect.stringContaining('more than the 50000 bytes') },
        { key: gone, state: 'failed', message: expect.stringContaining('NOT_FOUND') },
      ],
      resumeFromMillis: NOON,
    });
    expect(report.error).toBeUndefined();
  });

  it('unpacks no more than the index declares, whatever the data may be', async () => {
    await bed.archive(many(10));
    const indexKey = bed.warm.keys.find((key) => key.endsWith('.json'))!;
    const stored = bed.warm.objects.get(indexKey)!;
    const index = decodeIndex(stored.bytes)!;
    stored.bytes = Buffer.from(encodeIndex({ ...index, rawBytes: index.rawBytes - 1 }));
    expect(await bed.run()).toMatchObject({
      objects: { damaged: 1 },
      spans: { selected: 0 },
      problems: [{ message: expect.stringContaining(`more than the ${index.rawBytes - 1} bytes that were declared`) }],
    });
    expect(bed.to.exports).toEqual([]);
  });

  it('reads data whose index is missing, lies or cannot be had', async () => {
    for (let hour = 0; hour < 3; hour++) await bed.archive(spans(hour * 10, 10, { startMillis: NOON + hour * HOUR }));
    const indexes = bed.warm.keys.filter((key) => key.endsWith('.json'));
    bed.warm.objects.delete(indexes[0]!);
    bed.warm.objects.get(indexes[1]!)!.bytes.fill(0);
    bed.warm.before = (operation, key) => {
      if (operation === 'get' && key === indexes[2]) throw new ObjectStoreError('ARCHIVED', 'by somebody else');
    };
    const report = await bed.run({ select: { services: ['fake-service'] } });
    expect(report).toMatchObject({ complete: true, spans: { sent: 30 } });
    expect(report.expectedSpans).toBeUndefined();
    expect(bed.warm.calls.filter(({ operation, key }) => operation === 'get' && key.endsWith('.gz'))).toHaveLength(3);
  });

  it('goes on with the other store where one cannot be listed, and says so', async () => {
    await bed.archive(many(10));
    bed.cold.before = (operation) => {
      if (operation === 'list') throw new ObjectStoreError('NO_BUCKET', 'there is none');
    };
    expect(await bed.run()).toMatchObject({
      complete: false,
      spans: { sent: 10 },
      error: expect.stringContaining('NO_BUCKET'),
      resumeFromMillis: 0,
    });
  });

  it('ends when the store gives nothing any more', async () => {
    for (let hour = 0; hour < 20; hour++) await bed.archive(spans(hour, 1, { startMillis: NOON + hour * HOUR }));
    const third = bed.keys()[3]!;
    bed.warm.before = (operation, key) => {
      if (operation === 'get' && key >= third && key.endsWith('.gz')) throw new ObjectStoreError('UNAVAILABLE', 'down');
    };
    const report = await bed.run();
    expect(report).toMatchObject({
      complete: false,
      objects: { done: 3, failed: 5, left: 12 },
      error: expect.stringContaining('UNAVAILABLE'),
      resumeFromMillis: NOON + 3 * HOUR,
    });
  });

  it('goes on after an outage of the store that is short', async () => {
    await bed.archive(many(10));
    bed.warm.failNext('list', 'UNAVAILABLE', 3);
    bed.warm.failNext('get', 'THROTTLED', 3);
    expect(await bed.run()).toMatchObject({ complete: true, spans: { sent: 10 } });
  });

  it('says from when on something is left, so that a further run sends just that', async () => {
    for (let hour = 0; hour < 4; hour++) await bed.archive(spans(hour * 10, 10, { startMillis: NOON + hour * HOUR }));
    bed.to.script(['delivered', 'delivered', 'shutdown']);
    const first = await bed.run();
    expect(first).toMatchObject({ spans: { sent: 20, failed: 10 }, objects: { left: 2 }, complete: false });
    expect(first.resumeFromMillis).toBe(NOON + 2 * HOUR);
    const second = await bed.run({ select: { fromMillis: first.resumeFromMillis! } });
    expect(second).toMatchObject({ complete: true, spans: { sent: 20 } });
  });

  it('keeps the process until it is over, also while it does nothing but wait', async () => {
    await bed.archive(many(10), { storageClass: 'GLACIER' });
    const run = bed.begin();
    let least = 1;
    let looks = 0;
    const look = () => {
      looks++;
      least = Math.min(least, bed.clock.keepingAlive);
    };
    bed.clock.onTimer = () => queueMicrotask(look);
    await bed.clock.run(run);
    expect(looks).toBeGreaterThan(240);
    expect(least).toBe(1);
    expect(bed.clock.keepingAlive).toBe(0);
  });

  it('does not change with options that are changed later', async () => {
    await bed.archive([...spans(0, 10, { serviceName: 'a' }), ...spans(10, 5, { serviceName: 'b' })]);
    const services = ['a'];
    const run = bed.begin({ select: { services } });
    services[0] = 'b';
    expect(await bed.clock.run(run)).toMatchObject({ spans: { sent: 10 } });
  });

  it('reads directories, where nothing has to be restored', async () => {
    const { mkdtemp, rm } = await import('node:fs/promises');
    const { tmpdir } = await import('node:os');
    const directory = await mkdtemp(`${tmpdir()}/rehydrate-`);
    try {
      const store = new FileObjectStore({ directory });
      await bed.archive(batchOf(spans(0, 10)), { store, storageClass: 'GLACIER' });
      const from = new FileObjectStore({ directory });
      const report = await rehydrate({ from, to: bed.to });
      expect(report).toMatchObject({ complete: true, spans: { sent: 10 } });
      const again = await rehydrate({ from, to: bed.to, restore: false, dryRun: true });
      expect(again).toMatchObject({ complete: true, objects: { left: 1, archived: 0 } });
      await from.shutdown();
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
