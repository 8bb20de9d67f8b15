import type { DegradationLevel, LedgerSnapshot } from '@otel-resilience/core';

/** What an `AdaptiveBatchSpanProcessor` is doing, and what became of every span. */
export interface ProcessorStats {
  readonly ledger: LedgerSnapshot;
  readonly queue: {
    readonly spans: number;
    /** Encoded: exact, or estimated within 20 %, by what the exporter prefers. */
    readonly bytes: number;
    readonly maxSpans: number;
    readonly maxBytes: number;
  };
  /** Spans in a full batch, in force now. */
  readonly batchSize: number;
  /** How long a batch waits to be full, in force now. */
  readonly batchWaitMillis: number;
  /** Why these are not what adaptation alone would make of them: what the level multiplies them by, within bounds. */
  readonly degradation: {
    readonly level: DegradationLevel;
    readonly batchSizeFactor: number;
    readonly batchWaitFactor: number;
  };
  readonly exports: { readonly open: number; readonly limit: number; readonly max: number };
  /** Exports that ended within the last 60 s; see `ExportWindow` for what counts. */
  readonly recentExports: {
    readonly count: number;
    /** Undefined while `count` is 0, like the others. */
    readonly errorRate: number | undefined;
    readonly timeoutRate: number | undefined;
    readonly latencyP95Millis: number | undefined;
  };
}
