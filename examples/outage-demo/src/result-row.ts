import type { PipelineResult } from './run-pipeline.js';
import type { PipelineName } from './scenario.js';

export type Results = Partial<Record<PipelineName, PipelineResult>>;

/** One pipeline's part of the JSON line. */
export function resultRow(result: PipelineResult) {
  const { ended, received, missing, unexpected, duplicates, failedRequests, ledger } = result;
  return {
    ended,
    received,
    missing,
    unexpected,
    duplicates,
    cpuMicrosPerSpan: round(result.cpuMicrosPerSpan),
    maxLoopDelayMillis: round(result.maxLoopDelayMillis),
    shutdownMillis: round(result.shutdownMillis),
    failedRequests,
    ...(ledger && {
      rejected: ledger.totals.rejected,
      dropped: ledger.totals.dropped,
      balanced: ledger.balanced,
      samples: ledger.samples,
      longestSampleGapMillis: round(ledger.longestGapMillis),
    }),
  };
}

const round = (value: number): number => Math.round(value * 10) / 10;
