import type { ExportOutcome } from './export-outcome.js';
import type { SpanBatch } from './span-batch.js';

/** What every layer hands to the next one together with a batch. */
export interface ExportContext {
  /** Aborted when nobody waits for the outcome any more; its reason is an `ExportError`. */
  readonly signal: AbortSignal;
  /** By the clock's `now()`. No layer may wait past it. */
  readonly deadline: number;
  /**
   * Nobody else can take this batch at the moment, and the caller repeats on a schedule of its own. So an open
   * breaker admits a probe if one is due (every 500 ms), and a retry layer makes a single attempt.
   */
  readonly lastResort?: boolean;
  /** The caller has no room left: an exporter that `takesOverflow` stores the batch now and asks nobody. */
  readonly overflow?: boolean;
  /**
   * Told of spans that were acknowledged after their attempt had been given up: they are counted otherwise, and may be
   * sent twice. A layer that cares puts its own in the place of its caller's and passes the news on.
   */
  readonly onLateAcknowledgement?: (spans: number) => void;
}

/** When to give up, by the clock's `now()`. */
export interface DeadlineOptions {
  readonly deadline?: number;
}

/**
 * The one idea of this project: everything between the processor and the wire is a `SpanBatchExporter`, and a layer
 * is one that holds others.
 *
 *     hot = Retry ─ Failover ─┬─ CircuitBreaker ─ leaf A
 *                             └─ CircuitBreaker ─ leaf B
 *
 * A layer passes on what it did not settle as `remaining`, and nothing else.
 */
export interface SpanBatchExporter {
  /** The form this exporter wants batches in; a wrapper prefers spans if any of its children does. */
  readonly prefers: 'spans' | 'bytes';
  /** How many `exportBatch` calls may be open at a time; a wrapper takes the minimum of its children. */
  readonly maxConcurrentExports: number;
  /**
   * Whether it has a place of its own for batches: with `context.overflow` it stores them at once, however many
   * exports are open. Absent: it has none.
   */
  readonly takesOverflow?: boolean;
  /** Never rejects. */
  exportBatch(batch: SpanBatch, context: ExportContext): Promise<ExportOutcome>;
  /** Resolves when what was accepted is acknowledged or durably stored, rejects at the deadline (default 30 s). */
  forceFlush(options?: DeadlineOptions): Promise<void>;
  /** Resolves by the deadline (default 10 s), whatever happens. Repeated calls return the same promise. */
  shutdown(options?: DeadlineOptions): Promise<void>;
}

export const DEFAULT_EXPORT_TIMEOUT_MILLIS = 30_000;
export const DEFAULT_FLUSH_TIMEOUT_MILLIS = 30_000;
export const DEFAULT_SHUTDOWN_TIMEOUT_MILLIS = 10_000;

/** The brand by which ours are told from third-party exporters, across module formats and package copies. */
export const SPAN_BATCH_EXPORTER: symbol = Symbol.for('otel-resilience.SpanBatchExporter');

export function isSpanBatchExporter(value: unknown): value is SpanBatchExporter {
  return (
    typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[SPAN_BATCH_EXPORTER] === true
  );
}
