import {
  aClock,
  boolean,
  type Clock,
  classifyFailure,
  deliveredOutcome,
  droppedOutcome,
  type ExportContext,
  type ExportOutcome,
  failedOutcome,
  followedBy,
  integer,
  LimitedLog,
  oneOf,
  optional,
  positiveInteger,
  readOptions,
  SpanBatch,
  SpanBatchExporterBase,
  settledBy,
  toError,
} from '@otel-resilience/core';
import { type ArchiveIndex, decodeIndex, encodeIndex, MAX_INDEX_BYTES, sameIndex } from './archive-index.js';
import { dataKey, indexKeyOf } from './archive-key.js';
import { type ArchiveObject, indexOf, makeArchiveObject, openArchiveObject } from './archive-object.js';
import { type ArchivePart, type ArchivePiece, archivePartsOf } from './archive-parts.js';
import {
  anObjectStore,
  isArchived,
  type ObjectStore,
  STORAGE_CLASSES,
  type StorageClass,
  type StoreCallOptions,
} from './object-store.js';
import { isExisting, type ObjectStoreError, storeErrorCode } from './object-store-error.js';

export interface ArchiveWriterOptions {
  readonly store: ObjectStore;
  /** Of the data; default: the store's own. Indexes are always `STANDARD`, so that they can be read at once. */
  readonly storageClass?: StorageClass;
  /** Of gzip, from 1 (the fastest) to 9 (the smallest); default 6. */
  readonly compressionLevel?: number;
  /** Uncompressed, in bytes; default 16 MiB, at least 64 KiB. A batch that is larger becomes several objects. */
  readonly maxObjectBytes?: number;
  /** Default 4. */
  readonly maxConcurrentExports?: number;
  /** Whether a shutdown is also the store's; default true. False where others go on using it. */
  readonly ownsStore?: boolean;
  readonly clock?: Clock;
}

/** What an {@link ArchiveWriter} has done since it was constructed. */
export interface ArchiveWriterStats {
  /** Data objects written … */
  readonly objects: number;
  /** … and found to be there already: a retry of what had arrived. */
  readonly existing: number;
  /** … and replaced, since what was there was damaged. */
  readonly replaced: number;
  readonly spans: number;
  /** Of the objects written. */
  readonly rawBytes: number;
  readonly storedBytes: number;
  /** Objects that failed. */
  readonly failed: number;
}

const OWNER = 'ArchiveWriter';
const SCHEMA = {
  store: anObjectStore,
  storageClass: optional(oneOf(STORAGE_CLASSES, { default: 'STANDARD' })),
  compressionLevel: integer({ min: 1, max: 9, default: 6 }),
  maxObjectBytes: integer({ min: 64 * 1024, max: 256 * 1024 * 1024, default: 16 * 1024 * 1024 }),
  maxConcurrentExports: positiveInteger({ default: 4 }),
  ownsStore: boolean({ default: true }),
  clock: optional(aClock),
};
export const DATA_TYPE = 'application/gzip';
export const INDEX_TYPE = 'application/json';
/** Left of a shutdown's deadline for the store, as a share. */
const STORE_SHARE = 0.2;

/**
 * A span exporter whose backend is an object store: the layers that other exporters take, retry and breaker, go around it.
 *
 *     new RetryingSpanExporter({ exporter: new ArchiveWriter({ store: new FileObjectStore({ directory: 'archive' }) }) })
 *
 * A batch becomes one object for each service and hour in which its spans ended, and an index beside each; the data is
 * written first. Spans are `delivered` once both are durable. The same bytes always get the same key, so a batch that is
 * sent twice is stored once. OBJECTS.md has keys and formats.
 *
 * @throws ConfigurationError naming the option, what was expected and what came.
 */
export class ArchiveWriter extends SpanBatchExporterBase {
  override readonly prefers = 'bytes';
  override readonly maxConcurrentExports: number;
  private readonly options: ReturnType<typeof readArchiveOptions>;
  private readonly store: ObjectStore;
  private readonly log: LimitedLog;
  private readonly open = new Set<Promise<unknown>>();
  private readonly counts = { objects: 0, existing: 0, replaced: 0, spans: 0, rawBytes: 0, storedBytes: 0, failed: 0 };

  constructor(options: ArchiveWriterOptions) {
    const read = readArchiveOptions(options);
    super({ clock: read.clock });
    this.options = read;
    this.store = read.store;
    this.maxConcurrentExports = read.maxConcurrentExports;
    this.log = new LimitedLog(OWNER, { clock: this.clock });
  }

  async exportBatch(batch: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    if (this.shutdownSignal.aborted) return failedOutcome(batch, 'shutdown', this.shutdownSignal.reason);
    const exporting = this.exportReadable(batch, context).catch((thrown) => failed(batch, thrown));
    this.open.add(exporting);
    try {
      return await exporting;
    } finally {
      this.open.delete(exporting);
    }
  }

  stats(): ArchiveWriterStats {
    return { ...this.counts };
  }

  protected override async onFlush(): Promise<void> {
    await Promise.all(this.open);
  }

  protected override async onShutdown(deadline: number): Promise<void> {
    const left = Math.max(0, deadline - this.clock.now());
    await settledBy(this.clock, deadline - left * STORE_SHARE, this.onFlush());
    if (this.options.ownsStore) await this.store.shutdown({ deadline });
  }

  /** Spans that cannot be encoded are no reason to keep the others. */
  private async exportReadable(batch: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    try {
      batch.otlp();
    } catch (thrown) {
      const { name, indexes } = thrown as { name?: unknown; indexes?: readonly number[] };
      if (name !== 'UnreadableSpansError' || !indexes) throw thrown;
      const unreadable = new Set(indexes);
      this.log.warn('unreadable', () => `${unreadable.size} spans cannot be read, and are dropped`);
      const readable = SpanBatch.fromSpans(batch.spans().filter((_, index) => !unreadable.has(index)));
      const dropped = droppedOutcome(unreadable.size, 'unreadable');
      return readable.spanCount === 0 ? dropped : followedBy(dropped, await this.exportEncoded(readable, context));
    }
    return this.exportEncoded(batch, context);
  }

  private async exportEncoded(batch: SpanBatch, { signal, deadline }: ExportContext): Promise<ExportOutcome> {
    const parts = await archivePartsOf(batch, this.options.maxObjectBytes);
    let done = deliveredOutcome(0);
    for (const [index, part] of parts.entries()) {
      try {
        signal.throwIfAborted();
        for (const piece of part.pieces) await this.archive(part, piece, { signal, deadline });
        done = followedBy(done, deliveredOutcome(part.batch.spanCount));
      } catch (thrown) {
        this.counts.failed++;
        // A part is left whole, so that it is cut into the same pieces again.
        return followedBy(done, failed(SpanBatch.join(parts.slice(index).map((rest) => rest.batch)), thrown));
      }
    }
    return done;
  }

  private async archive(
    { hourMillis, service }: ArchivePart,
    piece: ArchivePiece,
    call: StoreCallOptions,
  ): Promise<void> {
    const made = await makeArchiveObject(piece, this.options.compressionLevel, this.clock.wallTime());
    const key = dataKey(hourMillis, service, made.index.id);
    const index = await this.putData(key, made, piece, call);
    await this.putIndex(indexKeyOf(key), index, call);
    this.counts.spans += piece.batch.spanCount;
  }

  /** Returns the index of what is there in the end. */
  private async putData(
    key: string,
    made: ArchiveObject,
    piece: ArchivePiece,
    call: StoreCallOptions,
  ): Promise<ArchiveIndex> {
    const { storageClass } = this.options;
    const put = (ifNoneMatch: boolean) =>
      this.store.put(key, [made.data], { ...call, storageClass, contentType: DATA_TYPE, ifNoneMatch });
    try {
      await put(true);
      this.counts.objects++;
      this.counts.rawBytes += made.index.rawBytes;
      this.counts.storedBytes += made.index.storedBytes;
      return made.index;
    } catch (error) {
      if (!isExisting(error)) throw error;
    }
    const existing = await this.existing(key, made, piece, call);
    if (existing) {
      this.counts.existing++;
      return existing;
    }
    await put(false);
    this.counts.replaced++;
    return made.index;
  }

  /** The index of the object that is there, if it holds the same spans. */
  private async existing(
    key: string,
    { index }: ArchiveObject,
    piece: ArchivePiece,
    call: StoreCallOptions,
  ): Promise<ArchiveIndex | undefined> {
    const head = await this.store.head(key, { ...call, checksum: true });
    if (!head) return undefined;
    if (head.bytes === index.storedBytes && head.crc32 === index.crc32) return index;
    // What has been archived cannot be looked at, and has been verified before it was.
    if (isArchived(head)) return index;
    const data = await this.store.get(key, { ...call, maxBytes: head.bytes });
    try {
      // The same spans, compressed by another zlib or at another level.
      const { raw } = await openArchiveObject(data, { id: index.id, maxRawBytes: index.rawBytes });
      return indexOf(piece, { id: index.id, raw, data, archivedMillis: index.archivedMillis });
    } catch (error) {
      this.log.warn('damaged', () => `${key} is damaged, and replaced: ${toError(error).message}`);
      return undefined;
    }
  }

  private async putIndex(key: string, index: ArchiveIndex, call: StoreCallOptions): Promise<void> {
    const bytes = encodeIndex(index);
    const options = { ...call, storageClass: 'STANDARD', contentType: INDEX_TYPE } as const;
    try {
      await this.store.put(key, [bytes], { ...options, ifNoneMatch: true });
    } catch (error) {
      if (!isExisting(error)) throw error;
      const existing = decodeIndex(await this.store.get(key, { ...call, maxBytes: MAX_INDEX_BYTES }));
      if (!existing || !sameIndex(existing, index)) await this.store.put(key, [bytes], options);
    }
  }
}

function failed(batch: SpanBatch, thrown: unknown): ExportOutcome {
  if (storeErrorCode(thrown)) {
    const { failure, retryAfterMillis } = thrown as ObjectStoreError;
    return failedOutcome(batch, failure, thrown as Error, retryAfterMillis);
  }
  const { failure, error, retryAfterMillis } = classifyFailure(thrown);
  // No later attempt will make OTLP of it.
  if (error.name === 'MalformedOtlpError') return failedOutcome(batch, 'permanent', error);
  return failedOutcome(batch, failure, error, retryAfterMillis);
}

const readArchiveOptions = (options: ArchiveWriterOptions) => readOptions(OWNER, options, SCHEMA);
