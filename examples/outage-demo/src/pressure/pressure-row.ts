import type { PhaseResult } from './phase-results.js';
import type { PressureResult } from './run-pressure.js';
import { deviation } from './verdict.js';

/** The second act's part of the JSON line. */
export function pressureRow(result: PressureResult) {
  const { requests, estimate, trueStandardError, errors, slow, spans, recordedSpans, ledger, failedRequests } = result;
  const { totals } = ledger;
  const keptSpans = totals.ended - totals.unsampled;
  return {
    phases: Object.fromEntries(result.phases.map((phase) => [phase.phase.name, phaseRow(phase)])),
    transitions: result.transitions.map(({ time, ...transition }) => ({
      atMillis: time - result.startedAt,
      ...transition,
    })),
    requests,
    estimatedRequests: round(estimate.requests),
    standardError: round(estimate.standardError),
    trueStandardError: round(trueStandardError),
    deviation: round(deviation(result)),
    sampledRequests: estimate.sample,
    lowestRatio: precise(Math.min(...result.phases.map(({ lowestRatio }) => lowestRatio))),
    errors,
    slow,
    started: spans.ended,
    recorded: recordedSpans,
    unsampled: totals.unsampled,
    kept: keptSpans,
    received: spans.received,
    missing: keptSpans - spans.received,
    unexpected: spans.unexpected,
    duplicates: spans.duplicates,
    rejected: totals.rejected,
    dropped: totals.dropped,
    failedRequests,
    shutdownMillis: round(result.shutdownMillis),
    balanced: ledger.balanced,
    samples: ledger.samples,
    longestSampleGapMillis: round(ledger.longestGapMillis),
  };
}

function phaseRow(phase: PhaseResult) {
  const { startedAt, endedAt, levels, highest, lowestRatio, asked, riseMillis, requests, estimate } = phase;
  return {
    durationMillis: endedAt - startedAt,
    levels,
    highest,
    lowestRatio: precise(lowestRatio),
    asked,
    ...(riseMillis !== undefined && { riseMillis }),
    requests,
    estimatedRequests: round(estimate.requests),
    standardError: round(estimate.standardError),
    trueStandardError: round(phase.trueStandardError),
    errors: phase.errors,
    slow: phase.slow,
  };
}

const precise = (value: number): number => Number(value.toPrecision(3));
const round = (value: number): number => Math.round(value * 10) / 10;
