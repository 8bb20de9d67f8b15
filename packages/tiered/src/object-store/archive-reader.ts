import { crc32 } from 'node:zlib';
import { millis, positiveInteger, readOptions, type SpanBatch } from '@otel-resilience/core';
import { type ArchiveIndex, decodeIndex, encodeIndex, MAX_INDEX_BYTES, sameIndex } from './archive-index.js';
import { hourOf, hourPrefix, MIXED, servicePath } from './archive-key.js';
import { type ArchiveEntry, listArchive } from './archive-listing.js';
import { DamagedArchiveError, indexOf, openArchiveObject } from './archive-object.js';
import { traceIdsOf } from './archive-parts.js';
import { type ArchiveSelection, mayHold, type ReadSelection, readSelection, selectSpans } from './archive-selection.js';
import { inOrder } from './in-order.js';
import { anObjectStore, type ListOptions, type ObjectStore, type StoreCallOptions } from './object-store.js';
import { isNotFound, storeErrorCode } from './object-store-error.js';

export interface ArchiveReaderOptions {
  /** Not owned: whoever made it shuts it down. A `RetryingObjectStore` is what one wants here. */
  readonly store: ObjectStore;
  /** Uncompressed, in bytes: an object that is larger is not read. Default 256 MiB, the most that a writer makes. */
  readonly maxRawBytes?: number;
  /**
   * How much longer than `toMillis` is looked for objects, in milliseconds: they lie in the hour in which their spans
   * ended, which may be after the time asked for. Default one hour; a span that went on for longer is not found.
   */
  readonly lookAheadMillis?: number;
  /** Indexes that are read at the same time; default 8. */
  readonly concurrency?: number;
}

export interface ListArchiveOptions extends ListOptions {
  /** Told of keys that no archive has: they are left out. */
  readonly onForeign?: (key: string) => void;
}

export interface FindOptions extends StoreCallOptions {
  /**
   * Whether the data is read where there is no index to be trusted; default true. Where it is false such objects are
   * found with the index `undefined`, also those of which the store does not give the index: nothing is read twice by
   * who reads all that is found.
   */
  readonly readData?: boolean;
}

/** What is wrong with an object, if anything is. */
export type ArchiveProblem =
  | 'index missing'
  | 'index damaged'
  | 'index of other data'
  | 'index unreadable'
  | 'data damaged';

/** What it takes to read an object: where it is, and what its index declares of it. */
export interface ReadableArchive extends Pick<ArchiveEntry, 'key' | 'id' | 'storedBytes'> {
  readonly index?: Pick<ArchiveIndex, 'storedBytes' | 'rawBytes' | 'crc32'> | undefined;
}

export interface FoundArchive extends ArchiveEntry {
  /** `undefined` where there is none that can be trusted, and the data cannot be read now: it may hold what is wanted. */
  readonly index: ArchiveIndex | undefined;
  readonly problem?: ArchiveProblem;
}

export type Verification =
  | { readonly state: 'intact'; readonly index: ArchiveIndex }
  /** The data is intact; `index` is what should stand beside it. */
  | { readonly state: 'index'; readonly problem: ArchiveProblem; readonly index: ArchiveIndex }
  | { readonly state: 'data'; readonly problem: 'data damaged'; readonly error: Error }
  /** The data is gone: only an index is left. */
  | { readonly state: 'orphan' }
  /** Has to be restored first. */
  | { readonly state: 'archived' };

const OWNER = 'ArchiveReader';
const SCHEMA = {
  store: anObjectStore,
  maxRawBytes: positiveInteger({ default: 256 * 1024 * 1024 }),
  lookAheadMillis: millis({ default: 3_600_000 }),
  concurrency: positiveInteger({ default: 8, max: 256 }),
};
const HOUR_MILLIS = 3_600_000;
/** Up to so many hours, those of a service are listed on their own, and nothing of the other services. */
const MAX_HOURS_BY_SERVICE = 48;
/** Compressed data is hardly ever larger than what it was made of, and never by more. */
const GZIP_MARGIN = 64 * 1024;

/** Finds, verifies and repairs what an `ArchiveWriter` has written. An index is believed only as far as it fits its data. */
export class ArchiveReader {
  private readonly store: ObjectStore;
  private readonly options: ReturnType<typeof readReaderOptions>;

  /** @throws ConfigurationError naming the option, what was expected and what came. */
  constructor(options: ArchiveReaderOptions) {
    this.options = readReaderOptions(options);
    this.store = this.options.store;
  }

  /** Everything there is, by listing alone. With `startAfter`, the key of the last entry seen, it goes on where it was. */
  list({ onForeign, ...options }: ListArchiveOptions = {}): AsyncGenerator<ArchiveEntry> {
    return listArchive(this.store, 'traces/', options, onForeign);
  }

  /**
   * The objects that may hold such spans, in the order of their keys: by these and then their indexes. Without a trustworthy index the data is
   * read instead, so that nothing is missed; where that cannot be done now, it is found with the index `undefined`.
   */
  async *find(selection: ArchiveSelection, options: FindOptions = {}): AsyncGenerator<FoundArchive> {
    const { readData = true, ...call } = options;
    const wanted = readSelection(selection);
    const looks = inOrder(this.candidates(wanted, call), this.options.concurrency, async (entry) => {
      const found = readData ? await this.look(entry, call) : await this.lookAtIndex(entry, call);
      return !found.index || mayHold(found.index, wanted) ? found : undefined;
    });
    for await (const found of looks) if (found) yield found;
  }

  /** All spans of an object. Rejects with a `DamagedArchiveError` when it is not what was archived, or larger than declared. */
  async read(entry: ReadableArchive, options: StoreCallOptions = {}): Promise<SpanBatch> {
    const { data, maxRawBytes } = await this.fetch(entry, entry.index, options);
    return (await openArchiveObject(data, { id: entry.id, maxRawBytes })).batch;
  }

  /** Those of them that are wanted, if there are any. */
  async readMatching(
    entry: ReadableArchive,
    selection: ArchiveSelection,
    options: StoreCallOptions = {},
  ): Promise<SpanBatch | undefined> {
    return selectSpans(await this.read(entry, options), readSelection(selection));
  }

  /** Reads data and index, and compares them. */
  async verify(entry: ArchiveEntry, options: StoreCallOptions = {}): Promise<Verification> {
    if (entry.storedBytes === undefined) return { state: 'orphan' };
    const { index: claimed, problem } = await this.indexOf(entry, options);
    try {
      const index = await this.rebuilt(entry, claimed?.archivedMillis, options);
      if (claimed && !problem && sameIndex(claimed, index)) return { state: 'intact', index };
      return { state: 'index', problem: problem ?? 'index of other data', index };
    } catch (error) {
      if (storeErrorCode(error) === 'ARCHIVED') return { state: 'archived' };
      if (isNotFound(error)) return { state: 'orphan' };
      if (!isDamaged(error)) throw error;
      return { state: 'data', problem: 'data damaged', error: error as Error };
    }
  }

  /** Verifies, and writes the index anew where that is what is wrong. Data is never touched. */
  async repair(entry: ArchiveEntry, options: StoreCallOptions = {}): Promise<Verification> {
    const verified = await this.verify(entry, options);
    if (verified.state === 'index') {
      const bytes = encodeIndex(verified.index);
      const put = { ...options, storageClass: 'STANDARD', contentType: 'application/json' } as const;
      await this.store.put(entry.indexKey, [bytes], put);
    }
    return verified;
  }

  /** By their keys alone. */
  private async *candidates(wanted: ReadSelection, options: StoreCallOptions): AsyncGenerator<ArchiveEntry> {
    const { fromMillis, toMillis } = wanted;
    const services = wanted.services && new Set([...wanted.services].map(servicePath).concat(MIXED));
    const lastHour = hourOf(toMillis + this.options.lookAheadMillis);
    const startAfter = fromMillis > 0 ? hourPrefix(hourOf(fromMillis)) : undefined;
    for (const prefix of prefixes(hourOf(fromMillis), lastHour, services)) {
      for await (const entry of listArchive(this.store, prefix, { ...options, startAfter })) {
        if (entry.hourMillis > lastHour) return;
        if (entry.storedBytes !== undefined && (!services || services.has(entry.service))) yield entry;
      }
    }
  }

  private async look(entry: ArchiveEntry, options: StoreCallOptions): Promise<FoundArchive> {
    const { index, problem } = await this.indexOf(entry, options);
    if (!problem) return { ...entry, index };
    try {
      return { ...entry, index: await this.rebuilt(entry, undefined, options), problem };
    } catch (error) {
      if (storeErrorCode(error) === 'ARCHIVED' || isNotFound(error)) return { ...entry, index: undefined, problem };
      if (isDamaged(error)) return { ...entry, index: undefined, problem: 'data damaged' };
      throw error;
    }
  }

  private async lookAtIndex(entry: ArchiveEntry, options: StoreCallOptions): Promise<FoundArchive> {
    try {
      const { index, problem } = await this.indexOf(entry, options);
      return problem ? { ...entry, index: undefined, problem } : { ...entry, index };
    } catch (error) {
      if (options.signal?.aborted) throw error;
      return { ...entry, index: undefined, problem: 'index unreadable' };
    }
  }

  /** What the index says, and why it is not to be believed. */
  private async indexOf(
    entry: ArchiveEntry,
    options: StoreCallOptions,
  ): Promise<{ index: ArchiveIndex | undefined; problem?: ArchiveProblem }> {
    if (entry.indexBytes === undefined) return { index: undefined, problem: 'index missing' };
    let index: ArchiveIndex | undefined;
    try {
      index = decodeIndex(await this.store.get(entry.indexKey, { ...options, maxBytes: MAX_INDEX_BYTES }));
    } catch (error) {
      if (isNotFound(error)) return { index: undefined, problem: 'index missing' };
      if (storeErrorCode(error) !== 'TOO_LARGE') throw error;
    }
    if (!index) return { index: undefined, problem: 'index damaged' };
    const fits = index.id === entry.id && index.storedBytes === entry.storedBytes && !contradicts(index, entry);
    return fits ? { index } : { index, problem: 'index of other data' };
  }

  private async rebuilt(
    entry: ArchiveEntry,
    archivedMillis: number | undefined,
    options: StoreCallOptions,
  ): Promise<ArchiveIndex> {
    const { data, maxRawBytes } = await this.fetch(entry, undefined, options);
    const { batch, raw } = await openArchiveObject(data, { id: entry.id, maxRawBytes });
    // When it was archived is not known any more; not before its spans had ended.
    const piece = { batch, traceIds: traceIdsOf(batch) };
    return indexOf(piece, { id: entry.id, raw, data, archivedMillis: archivedMillis ?? batch.summary.endMillis });
  }

  private async fetch(
    entry: ReadableArchive,
    index: ReadableArchive['index'],
    options: StoreCallOptions,
  ): Promise<{ data: Uint8Array; maxRawBytes: number }> {
    const { maxRawBytes } = this.options;
    const declared = index?.rawBytes ?? 0;
    if (declared > maxRawBytes) {
      throw new DamagedArchiveError(`${entry.key}: ${declared} bytes are declared, where ${maxRawBytes} are allowed`);
    }
    const maxBytes = index?.storedBytes ?? entry.storedBytes ?? maxRawBytes + GZIP_MARGIN;
    const data = await this.store.get(entry.key, {
      ...options,
      maxBytes: Math.min(maxBytes, maxRawBytes + GZIP_MARGIN),
    });
    if (index && (index.storedBytes !== data.byteLength || index.crc32 !== crc32(data))) {
      throw new DamagedArchiveError(`${entry.key}: not the bytes that its index declares`);
    }
    return { data, maxRawBytes: index ? declared : maxRawBytes };
  }
}

/** What the key says of all spans of the data. An index that says otherwise would hide them. */
function contradicts({ endMillis, services }: ArchiveIndex, { hourMillis, service }: ArchiveEntry): boolean {
  if (hourOf(endMillis) !== hourMillis || services.size === 0) return true;
  return service !== MIXED && [...services.keys()].some((name) => servicePath(name) !== service);
}

export const isDamaged = (error: unknown): boolean => {
  const code = storeErrorCode(error);
  return code === 'TOO_LARGE' || (error as Error).name === 'DamagedArchiveError';
};

function* prefixes(firstHour: number, lastHour: number, services: ReadonlySet<string> | undefined): Generator<string> {
  if (!services || lastHour - firstHour > MAX_HOURS_BY_SERVICE * HOUR_MILLIS) yield 'traces/';
  else {
    for (let hour = firstHour; hour <= lastHour; hour += HOUR_MILLIS) {
      // As keys are sorted: with what comes after the service.
      for (const path of [...services].map((service) => `${service}/`).sort()) yield `${hourPrefix(hour)}/${path}`;
    }
  }
}

const readReaderOptions = (options: ArchiveReaderOptions) => readOptions(OWNER, options, SCHEMA);
