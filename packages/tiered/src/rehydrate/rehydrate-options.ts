import {
  aClock,
  anyExporter,
  boolean,
  type Clock,
  ConfigurationError,
  callback,
  having,
  list,
  millis,
  number,
  type OptionReader,
  type OptionsOf,
  oneOf,
  optional,
  positiveInteger,
  readOptions,
  type SpanBatchExporter,
  type SpanExporter,
  shape,
} from '@otel-resilience/core';
import { type ArchiveSelection, type ReadSelection, readSelection } from '../object-store/archive-selection.js';
import { anObjectStore, type ObjectStore, type RestoreOptions } from '../object-store/object-store.js';
import type { RehydrateProgress } from './rehydrate-progress.js';

export interface RehydrateOptions {
  /**
   * Where archives are; not owned. Several in the order in which a lifecycle moves objects, such as `[warm, cold]`, so that
   * none is missed that is moved meanwhile. The same object in several of them counts once, and is read where that can
   * be done at once. Every call is tried for about 5 s, unless this is a `RetryingObjectStore` of yours.
   */
  readonly from: ObjectStore | readonly ObjectStore[];
  /** Any exporter; not owned, so neither flushed nor shut down. What it fails at is tried again. */
  readonly to: SpanExporter | SpanBatchExporter;
  /** Default: everything. */
  readonly select?: ArchiveSelection;
  /** Default 5,000; more than 0. What is tried again counts too. */
  readonly spansPerSecond?: number;
  /**
   * What is asked of the store for objects in an archive class: for how many days the copy is kept (default 7) and how
   * soon and at what price it comes (default `Standard`). `false`: nothing is asked for, and what cannot be read now is
   * reported as `archived`.
   */
  readonly restore?: false | Pick<RestoreOptions, 'days' | 'tier'>;
  /** How often objects that are being restored are looked at, in milliseconds; default 60,000, at least 1. */
  readonly restorePollMillis?: number;
  /** How long a restore is waited for, in milliseconds; default 48 h, what `Bulk` may take of `DEEP_ARCHIVE`. */
  readonly restoreTimeoutMillis?: number;
  /** Uncompressed, in bytes: an object that is larger, or that unpacks to more than it declares, is not read. Default 256 MiB. */
  readonly maxRawBytes?: number;
  /** Finds and counts; sends nothing and restores nothing. Default false. */
  readonly dryRun?: boolean;
  /** Ends the run at once; the report says how far it came. */
  readonly signal?: AbortSignal;
  /** Called at most every 250 ms, when something begins or ends that takes long, and at the end. */
  readonly onProgress?: (progress: RehydrateProgress) => void;
  readonly clock?: Clock;
  /** For the jitter of waits; default `Math.random`. */
  readonly random?: () => number;
}

const OWNER = 'rehydrate';
const DAY_MILLIS = 86_400_000;

const stores: OptionReader<readonly ObjectStore[]> = (value, path) =>
  Array.isArray(value) ? list(anObjectStore, { min: 1 })(value, path) : [anObjectStore(value, path)];

const restore: OptionReader<false | { readonly days: number; readonly tier: RestoreOptions['tier'] }> = (
  value,
  path,
) => {
  if (value === false) return false;
  if (value !== undefined && (typeof value !== 'object' || value === null)) {
    throw new ConfigurationError(path, 'false, or an object with days and tier', value);
  }
  return shape({
    days: positiveInteger({ default: 7 }),
    tier: oneOf(['Expedited', 'Standard', 'Bulk'], { default: 'Standard' }),
  })(value ?? {}, path);
};

/** As it was given, since that is what a reader takes, and read. */
const selection: OptionReader<{ readonly given: ArchiveSelection; readonly wanted: ReadSelection }> = (value) => {
  const given = { ...(value ?? {}) } as ArchiveSelection;
  const wanted = readSelection(value === undefined ? {} : (value as ArchiveSelection));
  return { given: structuredClone(given), wanted };
};

const SCHEMA = {
  from: stores,
  to: anyExporter(),
  select: selection,
  spansPerSecond: number({ default: 5_000, min: 0.001 }),
  restore,
  restorePollMillis: millis({ default: 60_000, min: 1 }),
  restoreTimeoutMillis: millis({ default: 2 * DAY_MILLIS }),
  maxRawBytes: positiveInteger({ default: 256 * 1024 * 1024 }),
  dryRun: boolean({ default: false }),
  signal: optional(having<AbortSignal>('an AbortSignal', ['addEventListener', 'removeEventListener'])),
  onProgress: optional(callback<(progress: RehydrateProgress) => void>()),
  clock: optional(aClock),
  random: optional(callback<() => number>()),
};

export type ReadRehydrateOptions = OptionsOf<typeof SCHEMA>;

/** @throws ConfigurationError naming the option, what was expected and what came. */
export const readRehydrateOptions = (options: unknown): ReadRehydrateOptions => readOptions(OWNER, options, SCHEMA);
