import type { ExportContext } from '@otel-resilience/core';
import { SpanBatch } from '@otel-resilience/core';
import { type FakeSpanOverrides, fakeSpan, fakeSpans } from '@otel-resilience/testing';
import {
  type ArchiveEntry,
  ArchiveReader,
  type ArchiveSelection,
  ArchiveWriter,
  type ArchiveWriterOptions,
  type FoundArchive,
} from '@otel-resilience/tiered';
import { beforeEach, expect } from 'vitest';
import { MemoryObjectStore } from './memory-object-store.js';

/** Set-ups for the tests of archives. */

export const HOUR = 3_600_000;
export const NOON: number = Date.UTC(2026, 10, 21, 12);

export const soon = (): ExportContext => ({
  signal: new AbortController().signal,
  deadline: performance.now() + 20_000,
});
export const batchOf = (spans: readonly FakeSpanOverrides[]): SpanBatch =>
  SpanBatch.fromSpans(spans.map((span) => fakeSpan(span)));
export const many = (count: number, overrides: FakeSpanOverrides = {}): SpanBatch =>
  SpanBatch.fromSpans(fakeSpans(count, { startMillis: NOON, ...overrides }));

export const all = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
};

/** A store in memory, and a reader of it, new for each test. */
export class ArchiveWorld {
  store = new MemoryObjectStore();
  reader = new ArchiveReader({ store: this.store });

  constructor() {
    beforeEach(() => {
      this.store = new MemoryObjectStore();
      this.reader = new ArchiveReader({ store: this.store });
    });
  }

  makeWriter = (options: Partial<ArchiveWriterOptions> = {}): ArchiveWriter =>
    new ArchiveWriter({ store: this.store, ...options });

  archive = async (batch: SpanBatch, options: Partial<ArchiveWriterOptions> = {}): Promise<void> => {
    const outcome = await this.makeWriter(options).exportBatch(batch, soon());
    expect(outcome).toMatchObject({ delivered: batch.spanCount });
  };

  find = (selection: ArchiveSelection = {}): Promise<FoundArchive[]> => all(this.reader.find(selection));

  /** The span ids of what a selection gives, sorted. */
  select = async (selection: ArchiveSelection): Promise<string[]> => {
    const ids: string[] = [];
    for (const entry of await this.find(selection)) {
      const batch = await this.reader.readMatching(entry, selection);
      ids.push(...(batch?.spans() ?? []).map((span) => span.spanContext().spanId));
    }
    return ids.sort();
  };

  only = async (): Promise<ArchiveEntry> => {
    const entries = await all(this.reader.list());
    expect(entries).toHaveLength(1);
    return entries[0]!;
  };
}
