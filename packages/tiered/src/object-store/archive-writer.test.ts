import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { SpanBatch } from '@otel-resilience/core';
import { CircuitBreaker, CircuitBreakerSpanExporter, RetryingSpanExporter } from '@otel-resilience/exporter';
import { fakeSpan } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { ArchiveWorld, all, batchOf, many, NOON, soon } from '../../../../test/support/archive.js';
import { MemoryObjectStore } from '../../../../test/support/memory-object-store.js';
import { decodeIndex, encodeIndex } from './archive-index.js';
import { ArchiveReader } from './archive-reader.js';
import { ArchiveWriter } from './archive-writer.js';
import { FileObjectStore } from './file-object-store.js';
import { ObjectStoreError } from './object-store-error.js';

const world = new ArchiveWorld();
const { archive, makeWriter, only, select } = world;

describe('a batch that is sent again', () => {
  it('is stored once', async () => {
    await archive(many(10));
    const before = world.store.keys;
    const writer = makeWriter();
    expect(await writer.exportBatch(many(10), soon())).toMatchObject({ delivered: 10 });
    expect(writer.stats()).toMatchObject({ objects: 0, existing: 1, spans: 10 });
    await archive(many(10), { compressionLevel: 1 });
    expect(world.store.keys).toEqual(before);
    expect((await world.reader.verify(await only())).state).toBe('intact');
  });

  it('is stored once whatever fails on the way, before or after it was done, and is found in the end', async () => {
    const spans = Array.from({ length: 12 }, (_, i) => ({ index: i, startMillis: NOON, serviceName: `s${i % 3}` }));
    await archive(batchOf(spans));
    const complete = world.store.keys;
    const calls = world.store.calls.length;
    for (let failAt = 1; failAt <= calls; failAt++) {
      for (const when of ['before', 'after'] as const) {
        world.store = new MemoryObjectStore();
        world.reader = new ArchiveReader({ store: world.store });
        let call = 0;
        world.store[when] = () => {
          if (++call === failAt) throw new ObjectStoreError('UNAVAILABLE', 'as told');
        };
        const first = await makeWriter().exportBatch(batchOf(spans), soon());
        expect(first).toMatchObject({ failure: 'retryable' });
        expect(first.delivered + first.remaining!.spanCount).toBe(12);
        for (const entry of await all(world.reader.list())) expect(entry.storedBytes).toBeGreaterThan(0);
        expect((await makeWriter().exportBatch(first.remaining!, soon())).remaining).toBeUndefined();
        expect(world.store.keys).toEqual(complete);
        expect(await select({})).toHaveLength(12);
      }
    }
  });

  it('replaces what is damaged', async () => {
    await archive(many(10));
    const [indexKey, key] = world.store.keys as [string, string];
    const intact = world.store.objects.get(key)!.bytes;
    const flipped = intact.map((byte, at) => (at === 50 ? byte ^ 1 : byte));
    for (const damaged of [Buffer.from('torn'), new Uint8Array(0), flipped]) {
      world.store.objects.get(key)!.bytes = damaged;
      world.store.objects.get(indexKey)!.bytes = Buffer.from('{}');
      const writer = makeWriter();
      await writer.exportBatch(many(10), soon());
      expect(writer.stats()).toMatchObject({ replaced: 1 });
      expect((await world.reader.verify(await only())).state).toBe('intact');
    }
  });

  it('puts an index right that says something else', async () => {
    await archive(many(10));
    const { indexKey } = await only();
    const lie = { ...decodeIndex(world.store.objects.get(indexKey)!.bytes)!, spanCount: 9 };
    world.store.objects.get(indexKey)!.bytes = encodeIndex(lie);
    await archive(many(10));
    expect((await world.reader.verify(await only())).state).toBe('intact');
  });

  it('is not stored beside what has been moved to the archive class', async () => {
    await archive(many(10));
    await world.store.changeStorageClass((await only()).key, 'GLACIER');
    await archive(many(10), { compressionLevel: 9 });
    expect(await only()).toMatchObject({ storageClass: 'GLACIER' });
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
    world.store.failNext('put', code);
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
    world.store.failNext('put', 'UNAVAILABLE');
    expect(await exporter.exportBatch(many(7), soon())).toMatchObject({ delivered: 7 });
    world.store.failNext('put', 'UNAVAILABLE', 99);
    expect(await exporter.exportBatch(many(8), soon())).toMatchObject({ remaining: { spanCount: 8 } });
    expect(breaker.state).toBe('open');
    await exporter.shutdown();
    await expect(world.store.head('k')).rejects.toMatchObject({ code: 'SHUTDOWN' });
  });

  it('is a stock exporter, and leaves a store alone that is not its own', async () => {
    const provider = new BasicTracerProvider({
      spanProcessors: [new BatchSpanProcessor(makeWriter({ ownsStore: false }))],
    });
    provider.getTracer('t').startSpan('archived').end();
    await provider.shutdown();
    expect((await world.reader.read(await only())).spans()[0]!.name).toBe('archived');
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
    world.reader = new ArchiveReader({ store: files });
    expect(await select({})).toHaveLength(names.length);
    for (const name of names.slice(0, -1)) expect(await select({ services: [name] })).toHaveLength(1);
    rmSync(folder, { recursive: true });
  });

  it('refuses wrong options by name', async () => {
    expect(() => new ArchiveWriter({ store: {} as never })).toThrow(/ArchiveWriter\.store: expected an ObjectStore/);
    expect(() => makeWriter({ compressionLevel: 10 })).toThrow(/ArchiveWriter\.compressionLevel/);
    await expect(world.reader.find({ fromMillis: 2, toMillis: 1 }).next()).rejects.toThrow(
      /ArchiveSelection\.toMillis/,
    );
    await expect(world.reader.find({ traceIds: ['x'] }).next()).rejects.toThrow(/ArchiveSelection\.traceIds\[0\]/);
  });
});
