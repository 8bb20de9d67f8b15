import { deliveredOutcome, SpanBatch, SpanBatchExporterBase } from '@otel-resilience/core';
import { fakeSpans } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { HOUR, NOON } from '../../../../test/support/archive.js';
import { MemoryObjectStore } from '../../../../test/support/memory-object-store.js';
import { encodeIndex } from '../object-store/archive-index.js';
import { dataKey, indexKeyOf } from '../object-store/archive-key.js';
import { makeArchiveObject } from '../object-store/archive-object.js';
import { traceIdsOf } from '../object-store/archive-parts.js';
import type { GetOptions } from '../object-store/object-store.js';
import { RehydrateBed } from './rehydrate-bed.test-support.js';
import type { RehydrateProgress } from './rehydrate-progress.js';

const MIB = 1024 * 1024;
const OBJECTS = 26;
const FEW = 5;
const SPANS = 1_000;
/** 8 MiB of spans an object. */
const FILLER = 'x'.repeat(8 * 1024);

/** Counts what it has been asked for and has not answered. */
class LargeStore extends MemoryObjectStore {
  readonly most = { data: 0, dataBytes: 0, indexes: 0 };
  servedBytes = 0;
  onData: () => void = () => {};
  private readonly answering = { data: 0, dataBytes: 0, indexes: 0 };

  async fill(objects: number): Promise<void> {
    for (let hour = 0; hour < objects; hour++) {
      const spans = fakeSpans(SPANS, (index) => ({
        index: index + hour * SPANS,
        startMillis: NOON + hour * HOUR,
        attributes: { filler: FILLER },
      }));
      const batch = SpanBatch.fromBytes(SpanBatch.fromSpans(spans).otlp());
      // Level 0: to compress them would take most of the time.
      const { data, index } = await makeArchiveObject({ batch, traceIds: traceIdsOf(batch) }, 0, 0);
      const key = dataKey(NOON + hour * HOUR, 'fake-service', index.id);
      await this.put(key, [data]);
      await this.put(indexKeyOf(key), [encodeIndex(index)]);
    }
  }

  override async get(key: string, options: GetOptions): Promise<Uint8Array> {
    const isData = key.endsWith('.otlp.gz');
    if (isData) this.onData();
    this.count(isData, 1, options.maxBytes);
    try {
      const bytes = await super.get(key, options);
      if (isData) this.servedBytes += bytes.byteLength;
      return bytes;
    } finally {
      this.count(isData, -1, options.maxBytes);
    }
  }

  private count(isData: boolean, calls: 1 | -1, bytes: number): void {
    const { answering, most } = this;
    if (isData) {
      answering.data += calls;
      answering.dataBytes += calls * bytes;
    } else answering.indexes += calls;
    for (const what of ['data', 'dataBytes', 'indexes'] as const) most[what] = Math.max(most[what], answering[what]);
  }
}

class CountingExporter extends SpanBatchExporterBase {
  sent = 0;
  openExports = 0;
  mostBytes = 0;

  async exportBatch(batch: SpanBatch) {
    this.openExports++;
    await Promise.resolve();
    this.openExports--;
    this.sent += batch.spanCount;
    this.mostBytes = Math.max(this.mostBytes, batch.byteLength);
    return deliveredOutcome(batch.spanCount);
  }
}

describe('memory', () => {
  it('holds one object at a time, however large the archive is', async () => {
    const bed = new RehydrateBed();
    const store = new LargeStore({ clock: bed.clock });
    await store.fill(OBJECTS);
    // Counts, and keeps nothing.
    const to = new CountingExporter();
    let asked = 0;
    store.onData = () => {
      // Everything that was read before has been answered for.
      expect(to.sent).toBe(asked++ * SPANS);
      expect(to.openExports).toBe(0);
    };
    let last: RehydrateProgress | undefined;
    const report = await bed.run({
      from: store,
      to,
      spansPerSecond: 1_000_000,
      onProgress: (progress) => {
        last = progress;
      },
    });
    expect(report).toMatchObject({ complete: true, spans: { sent: OBJECTS * SPANS } });
    expect(last).toMatchObject({ fraction: 1 });
    expect(store.servedBytes).toBeGreaterThan(200 * MIB);
    expect(store.most.data).toBe(1);
    expect(store.most.indexes).toBeLessThanOrEqual(8);
    expect(store.most.dataBytes).toBeLessThan(9 * MIB);
    expect(to.mostBytes).toBeLessThanOrEqual(MIB);
  });

  it('reads data without an index one at a time too', async () => {
    const bed = new RehydrateBed();
    const store = new LargeStore({ clock: bed.clock });
    await store.fill(FEW);
    for (const key of store.keys) if (key.endsWith('.json')) store.objects.delete(key);
    expect(await bed.run({ from: store, spansPerSecond: 1_000_000, select: { services: ['none'] } })).toMatchObject({
      complete: true,
      objects: { found: 0 },
    });
    expect(
      await bed.run({ from: store, spansPerSecond: 1_000_000, select: { traceIds: ['f'.repeat(32)] } }),
    ).toMatchObject({ complete: true, objects: { done: FEW }, spans: { selected: 0 } });
    expect(store.most.data).toBe(1);
  });
});
