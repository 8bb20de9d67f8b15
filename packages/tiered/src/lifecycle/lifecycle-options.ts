import {
  aClock,
  boolean,
  type Clock,
  ConfigurationError,
  callback,
  having,
  millis,
  oneOf,
  optional,
  positiveInteger,
  readOptions,
  systemClock,
} from '@otel-resilience/core';
import { anObjectStore, type ObjectStore, STORAGE_CLASSES, type StorageClass } from '../object-store/object-store.js';
import { withRetries } from '../object-store/retrying-object-store.js';
import type { LifecycleProgress } from './lifecycle-report.js';
import { type ArchiveAges, DEFAULT_ARCHIVE_AGES } from './place.js';

export interface LifecycleOptions {
  /**
   * Where an `ArchiveWriter` puts its objects. Not owned: whoever made it shuts it down. Every call is tried up to four
   * times, unless this is a `RetryingObjectStore` of yours; what fails all the same is for the next run.
   */
  readonly warm: ObjectStore;
  /** Where objects go when they are old, another place than `warm`. Not owned. Default: `warm`, in `coldStorageClass`. */
  readonly cold?: ObjectStore;
  /** What data gets in cold; indexes stay `STANDARD`, to be read at once. Default `GLACIER`. */
  readonly coldStorageClass?: StorageClass;
  /** The age beyond which an object belongs to cold, in milliseconds; default 30 days. */
  readonly coldAfterMillis?: number;
  /** The age beyond which it is deleted, in milliseconds; at least `coldAfterMillis`, default 90 days. */
  readonly deleteAfterMillis?: number;
  /** Between the beginnings of the runs that `start()` makes, in milliseconds, from 1 s; default 1 h. */
  readonly intervalMillis?: number;
  /** Objects that are moved or deleted at the same time, from 1 to 64; default 4. As many are in memory at most. */
  readonly concurrency?: number;
  readonly clock?: Clock;
  /** For the jitter of `start()` and of retries; default `Math.random`. */
  readonly random?: () => number;
}

export interface LifecycleRunOptions {
  /** Says what would be done, by listing alone, and does nothing. Default false. */
  readonly dryRun?: boolean;
  /** Lists all there is and not only what is old, to say in `kept` how much stays. Default false. */
  readonly countKept?: boolean;
  /** Ends the run between two objects; the next one goes on. */
  readonly signal?: AbortSignal;
  /** Called at most every 250 ms, and at the end. */
  readonly onProgress?: (progress: LifecycleProgress) => void;
}

const OWNER = 'Lifecycle';
/** An object may be large, and nobody waits for it. */
const ATTEMPT_TIMEOUT_MILLIS = 30_000;

const SCHEMA = {
  warm: anObjectStore,
  cold: optional(anObjectStore),
  coldStorageClass: oneOf(STORAGE_CLASSES, { default: 'GLACIER' }),
  coldAfterMillis: millis({ default: DEFAULT_ARCHIVE_AGES.coldAfterMillis }),
  deleteAfterMillis: millis({ default: DEFAULT_ARCHIVE_AGES.deleteAfterMillis }),
  intervalMillis: millis({ min: 1_000, default: 3_600_000 }),
  concurrency: positiveInteger({ default: 4, max: 64 }),
  clock: optional(aClock),
  random: optional(callback<() => number>()),
};
const RUN_SCHEMA = {
  dryRun: boolean({ default: false }),
  countKept: boolean({ default: false }),
  signal: optional(having<AbortSignal>('an AbortSignal', ['addEventListener', 'removeEventListener'])),
  onProgress: optional(callback<(progress: LifecycleProgress) => void>()),
};

export interface ReadLifecycleOptions {
  readonly warm: ObjectStore;
  /** The same as `warm` where there is only one. */
  readonly cold: ObjectStore;
  readonly coldStorageClass: StorageClass;
  readonly ages: ArchiveAges;
  readonly intervalMillis: number;
  readonly concurrency: number;
  readonly clock: Clock;
  readonly random: () => number;
}

/** @throws ConfigurationError naming the option, what was expected and what came. */
export function readLifecycleOptions(options: LifecycleOptions): ReadLifecycleOptions {
  const read = readOptions(OWNER, options, SCHEMA);
  const { warm, cold = warm, coldAfterMillis, deleteAfterMillis, clock = systemClock, random = Math.random } = read;
  if (deleteAfterMillis < coldAfterMillis) {
    const expected = `at least coldAfterMillis (${coldAfterMillis})`;
    throw new ConfigurationError(`${OWNER}.deleteAfterMillis`, expected, deleteAfterMillis);
  }
  const { coldStorageClass, intervalMillis, concurrency } = read;
  const ages = { coldAfterMillis, deleteAfterMillis };
  const retrying = (store: ObjectStore) =>
    withRetries({ store, attemptTimeoutMillis: ATTEMPT_TIMEOUT_MILLIS, clock, random });
  const retryingWarm = retrying(warm);
  const retryingCold = cold === warm ? retryingWarm : retrying(cold);
  return { warm: retryingWarm, cold: retryingCold, coldStorageClass, ages, intervalMillis, concurrency, clock, random };
}

/** @throws ConfigurationError */
export const readRunOptions = (options: LifecycleRunOptions) => readOptions(`${OWNER}.run`, options, RUN_SCHEMA);
