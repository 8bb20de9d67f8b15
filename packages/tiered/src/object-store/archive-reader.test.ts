import { crc32, gunzipSync, gzipSync } from 'node:zlib';
import { decodeSpans } from '@otel-resilience/core';
import { fakeSpan, VirtualClock } from '@otel-resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ArchiveWorld, all, batchOf, HOUR, many, NOON, soon } from '../../../../test/support/archive.js';
import { MemoryObjectStore } from '../../../../test/support/memory-object-store.js';
import { decodeIndex, encodeIndex } from './archive-index.js';
import { ArchiveReader } from './archive-reader.js';
import { TraceIdFilter } from './trace-id-filter.js';

const world = new ArchiveWorld();
const { archive, find, makeWriter, only, select } = world;

describe('what is archived', () => {
  it('is found again, every span once, by any selection', async () => {
    const service = fc.constantFrom('checkout', '', '../../etc', 'ü/..', '!mixed', 'A.b', 'x'.repeat(300));
    const span = fc.record({
      serviceName: service,
      traceId: fc.integer({ min: 1, max: 9 }).map((n) => `${n}`.repeat(32)),
      startMillis: fc.integer({ min: -3 * HOUR, max: 3 * HOUR }).map((offset) => NOON + offset),
      durationMillis: fc.integer({ min: 0, max: HOUR }),
      isError: fc.boolean(),
    });
    const selection = fc.record(
      {
        fromMillis: fc.integer({ min: NOON - 4 * HOUR, max: NOON }),
        toMillis: fc.integer({ min: NOON, max: NOON + 4 * HOUR }),
        services: fc.uniqueArray(service, { minLength: 1, maxLength: 3 }),
        traceIds: fc.uniqueArray(
          fc.constantFrom('1', '2', '0').map((d) => d.repeat(32)),
          { minLength: 1 },
        ),
      },
      { requiredKeys: [] },
    );
    const batches = fc.array(fc.array(span, { minLength: 1, maxLength: 12 }), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(batches, selection, async (made, wanted) => {
        world.store.objects.clear();
        const writer = makeWriter();
        const spans = made.flat().map((overrides, index) => ({ ...overrides, index: index + 100 }));
        let next = 0;
        for (const batch of made) {
          const part = spans.slice(next, next + batch.length);
          next += batch.length;
          expect((await writer.exportBatch(batchOf(part), soon())).delivered).toBe(batch.length);
        }
        const { fromMillis = 0, toMillis = Number.MAX_SAFE_INTEGER, services, traceIds } = wanted;
        const expected = spans.filter(
          (one) =>
            one.startMillis + one.durationMillis >= fromMillis &&
            one.startMillis <= toMillis &&
            (!services || services.includes(one.serviceName)) &&
            (!traceIds || traceIds.includes(one.traceId)),
        );
        const spanIds = (some: typeof spans) => some.map((one) => fakeSpan(one).spanContext().spanId).sort();
        expect(await select({})).toEqual(spanIds(spans));
        expect(await select(wanted)).toEqual(spanIds(expected));
        for (const entry of await all(world.reader.list()))
          expect((await world.reader.verify(entry)).state).toBe('intact');
      }),
      { numRuns: 60 },
    );
  });

  it('lies under the hour in which it ended and its service, with an index beside', async () => {
    await archive(
      batchOf([
        { startMillis: NOON - 10, durationMillis: 5, serviceName: 'a' },
        { startMillis: NOON - 10, durationMillis: 15, serviceName: 'a' },
        { startMillis: NOON, serviceName: 'b c' },
      ]),
    );
    const id = '[0-9a-f]{32}';
    expect(world.store.keys).toEqual([
      expect.stringMatching(`^traces/2026-11-21/11/a/${id}\\.index\\.json$`),
      expect.stringMatching(`^traces/2026-11-21/11/a/${id}\\.otlp\\.gz$`),
      expect.stringMatching(`^traces/2026-11-21/12/a/${id}\\.index\\.json$`),
      expect.stringMatching(`^traces/2026-11-21/12/a/${id}\\.otlp\\.gz$`),
      expect.stringMatching(`^traces/2026-11-21/12/b!20c/${id}\\.index\\.json$`),
      expect.stringMatching(`^traces/2026-11-21/12/b!20c/${id}\\.otlp\\.gz$`),
    ]);
  });

  it('is an OTLP request for anybody who has gzip, and an index for anybody who reads JSON', async () => {
    await archive(
      batchOf([
        { index: 1, startMillis: NOON, isError: true },
        { index: 2, startMillis: NOON + 5 },
      ]),
    );
    const [index, data] = world.store.keys.map((key) => world.store.objects.get(key)!.bytes);
    const raw = gunzipSync(data!);
    expect(decodeSpans(raw).map(({ name }) => name)).toEqual(['GET /orders/:id', 'GET /orders/:id']);
    expect(JSON.parse(Buffer.from(index!).toString()).index).toMatchObject({
      version: 1,
      startMillis: NOON,
      endMillis: NOON + 17.5,
      spanCount: 2,
      errorCount: 1,
      services: [['fake-service', 2]],
      rawBytes: raw.byteLength,
      storedBytes: data!.byteLength,
    });
    expect(decodeIndex(encodeIndex(decodeIndex(index!)!))).toEqual(decodeIndex(index!));
  });

  it('is one object for all services where there are many, and is found by each of them', async () => {
    const spans = Array.from({ length: 40 }, (_, i) => ({ index: i, startMillis: NOON, serviceName: `service-${i}` }));
    await archive(batchOf(spans));
    expect(world.store.keys).toHaveLength(2);
    expect(world.store.keys[0]).toContain('/!mixed/');
    expect(await select({ services: ['service-7'] })).toHaveLength(1);
    expect(await select({ services: ['service-7'], fromMillis: NOON, toMillis: NOON + HOUR })).toHaveLength(1);
  });

  it('is cut where it is too large', async () => {
    await archive(many(1_000), { maxObjectBytes: 100_000 });
    const entries = await find();
    expect(entries.length).toBeGreaterThan(4);
    expect(entries.every(({ index }) => index!.rawBytes <= 100_000)).toBe(true);
    expect(await select({})).toHaveLength(1_000);
  });

  it('is listed from where one was', async () => {
    for (let hour = 0; hour < 5; hour++) await archive(many(3, { startMillis: NOON + hour * HOUR }));
    const entries = await all(world.reader.list());
    expect(entries.map(({ hourMillis }) => hourMillis)).toEqual([0, 1, 2, 3, 4].map((hour) => NOON + hour * HOUR));
    expect(await all(world.reader.list({ startAfter: entries[2]!.key }))).toEqual(entries.slice(3));
    expect(await all(world.reader.list({ pageSize: 1 }))).toEqual(entries);
  });

  it('leaves out what is none of an archive, and says which', async () => {
    await archive(many(3));
    await world.store.put('traces/2026-11-21/notes', []);
    const foreign: string[] = [];
    expect(await all(world.reader.list({ onForeign: (key) => foreign.push(key) }))).toHaveLength(1);
    expect(foreign).toEqual(['traces/2026-11-21/notes']);
  });

  it('is found while it is moved to the archive class', async () => {
    for (let hour = 0; hour < 4; hour++) await archive(many(3, { startMillis: NOON + hour * HOUR }));
    const { store } = world;
    const list = store.list.bind(store);
    // A list that shows the indexes only: as of a moment at which the data lay where it had looked before.
    store.list = async function* (prefix, options) {
      for await (const object of list(prefix, options)) if (object.key.endsWith('.json')) yield object;
    };
    expect(await find()).toMatchObject([{ storedBytes: expect.any(Number) }, {}, {}, {}]);
    expect(await select({})).toHaveLength(12);
  });

  it('asks for what lies in the hours and services that are wanted, and nothing else', async () => {
    for (let hour = 0; hour < 30; hour++)
      await archive(many(3, { startMillis: NOON + hour * HOUR, serviceName: `s${hour % 2}` }));
    world.store.calls.length = 0;
    const wanted = { fromMillis: NOON + 10 * HOUR, toMillis: NOON + 11 * HOUR - 1 };
    expect(await select(wanted)).toHaveLength(3);
    expect(world.store.calls.filter(({ operation }) => operation === 'get').length).toBeLessThanOrEqual(3);
    world.store.calls.length = 0;
    expect(await select({ ...wanted, services: ['s1'] })).toHaveLength(0);
    expect(world.store.calls.filter(({ operation }) => operation === 'get').length).toBeLessThanOrEqual(1);
  });
});

describe('an index', () => {
  const damages: Record<string, [problem: string, (bytes: Uint8Array) => Uint8Array | undefined]> = {
    'that is missing': ['index missing', () => undefined],
    'that is cut off': ['index damaged', (bytes) => bytes.subarray(0, 100)],
    'that is empty': ['index damaged', () => new Uint8Array(0)],
    'with a flipped bit': ['index damaged', (bytes) => bytes.map((byte, at) => (at === 60 ? byte ^ 1 : byte))],
    'of another object': [
      'index of other data',
      (bytes) => encodeIndex({ ...decodeIndex(bytes)!, id: '0'.repeat(32) }),
    ],
    'of other bytes': ['index of other data', (bytes) => encodeIndex({ ...decodeIndex(bytes)!, storedBytes: 1 })],
  };
  for (const [title, [problem, damage]] of Object.entries(damages)) {
    it(`${title} hides nothing, and is made anew from the data`, async () => {
      await archive(many(20));
      const { indexKey } = await only();
      const damaged = damage(world.store.objects.get(indexKey)!.bytes);
      if (damaged) world.store.objects.get(indexKey)!.bytes = damaged;
      else world.store.objects.delete(indexKey);
      expect(await select({ traceIds: [fakeSpan({ index: 3 }).spanContext().traceId] })).toHaveLength(1);
      expect(await find()).toMatchObject([{ problem }]);
      expect(await world.reader.repair(await only())).toMatchObject({ state: 'index', problem });
      expect(await world.reader.verify(await only())).toMatchObject({ state: 'intact' });
      expect((await find())[0]).not.toHaveProperty('problem');
    });
  }

  it('that lies about what the data holds is found out by verifying', async () => {
    await archive(many(20));
    const { indexKey } = await only();
    const index = decodeIndex(world.store.objects.get(indexKey)!.bytes)!;
    for (const lie of [
      { spanCount: 19 },
      { endMillis: 0 },
      { services: new Map([['x', 20]]) },
      { traceIds: TraceIdFilter.of(new Set()) },
    ]) {
      world.store.objects.get(indexKey)!.bytes = encodeIndex({ ...index, ...lie });
      expect(await world.reader.repair(await only())).toMatchObject({ state: 'index', problem: 'index of other data' });
      expect((await world.reader.verify(await only())).state).toBe('intact');
    }
  });

  it('with any bit flipped is no index, or the same', async () => {
    await archive(many(3));
    const bytes = world.store.objects.get((await only()).indexKey)!.bytes;
    const text = JSON.stringify([...decodeIndex(bytes)!.services]);
    fc.assert(
      fc.property(fc.nat(bytes.byteLength - 1), fc.nat(7), (at, bit) => {
        const flipped = Uint8Array.from(bytes);
        flipped[at]! ^= 1 << bit;
        const decoded = decodeIndex(flipped);
        expect(decoded === undefined || JSON.stringify([...decoded.services]) === text).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('is read at once though its data is archived, and without one the data is only named', async () => {
    const clock = new VirtualClock();
    world.store = new MemoryObjectStore({ clock });
    world.reader = new ArchiveReader({ store: world.store });
    const context = { signal: new AbortController().signal, deadline: clock.now() + 1_000 };
    await makeWriter({ clock, storageClass: 'DEEP_ARCHIVE' }).exportBatch(many(5), context);
    const [entry] = await find({ services: ['fake-service'] });
    expect(entry).toMatchObject({ storageClass: 'DEEP_ARCHIVE', index: { spanCount: 5 } });
    await expect(world.reader.read(entry!)).rejects.toMatchObject({ code: 'ARCHIVED' });
    expect(await world.reader.verify(entry!)).toEqual({ state: 'archived' });
    world.store.objects.delete(entry!.indexKey);
    expect(await find({ services: ['other'] })).toEqual([]);
    expect(await find({ traceIds: ['f'.repeat(32)] })).toMatchObject([{ index: undefined, problem: 'index missing' }]);
    await world.store.requestRestore(entry!.key);
    clock.jumpWallTime(5 * HOUR);
    expect(await find({ traceIds: ['f'.repeat(32)] })).toEqual([]);
  });

  it('without data is listed as that, and found by no selection', async () => {
    await archive(many(5));
    world.store.objects.delete((await only()).key);
    const orphan = await only();
    expect(orphan).toMatchObject({ storedBytes: undefined, indexBytes: expect.any(Number) });
    expect(await find()).toEqual([]);
    expect(await world.reader.verify(orphan)).toEqual({ state: 'orphan' });
  });
});

/** By zlib itself; undefined where it refuses. */
function unpacked(gzipped: Uint8Array): Buffer | undefined {
  try {
    return gunzipSync(gzipped);
  } catch {
    return undefined;
  }
}

describe('data', () => {
  it('that is damaged is refused, and said to be', async () => {
    await archive(many(20));
    const { key } = await only();
    const { bytes } = world.store.objects.get(key)!;
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.byteLength - 1), fc.nat(7), fc.boolean(), async (at, bit, cut) => {
        const damaged = cut ? bytes.slice(0, at) : bytes.map((byte, i) => (i === at ? byte ^ (1 << bit) : byte));
        world.store.objects.get(key)!.bytes = damaged;
        const [found] = await find();
        await expect(world.reader.read(found!)).rejects.toThrow();
        // What gzip itself ignores, in its header and before its trailer, is all that may be changed without harm.
        const { state } = await world.reader.verify(await only());
        expect(state).toBe(unpacked(damaged)?.equals(gunzipSync(bytes)) ? 'index' : 'data');
      }),
      { numRuns: 60 },
    );
  });

  it('of another object is not taken for what was archived, however intact it is', async () => {
    await archive(many(3, { serviceName: 'other' }));
    const { bytes } = world.store.objects.get((await only()).key)!;
    world.store.objects.clear();
    await archive(many(20));
    world.store.objects.get((await only()).key)!.bytes = bytes;
    expect(await world.reader.verify(await only())).toMatchObject({ state: 'data', problem: 'data damaged' });
    expect(await find()).toMatchObject([{ index: undefined, problem: 'data damaged' }]);
  });

  it('that is larger than declared is not unpacked', async () => {
    await archive(many(20));
    const { key, indexKey } = await only();
    const index = decodeIndex(world.store.objects.get(indexKey)!.bytes)!;
    const bomb = gzipSync(Buffer.alloc(50_000_000));
    world.store.objects.get(key)!.bytes = bomb;
    world.store.objects.get(indexKey)!.bytes = encodeIndex({
      ...index,
      storedBytes: bomb.byteLength,
      crc32: crc32(bomb),
    });
    const [found] = await find();
    await expect(world.reader.read(found!)).rejects.toThrow(/more than the \d+ bytes that were declared/);
    const small = new ArchiveReader({ store: world.store, maxRawBytes: 1_000_000 });
    expect(await small.verify(await only())).toMatchObject({ state: 'data' });
    world.store.objects.get(indexKey)!.bytes = encodeIndex({
      ...index,
      storedBytes: bomb.byteLength,
      crc32: crc32(bomb),
      rawBytes: 2_000_000,
    });
    const [declared] = await find();
    await expect(small.read(declared!)).rejects.toThrow(/2000000 bytes are declared, where 1000000 are allowed/);
  });
});
