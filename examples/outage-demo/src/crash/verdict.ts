import type { CrashResult } from './run-crash.js';

/** Why the act has not shown what it promises; empty when it has. */
export function crashVerdict(result: CrashResult): string[] {
  const { ended, missing, unexpected, onDisk, onDiskMissing, lostToCrash, balanced, totals } = result;
  const reasons: string[] = [];
  if (ended === 0) reasons.push('no span ended');
  if (onDisk === 0) reasons.push('nothing was in the spool when the application was killed');
  if (onDiskMissing > 0) reasons.push(`${onDiskMissing} of ${onDisk} spans that were in the spool are missing`);
  if (!lostToCrash) reasons.push('the application does not know that the one before was killed');
  else if (missing > lostToCrash.atMost) {
    reasons.push(`${missing} spans are missing, and the application says at most ${lostToCrash.atMost}`);
  }
  // The answer to a request may have been lost, though its spans had ended.
  if (unexpected > result.unansweredRequests * SPANS_PER_REQUEST) {
    reasons.push(`${unexpected} spans were received of which the application never told`);
  }
  if (!balanced) reasons.push('the ledger did not add up');
  if (totals.waiting > 0) reasons.push(`${totals.waiting} spans were still waiting after the shutdown`);
  for (const [reason, spans] of Object.entries(totals.dropped)) {
    if (spans > 0) reasons.push(`${spans} spans were dropped (${reason})`);
  }
  return reasons.map((reason) => `crash: ${reason}`);
}

const SPANS_PER_REQUEST = 5; // so the shop is built
