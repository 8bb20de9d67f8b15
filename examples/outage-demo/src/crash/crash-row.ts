import type { CrashResult } from './run-crash.js';

/** The third act's part of the JSON line. */
export function crashRow(result: CrashResult) {
  const { ended, received, missing, unexpected, duplicates, onDisk, onDiskMissing, unansweredRequests } = result;
  const { lostToCrash, balanced, totals } = result;
  return {
    ended,
    received,
    missing,
    missingAtMost: lostToCrash?.atMost,
    unexpected,
    duplicates,
    onDisk,
    onDiskMissing,
    recovered: totals.recovered,
    unansweredRequests,
    balanced,
    dropped: totals.dropped,
  };
}
