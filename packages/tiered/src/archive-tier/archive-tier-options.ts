import {
  anyExporter,
  ConfigurationError,
  millis,
  type OptionReader,
  oneOf,
  optional,
  positiveInteger,
  readOptions,
  type SpanBatchExporter,
  type SpanExporter,
} from '@otel-resilience/core';
import {
  anObjectStore,
  isObjectStore,
  type ObjectStore,
  STORAGE_CLASSES,
  type StorageClass,
} from '../object-store/object-store.js';
import { MemorySpool } from '../spool/memory-spool.js';
import { anySpool, type SpanSpool } from '../spool/spool.js';

export interface ArchiveTierOptions {
  /** Where an `ArchiveWriter` writes objects. Shut down with the exporter, after all tiers have written what they had. */
  readonly store?: ObjectStore;
  /** Or any exporter; one of the two. */
  readonly exporter?: SpanExporter | SpanBatchExporter;
  /** Of the data in a store. Default: the store's own for `warm`, `GLACIER` for `cold`. */
  readonly storageClass?: StorageClass;
  /** Where spans wait until they are archived, and while they cannot be. Default `new MemorySpool()`, 64 MiB. */
  readonly spool?: SpanSpool;
  /**
   * Spans are archived together as soon as so much waits, in bytes as they are encoded; default 4,194,304 (4 MiB) for a
   * store, to which a request costs the same whatever it holds: at 1,000 spans/s that is an object and its index every
   * 10 s. For an exporter 1,048,576 (1 MiB): a collector takes 4 MiB in a request, and a batch may be twice as large.
   */
  readonly maxBatchBytes?: number;
  /** … or when the first of them has waited so long, in milliseconds; default 60,000. */
  readonly scheduledDelayMillis?: number;
  /** How long an export may take, in milliseconds; default 60,000. */
  readonly exportTimeoutMillis?: number;
  /** While the tier is down, it is tried this often, in milliseconds; default 5,000. */
  readonly probeIntervalMillis?: number;
}

const STORE_BATCH_BYTES = 4 * 1024 * 1024;
const EXPORTER_BATCH_BYTES = 1024 * 1024;

const SCHEMA = {
  store: optional(anObjectStore),
  exporter: optional(anyExporter()),
  storageClass: optional(oneOf(STORAGE_CLASSES)),
  spool: anySpool(() => new MemorySpool()),
  maxBatchBytes: optional(positiveInteger({ default: STORE_BATCH_BYTES })),
  scheduledDelayMillis: millis({ default: 60_000 }),
  exportTimeoutMillis: millis({ default: 60_000, min: 1 }),
  probeIntervalMillis: millis({ default: 5_000, min: 10 }),
};

export type ArchiveTierSettings = ReturnType<typeof readSettings>;

/** A store or an exporter alone, or with options. */
export const anArchiveTier: OptionReader<ArchiveTierSettings> = (value, path) => {
  if (isObjectStore(value)) return readSettings({ store: value }, path);
  if (isExporter(value)) return readSettings({ exporter: value }, path);
  return readSettings(value, path);
};

function readSettings(value: unknown, path: string) {
  const read = readOptions(path, value, SCHEMA);
  const { store, exporter, storageClass, maxBatchBytes = store ? STORE_BATCH_BYTES : EXPORTER_BATCH_BYTES } = read;
  if (store && exporter) throw new ConfigurationError(path, 'either a store or an exporter', 'both');
  if (!store && !exporter) throw new ConfigurationError(path, 'a store or an exporter, or options with one', value);
  if (exporter && storageClass) {
    throw new ConfigurationError(`${path}.storageClass`, 'nothing: it is for a store', storageClass);
  }
  return { ...read, maxBatchBytes };
}

const isExporter = (value: unknown): boolean => {
  try {
    anyExporter()(value, '');
    return true;
  } catch {
    return false;
  }
};
