import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32, gunzipSync, gzipSync } from 'node:zlib';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { decodeSpans, type ExportContext, SpanBatch } from '@otel-resilience/core';
import { CircuitBreaker, CircuitBreakerSpanExporter, RetryingSpanExporter } from '@otel-resilience/exporter';
import { type FakeSpanOverrides, fakeSpan, fakeSpans, VirtualClock } from '@otel-resilience/testing';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { MemoryObjectStore } from '../../../../test/support/memory-object-store.js';
import { decodeIndex, encodeIndex } from './archive-index.js';
import type { ArchiveEntry } from './archive-listing.js';
import { ArchiveReader, type FoundArchive } from './archive-reader.js';
import type { ArchiveSelection } from './archive-selection.js';
import { ArchiveWriter, type ArchiveWriterOptions } from './archive-writer.js';
import { FileObjectStore } from './file-object-store.js';
import { ObjectStoreError } from './object-store-error.js';
import { RetryingObjectStore } from './retrying-object-store.js';
import { TraceIdFilter } from './trace-id-filter.js';

const HOUR = 3_600_000;
const NOON = Date.UTC(2026, 10, 21, 12);
const soon = (): ExportContext => ({ signal: new AbortController().signal, deadline: performance.now() + 20_000 });
const batchOf = (spans: readonly FakeSpanOverrides[]) => SpanBatch.fromSpans(spans.map((span) => fakeSpan(span)));
const many = (count: number, overrides: FakeSpanOverrides = {}) =>
  SpanBatch.fromSpans(fakeSpans(count, { startMillis: NOON, ...overrides }));

let store: MemoryObjectStore;
let reader: ArchiveReader;
beforeEach(() => {
  store = new MemoryObjectStore();
  reader = new ArchiveReader({ store });
});
const makeWriter = (options: Partial<ArchiveWriterOptions> = {}) => new ArchiveWriter({ store, ...options });
const archive = async (batch: SpanBatch, options: Partial<ArchiveWriterOptions> = {}) => {
  const outcome = await makeWriter(options).exportBatch(batch, soon());
  expect(outcome).toMatchObject({ delivered: batch.spanCount });
};
const all = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
};
const find = (selection: ArchiveSelection = {}): Promise<FoundArchive[]> => all(reader.find(selection));
/** The span ids of what a selection gives, sorted. */
const select = async (selection: ArchiveSelection): Promise<string[]> => {
  const ids: string[] = [];
  for (const entry of await find(selection)) {
    const batch = await reader.readMatching(entry, selection);
    ids.push(...(batch?.spans() ?? []).map((span) => span.spanContext().spanId));
  }
  return ids.sort();
};
const only = async (): Promise<ArchiveEntry> => {
  const entries = await all(reader.list());
  expect(entries).toHaveLength(1);
  return entries[0]!;
};

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
        store.objects.clear();
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
        for (const entry of await all(reader.list())) expect((await reader.verify(entry)).state).toBe('intact');
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
    expect(store.keys).toEqual([
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
    const [index, data] = store.keys.map((key) => store.objects.get(key)!.bytes);
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
    expect(store.keys).toHaveLength(2);
    expect(store.keys[0]).toContain('/!mixed/');
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
    const entries = await all(reader.list());
    expect(entries.map(({ hourMillis }) => hourMillis)).toEqual([0, 1, 2, 3, 4].map((hour) => NOON + hour * HOUR));
    expect(await all(reader.list({ startAfter: entries[2]!.key }))).toEqual(entries.slice(3));
    expect(await all(reader.list({ pageSize: 1 }))).toEqual(entries);
  });

  it('asks for what lies in the hours and services that are wanted, and nothing else', async () => {
    for (let hour = 0; hour < 30; hour++)
      await archive(many(3, { startMillis: NOON + hour * HOUR, serviceName: `s${hour % 2}` }));
    store.calls.length = 0;
    const wanted = { fromMillis: NOON + 10 * HOUR, toMillis: NOON + 11 * HOUR - 1 };
    expect(await select(wanted)).toHaveLength(3);
    expect(store.calls.filter(({ operation }) => operation === 'get').length).toBeLessThanOrEqual(3);
    store.calls.length = 0;
    expect(await select({ ...wanted, services: ['s1'] })).toHaveLength(0);
    expect(store.calls.filter(({ operation }) => operation === 'get').length).toBeLessThanOrEqual(1);
  });
});

describe('a batch that is sent again', () => {
  it('is stored once', async () => {
    await archive(many(10));
    const before = store.keys;
    const writer = makeWriter();
    expect(await writer.exportBatch(many(10), soon())).toMatchObject({ delivered: 10 });
    expect(writer.stats()).toMatchObject({ objects: 0, existing: 1, spans: 10 });
    await archive(many(10), { compressionLevel: 1 });
    expect(store.keys).toEqual(before);
    expect((await reader.verify(await only())).state).toBe('intact');
  });

  it('is stored once whatever fails on the way, before or after it was done, and is found in the end', async () => {
    const spans = Array.from({ length: 12 }, (_, i) => ({ index: i, startMillis: NOON, serviceName: `s${i % 3}` }));
    await archive(batchOf(spans));
    const complete = store.keys;
    const calls = store.calls.length;
    for (let failAt = 1; failAt <= calls; failAt++) {
      for (const when of ['before', 'after'] as const) {
        store = new MemoryObjectStore();
        reader = new ArchiveReader({ store });
        let call = 0;
        store[when] = () => {
          if (++call === failAt) throw new ObjectStoreError('UNAVAILABLE', 'as told');
        };
        const first = await makeWriter().exportBatch(batchOf(spans), soon());
        expect(first).toMatchObject({ failure: 'retryable' });
        expect(first.delivered + first.remaining!.spanCount).toBe(12);
        for (const entry of await all(reader.list())) expect(entry.storedBytes).toBeGreaterThan(0);
        expect((await makeWriter().exportBatch(first.remaining!, soon())).remaining).toBeUndefined();
        expect(store.keys).toEqual(complete);
        expect(await select({})).toHaveLength(12);
      }
    }
  });

  it('replaces what is damaged', async () => {
    await archive(many(10));
    const [indexKey, key] = store.keys as [string, string];
    const intact = store.objects.get(key)!.bytes;
    const flipped = intact.map((byte, at) => (at === 50 ? byte ^ 1 : byte));
    for (const damaged of [Buffer.from('torn'), new Uint8Array(0), flipped]) {
      store.objects.get(key)!.bytes = damaged;
      store.objects.get(indexKey)!.bytes = Buffer.from('{}');
      const writer = makeWriter();
      await writer.exportBatch(many(10), soon());
      expect(writer.stats()).toMatchObject({ replaced: 1 });
      expect((await reader.verify(await only())).state).toBe('intact');
    }
  });

  it('puts an index right that says something else', async () => {
    await archive(many(10));
    const { indexKey } = await only();
    const lie = { ...decodeIndex(store.objects.get(indexKey)!.bytes)!, spanCount: 9 };
    store.objects.get(indexKey)!.bytes = encodeIndex(lie);
    await archive(many(10));
    expect((await reader.verify(await only())).state).toBe('intact');
  });

  it('is not stored beside what has been moved to the archive class', async () => {
    await archive(many(10));
    await store.changeStorageClass((await only()).key, 'GLACIER');
    await archive(many(10), { compressionLevel: 9 });
    expect(await only()).toMatchObject({ storageClass: 'GLACIER' });
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
      const damaged = damage(store.objects.get(indexKey)!.bytes);
      if (damaged) store.objects.get(indexKey)!.bytes = damaged;
      else store.objects.delete(indexKey);
      expect(await select({ traceIds: [fakeSpan({ index: 3 }).spanContext().traceId] })).toHaveLength(1);
      expect(await find()).toMatchObject([{ problem }]);
      expect(await reader.repair(await only())).toMatchObject({ state: 'index', problem });
      expect(await reader.verify(await only())).toMatchObject({ state: 'intact' });
      expect((await find())[0]).not.toHaveProperty('problem');
    });
  }

  it('that lies about what the data holds is found out by verifying', async () => {
    await archive(many(20));
    const { indexKey } = await only();
    const index = decodeIndex(store.objects.get(indexKey)!.bytes)!;
    for (const lie of [
      { spanCount: 19 },
      { endMillis: 0 },
      { services: new Map([['x', 20]]) },
      { traceIds: TraceIdFilter.of(new Set()) },
    ]) {
      store.objects.get(indexKey)!.bytes = encodeIndex({ ...index, ...lie });
      expect(await reader.repair(await only())).toMatchObject({ state: 'index', problem: 'index of other data' });
      expect((await reader.verify(await only())).state).toBe('intact');
    }
  });

  it('with any bit flipped is no index, or the same', async () => {
    await archive(many(3));
    const bytes = store.objects.get((await only()).indexKey)!.bytes;
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
    store = new MemoryObjectStore({ clock });
    reader = new ArchiveReader({ store });
    const context = { signal: new AbortController().signal, deadline: clock.now() + 1_000 };
    await makeWriter({ clock, storageClass: 'DEEP_ARCHIVE' }).exportBatch(many(5), context);
    const [entry] = await find({ services: ['fake-service'] });
    expect(entry).toMatchObject({ storageClass: 'DEEP_ARCHIVE', index: { spanCount: 5 } });
    await expect(reader.read(entry!)).rejects.toMatchObject({ code: 'ARCHIVED' });
    expect(await reader.verify(entry!)).toEqual({ state: 'archived' });
    store.objects.delete(entry!.indexKey);
    expect(await find({ services: ['other'] })).toEqual([]);
    expect(await find({ traceIds: ['f'.repeat(32)] })).toMatchObject([{ index: undefined, problem: 'index missing' }]);
    await store.requestRestore(entry!.key);
    clock.jumpWallTime(5 * HOUR);
    expect(await find({ traceIds: ['f'.repeat(32)] })).toEqual([]);
  });

  it('without data is listed as that, and found by no selection', async () => {
    await archive(many(5));
    store.objects.delete((await only()).key);
    const orphan = await only();
    expect(orphan).toMatchObject({ storedBytes: undefined, indexBytes: expect.any(Number) });
    expect(await find()).toEqual([]);
    expect(await reader.verify(orphan)).toEqual({ state: 'orphan' });
  });
});

describe('data', () => {
  it('that is damaged is refused, and said to be', async () => {
    await archive(many(20));
    const { key } = await only();
    const { bytes } = store.objects.get(key)!;
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.byteLength - 1), fc.nat(7), fc.boolean(), async (at, bit, cut) => {
        const damaged = cut ? bytes.slice(0, at) : bytes.map((byte, i) => (i === at ? byte ^ (1 << bit) : byte));
        store.objects.get(key)!.bytes = damaged;
        const [found] = await find();
        await expect(reader.read(found!)).rejects.toThrow();
        // Only what gzip itself ignores in its header may be changed without harm.
        const { state } = await reader.verify(await only());
        if (cut || at > 9) expect(state).toBe('data');
        else expect(['data', 'index']).toContain(state);
      }),
      { numRuns: 60 },
    );
  });

  it('of another object is not taken for what was archived, however intact it is', async () => {
    await archive(many(3, { serviceName: 'other' }));
    const { bytes } = store.objects.get((await only()).key)!;
    store.objects.clear();
    await archive(many(20));
    store.objects.get((await only()).key)!.bytes = bytes;
    expect(await reader.verify(await only())).toMatchObject({ state: 'data', problem: 'data damaged' });
    expect(await find()).toMatchObject([{ index: undefined, problem: 'data damaged' }]);
  });

  it('that is larger than declared is not unpacked', async () => {
    await archive(many(20));
    const { key, indexKey } = await only();
    const index = decodeIndex(store.objects.get(indexKey)!.bytes)!;
    const bomb = gzipSync(Buffer.alloc(50_000_000));
    store.objects.get(key)!.bytes = bomb;
    store.objects.get(indexKey)!.bytes = encodeIndex({ ...index, storedBytes: bomb.byteLength, crc32: crc32(bomb) });
    const [found] = await find();
    await expect(reader.read(found!)).rejects.toThrow(/more than the \d+ bytes that were declared/);
    const small = new ArchiveReader({ store, maxRawBytes: 1_000_000 });
    expect(await small.verify(await only())).toMatchObject({ state: 'data' });
    store.objects.get(indexKey)!.bytes = encodeIndex({
      ...index,
      storedBytes: bomb.byteLength,
      crc32: crc32(bomb),
      rawBytes: 2_000_000,
    });
    const [declared] = await find();
    await expect(small.read(declared!)).rejects.toThrow(/2000000 bytes are declared, where 1000000 are allowed/);
  });
});

describe('the trace-id filter', () => {
  it('knows every id it was made of, and hardly any other', () => {
    for (const idOf of [
      (i: number) => fakeSpan({ index: i }).spanContext().traceId,
      () => fakeSpan().spanContext().traceId,
    ]) {
      const ids = Array.from({ length: 2_000 }, (_, i) => idOf(i));
      const filter = TraceIdFilter.of(new Set(ids));
      expect(filter.bits.byteLength).toBeLessThanOrEqual(2_500);
      expect(ids.every((id) => filter.mayContain(id))).toBe(true);
      let wrong = 0;
      for (let i = 0; i < 20_000; i++) if (filter.mayContain(idOf(i + 1_000_000))) wrong++;
      expect(wrong / 20_000).toBeLessThan(1.5 * TraceIdFilter.falsePositiveRate);
    }
    expect(TraceIdFilter.of(new Set()).mayContain('1'.repeat(32))).toBe(false);
  });
});

describe('ArchiveWriter among exporters', () => {
  it.each([
    ['UNAVAILABLE', 'retryable'],
    ['DENIED', 'retryable'],
    ['NO_BUCKET', 'retryable'],
    ['FULL', 'retryable'],
    ['THROTTLED', 'throttled'],
    ['REFUSED_REQUEST', 'permanent'],
    ['SHUTDOWN', 'shutdown'],
  ] as const)('reads %s as %s, and keeps the spans', async (code, failure) => {
    store.failNext('put', code);
    const outcome = await makeWriter().exportBatch(many(7), soon());
    expect(outcome).toMatchObject({ failure, delivered: 0, remaining: { spanCount: 7 }, error: { code } });
  });

  it('is tried again and spared by the layers that any exporter takes', async () => {
    const breaker = new CircuitBreaker({ consecutiveFailures: 2, strategy: 'consecutive' });
    const writer = makeWriter();
    const exporter = new RetryingSpanExporter({
      exporter: new CircuitBreakerSpanExporter({ exporter: writer, breaker }),
      initialDelayMillis: 1,
    });
    store.failNext('put', 'UNAVAILABLE');
    expect(await exporter.exportBatch(many(7), soon())).toMatchObject({ delivered: 7 });
    store.failNext('put', 'UNAVAILABLE', 99);
    expect(await exporter.exportBatch(many(8), soon())).toMatchObject({ remaining: { spanCount: 8 } });
    expect(breaker.state).toBe('open');
    await exporter.shutdown();
    await expect(store.head('k')).rejects.toMatchObject({ code: 'SHUTDOWN' });
  });

  it('is a stock exporter, and leaves a store alone that is not its own', async () => {
    const provider = new BasicTracerProvider({
      spanProcessors: [new BatchSpanProcessor(makeWriter({ ownsStore: false }))],
    });
    provider.getTracer('t').startSpan('archived').end();
    await provider.shutdown();
    expect((await reader.read(await only())).spans()[0]!.name).toBe('archived');
  });

  it('gives up what is no OTLP, and drops what cannot be read, alone', async () => {
    const context = soon();
    const broken = SpanBatch.fromBytes([Buffer.from([10, 200])], { ...many(1).summary });
    expect(await makeWriter().exportBatch(broken, context)).toMatchObject({ failure: 'permanent' });
    const odd = {
      ...fakeSpan({ startMillis: NOON }),
      spanContext: () => {
        throw new Error('odd');
      },
    };
    const outcome = await makeWriter().exportBatch(
      SpanBatch.fromSpans([fakeSpan({ startMillis: NOON }), odd]),
      context,
    );
    expect(outcome).toMatchObject({ delivered: 1, dropped: { unreadable: 1 } });
  });

  it('ends with its caller, and at shutdown', async () => {
    const abort = new AbortController();
    abort.abort(new Error('nobody waits'));
    const context = { ...soon(), signal: abort.signal };
    expect(await makeWriter().exportBatch(many(3), context)).toMatchObject({ remaining: { spanCount: 3 } });
    const writer = makeWriter();
    await writer.shutdown();
    expect(await writer.exportBatch(many(3), soon())).toMatchObject({ failure: 'shutdown' });
  });

  it('writes into a directory, whatever a service is called, and nowhere else', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'archive-'));
    const files = new FileObjectStore({ directory: join(folder, 'archive') });
    const names = ['../../..', '..', '.', '/etc', 'a\0b', 'con', 'ü'.repeat(200), '', ' ', 'C:\\x', '%2e%2e', '\ud800'];
    const spans = names.map((serviceName, index) => ({ index, serviceName, startMillis: NOON }));
    expect(await makeWriter({ store: files }).exportBatch(batchOf(spans), soon())).toMatchObject({
      delivered: names.length,
    });
    expect(readdirSync(folder)).toEqual(['archive']);
    expect(readdirSync(join(folder, 'archive'))).toEqual(['STANDARD']);
    reader = new ArchiveReader({ store: files });
    expect(await select({})).toHaveLength(names.length);
    for (const name of names.slice(0, -1)) expect(await select({ services: [name] })).toHaveLength(1);
    rmSync(folder, { recursive: true });
  });

  it('refuses wrong options by name', async () => {
    expect(() => new ArchiveWriter({ store: {} as never })).toThrow(/ArchiveWriter\.store: expected an ObjectStore/);
    expect(() => makeWriter({ compressionLevel: 10 })).toThrow(/ArchiveWriter\.compressionLevel/);
    await expect(reader.find({ fromMillis: 2, toMillis: 1 }).next()).rejects.toThrow(/ArchiveSelection\.toMillis/);
    await expect(reader.find({ traceIds: ['x'] }).next()).rejects.toThrow(/ArchiveSelection\.traceIds\[0\]/);
  });
});

describe('RetryingObjectStore', () => {
  it('tries again what may help, waits what it was asked to, and gives up at the deadline', async () => {
    const clock = new VirtualClock();
    store = new MemoryObjectStore({ clock });
    const retrying = new RetryingObjectStore({ store, clock, random: () => 1 });
    store.failNext('put', 'UNAVAILABLE', 3);
    const startedAt = clock.now();
    await clock.run(retrying.put('k', [Buffer.from('x')]));
    expect(clock.now() - startedAt).toBe(100 + 200 + 400);
    store.before = () => {
      throw new ObjectStoreError('THROTTLED', 'slow down', { retryAfterMillis: 5_000 });
    };
    await expect(clock.run(retrying.get('k', { maxBytes: 1, deadline: clock.now() + 4_000 }))).rejects.toMatchObject({
      code: 'THROTTLED',
    });
    let asked = 0;
    const asks = store.before;
    store.before = (operation, key) => (asked++ === 0 ? asks(operation, key) : undefined);
    const before = clock.now();
    await clock.run(retrying.get('k', { maxBytes: 1 }));
    expect(clock.now() - before).toBe(5_000);
    store.calls.length = 0;
    await expect(retrying.get('none', { maxBytes: 1 })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(store.calls).toHaveLength(1);
    expect(clock.pendingTimers).toBe(0);
  });

  it('goes on with a list where it failed, each key once', async () => {
    for (let i = 0; i < 9; i++) await store.put(`k${i}`, []);
    const retrying = new RetryingObjectStore({ store, initialDelayMillis: 1 });
    let calls = 0;
    store.before = (operation) => {
      if (operation === 'list' && ++calls % 2 === 0) throw new ObjectStoreError('UNAVAILABLE', 'as told');
    };
    expect((await all(retrying.list('', { pageSize: 2 }))).map(({ key }) => key)).toEqual(store.keys);
  });

  it('asks its breaker, and tells it nothing of what is no fault', async () => {
    const breaker = new CircuitBreaker({ strategy: 'consecutive', consecutiveFailures: 2 });
    const retrying = new RetryingObjectStore({ store, breaker, maxRetries: 0 });
    for (let i = 0; i < 5; i++) await retrying.get('none', { maxBytes: 1 }).catch(() => {});
    expect(breaker.state).toBe('closed');
    store.failNext('head', 'UNAVAILABLE', 2);
    for (let i = 0; i < 2; i++) await retrying.head('k').catch(() => {});
    expect(breaker.state).toBe('open');
    await expect(retrying.head('k')).rejects.toMatchObject({ code: 'REFUSED', failure: 'refused' });
  });

  it('ends a wait at shutdown, and when nobody waits any more', async () => {
    const clock = new VirtualClock();
    store = new MemoryObjectStore({ clock });
    const retrying = new RetryingObjectStore({ store, clock });
    store.failNext('head', 'UNAVAILABLE', 9);
    const abort = new AbortController();
    const head = retrying.head('k', { signal: abort.signal });
    const other = retrying.head('k');
    await clock.settle();
    abort.abort(new Error('enough'));
    await expect(head).rejects.toThrow('enough');
    await retrying.shutdown();
    await expect(other).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(clock.pendingTimers).toBe(0);
  });
});
