import type { SpanBatch } from '@otel-resilience/core';
import type { ArchiveAges, LifecycleOptions, LifecycleReport, ObjectStore } from '@otel-resilience/tiered';

/** Cold is `undefined` where it is a storage class of warm. */
export interface Tiers {
  readonly warm: ObjectStore;
  readonly cold: ObjectStore | undefined;
}

/** What a process is killed at: this share of what such a process changed the last time, or a little later than that. */
export type Kill = number;

/** Where the archive of a day lies, and the processes that write it and look after it. */
export interface DayStores {
  /** For whoever looks, and is not killed. */
  readonly tiers: Tiers;
  /** Whether data in cold can be read at once. */
  readonly isColdReadable: boolean;
  /** `false` when the process was killed meanwhile. */
  archive(batch: SpanBatch, kill?: Kill): Promise<boolean>;
  /** `undefined` when the process was killed meanwhile. */
  runLifecycle(kill?: Kill): Promise<LifecycleReport | undefined>;
  close(): Promise<void>;
}

/** A day is long enough for all of it. */
export const DAY_AGES: ArchiveAges = { coldAfterMillis: 6 * 3_600_000, deleteAfterMillis: 18 * 3_600_000 };
export const COLD_CLASS = 'GLACIER';

export type MakeLifecycle = (options: LifecycleOptions) => { run(): Promise<LifecycleReport> };
