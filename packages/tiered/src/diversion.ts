import type { ExportOutcome, SpanBatch } from '@otel-resilience/core';

/** Takes spans of a batch that are not to be sent from here any more: which are left, and what became of the others. */
export type Diversion = (batch: SpanBatch) => Promise<Diverted | undefined>;

export interface Diverted {
  readonly rest: SpanBatch | undefined;
  /** Without a `remaining`. */
  readonly outcome: ExportOutcome;
}
