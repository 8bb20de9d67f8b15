import type { LedgerSnapshot } from '@otel-resilience/core';

/** What an `AdaptiveBatchSpanProcessor` is doing, and what became of every span. */
export interface ProcessorStats {
  readonly ledger: LedgerSnapshot;
  readonly queue: {
    readonly spans: number;
    readonly bytes: number;
    readonly maxSpans: number;
    readonly maxBytes: number;
  };
  /** In force now. */
  readonly batchSize: number;
  readonly batchWaitMillis: number;
  readonly exports: { readonly open: number; readonly limit: number; readonly max: number };
  /** Of the last interval that saw an export. */
  readonly latencyP95Millis: number | undefined;
}
