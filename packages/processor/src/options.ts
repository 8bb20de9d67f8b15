import {
  ALWAYS_NORMAL,
  aClock,
  anyExporter,
  boolean,
  type Clock,
  ConfigurationError,
  DEFAULT_EXPORT_TIMEOUT_MILLIS,
  DEFAULT_FLUSH_TIMEOUT_MILLIS,
  DEFAULT_SHUTDOWN_TIMEOUT_MILLIS,
  type LevelSource,
  levelSource,
  millis,
  oneOf,
  optional,
  type PipelineSignals,
  pipelineSignals,
  positiveInteger,
  readOptions,
  type SpanBatchExporter,
  type SpanExporter,
} from '@otel-resilience/core';
import { DROP_POLICIES, type DropPolicy } from './drop-policies.js';

/** Options of {@link AdaptiveBatchSpanProcessor}. A wrong one throws a `ConfigurationError` from the constructor. */
export interface AdaptiveBatchSpanProcessorOptions {
  /** Where batches go: any `SpanExporter`, or one of ours. */
  readonly exporter: SpanExporter | SpanBatchExporter;
  /** Where the other defaults come from: `default`, or `production` (see README). Default `default`. */
  readonly profile?: 'default' | 'production';
  /** Spans that may wait. Default 10,000 (`production` 50,000); the stock processor has 2,048. */
  readonly maxQueueSize?: number;
  /**
   * Their encoded bytes: exactly those with an exporter that prefers bytes, estimated within 20 % with one that prefers
   * spans. Default 32 MiB (33,554,432).
   */
  readonly maxQueueBytes?: number;
  /**
   * Spans in a batch. When given, the size starts here and never rises above. Default: it starts at 1,000
   * (`production` 2,000) and adapts up to 10,000, never over a quarter of the queue, nor over 4 MiB encoded.
   */
  readonly maxExportBatchSize?: number;
  /** The size that adaptation never goes below. Default 100, or `maxExportBatchSize` if that is less. */
  readonly minExportBatchSize?: number;
  /** The longest wait for a batch to fill, in milliseconds. Default 5,000, as `OTEL_BSP_SCHEDULE_DELAY`. */
  readonly scheduledDelayMillis?: number;
  /** The shortest, when adaptive. Default 1,000, or `scheduledDelayMillis` if that is less. */
  readonly minScheduledDelayMillis?: number;
  /**
   * How long an export may take, in milliseconds, at least 1; the wait for resource attributes that are still being
   * detected, 5 s at most, comes before. Default 30,000, as `OTEL_BSP_EXPORT_TIMEOUT`.
   */
  readonly exportTimeoutMillis?: number;
  /** Exports open at a time, where the exporter bears it. Default 5 (`production` 10). */
  readonly maxConcurrentExports?: number;
  /** Which span goes when the queue is full. Default `oldest`. */
  readonly dropPolicy?: DropPolicy;
  /** Whether batch size, wait and concurrency adapt. Default true. */
  readonly adaptive?: boolean;
  /** The p95 of export durations above which batches shrink, in milliseconds. Default 1,000. */
  readonly targetLatencyMillis?: number;
  /** How often batch size adapts, in milliseconds. Default 30,000. */
  readonly adaptationIntervalMillis?: number;
  /** After this `forceFlush()` rejects, in milliseconds. Default 30,000. */
  readonly flushTimeoutMillis?: number;
  /** After this `shutdown()` resolves, whatever happens, in milliseconds. Default 10,000. */
  readonly shutdownTimeoutMillis?: number;
  /**
   * Whose level makes batches larger and lets them wait longer: by 1.5, 2, 3 and 4 from `light` to `emergency`, as far
   * as its strategies `increaseBatchSize` and `increaseBatchWait` say so. The size never exceeds the largest batch
   * (`maxExportBatchSize`, if that is given), the wait never 30 s, or `scheduledDelayMillis` if that is more. It is
   * started with the first span that is queued. Default: none, always `normal`.
   */
  readonly controller?: LevelSource;
  /** Where queue, latency, errors and timeouts are published, and told when they move. Default: nowhere. */
  readonly signals?: PipelineSignals;
  /** Whether to publish `otel.sdk.*` metrics through the global meter provider, if there is one. Default true. */
  readonly metrics?: boolean;
  readonly clock?: Clock;
}

const PROFILES = {
  default: { maxQueueSize: 10_000, batchSize: 1_000, maxConcurrentExports: 5 },
  production: { maxQueueSize: 50_000, batchSize: 2_000, maxConcurrentExports: 10 },
} as const;

const DEFAULT_MAX_BATCH_SIZE = 10_000;
const DEFAULT_MIN_BATCH_SIZE = 100;
const MIB = 1024 * 1024;

/** OTLP/gRPC receivers refuse requests over 4 MiB by default. */
export const MAX_BATCH_BYTES: number = 4 * MIB;
/** Estimates may be 20 % under the truth. */
export const MAX_ESTIMATED_BATCH_BYTES: number = Math.floor(MAX_BATCH_BYTES / 1.2);

export interface ProcessorSettings {
  readonly exporter: SpanExporter | SpanBatchExporter;
  readonly bounds: { readonly maxSpans: number; readonly maxBytes: number };
  readonly batchSize: { readonly initial: number; readonly min: number; readonly max: number };
  readonly wait: { readonly min: number; readonly max: number };
  readonly maxConcurrentExports: number;
  readonly dropPolicy: DropPolicy;
  readonly adaptive: boolean;
  readonly targetLatencyMillis: number;
  readonly adaptationIntervalMillis: number;
  readonly exportTimeoutMillis: number;
  readonly flushTimeoutMillis: number;
  readonly shutdownTimeoutMillis: number;
  readonly controller: LevelSource;
  readonly signals: PipelineSignals | undefined;
  readonly metrics: boolean;
  readonly clock: Clock | undefined;
}

const OWNER = 'AdaptiveBatchSpanProcessor';

export function readProcessorOptions(options: AdaptiveBatchSpanProcessorOptions): ProcessorSettings {
  // The profile first, since it decides the defaults that the rest is read with.
  const profile =
    PROFILES[oneOf(['default', 'production'], { default: 'default' })(options?.profile, `${OWNER}.profile`)];
  const read = readOptions(OWNER, options, {
    exporter: anyExporter(),
    profile: optional(oneOf(['default', 'production'], { default: 'default' })),
    maxQueueSize: positiveInteger({ default: profile.maxQueueSize }),
    maxQueueBytes: positiveInteger({ default: 32 * MIB }),
    maxExportBatchSize: optional(positiveInteger({ default: profile.batchSize })),
    minExportBatchSize: optional(positiveInteger({ default: DEFAULT_MIN_BATCH_SIZE })),
    scheduledDelayMillis: millis({ default: 5_000 }),
    minScheduledDelayMillis: optional(millis({ default: 1_000 })),
    exportTimeoutMillis: millis({ default: DEFAULT_EXPORT_TIMEOUT_MILLIS, min: 1 }),
    maxConcurrentExports: positiveInteger({ default: profile.maxConcurrentExports }),
    dropPolicy: oneOf(DROP_POLICIES, { default: 'oldest' }),
    adaptive: boolean({ default: true }),
    targetLatencyMillis: millis({ default: 1_000, min: 1 }),
    adaptationIntervalMillis: millis({ default: 30_000, min: 1 }),
    flushTimeoutMillis: millis({ default: DEFAULT_FLUSH_TIMEOUT_MILLIS, min: 1 }),
    shutdownTimeoutMillis: millis({ default: DEFAULT_SHUTDOWN_TIMEOUT_MILLIS, min: 1 }),
    controller: optional(levelSource),
    signals: optional(pipelineSignals),
    metrics: boolean({ default: true }),
    clock: optional(aClock),
  });
  return {
    ...read,
    bounds: { maxSpans: read.maxQueueSize, maxBytes: read.maxQueueBytes },
    batchSize: batchSizeOf(read, profile.batchSize),
    wait: waitOf(read),
    controller: read.controller ?? ALWAYS_NORMAL,
  };
}

interface SizeOptions {
  readonly maxQueueSize: number;
  readonly maxExportBatchSize: number | undefined;
  readonly minExportBatchSize: number | undefined;
}

function batchSizeOf(read: SizeOptions, profileSize: number) {
  const { maxQueueSize, maxExportBatchSize, minExportBatchSize } = read;
  if (maxExportBatchSize !== undefined && maxExportBatchSize > maxQueueSize) {
    throw new ConfigurationError(
      `${OWNER}.maxExportBatchSize`,
      `at most maxQueueSize (${maxQueueSize})`,
      maxExportBatchSize,
    );
  }
  // A batch that takes more than a quarter of the queue leaves too little room while it is being filled and sent.
  const quarter = Math.max(1, Math.floor(maxQueueSize / 4));
  const max = maxExportBatchSize ?? Math.min(DEFAULT_MAX_BATCH_SIZE, quarter);
  const initial = Math.min(maxExportBatchSize ?? profileSize, max);
  if (minExportBatchSize !== undefined && minExportBatchSize > max) {
    throw new ConfigurationError(
      `${OWNER}.minExportBatchSize`,
      `at most ${max}, the largest batch`,
      minExportBatchSize,
    );
  }
  return { initial, max, min: Math.min(minExportBatchSize ?? DEFAULT_MIN_BATCH_SIZE, initial) };
}

function waitOf(read: { readonly scheduledDelayMillis: number; readonly minScheduledDelayMillis: number | undefined }) {
  const { scheduledDelayMillis: max, minScheduledDelayMillis: min } = read;
  if (min !== undefined && min > max) {
    throw new ConfigurationError(`${OWNER}.minScheduledDelayMillis`, `at most scheduledDelayMillis (${max})`, min);
  }
  return { min: Math.min(min ?? 1_000, max), max };
}
