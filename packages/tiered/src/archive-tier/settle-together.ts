import { type ExportOutcome, failedOutcome, type SpanBatch } from '@otel-resilience/core';
import type { SpoolLease } from '../spool/spool.js';

/**
 * Settles batches that were sent as one. Which span was rejected, or remains, is not known of all outcomes, and matters
 * to no ledger: each lease gets as many as it has spans, and what remains is what waits on.
 */
export function settleTogether(leases: readonly SpoolLease[], outcome: ExportOutcome): void {
  const spanCount = leases.reduce((sum, { batch }) => sum + batch.spanCount, 0);
  if (outcome.remaining && outcome.remaining.spanCount === spanCount) {
    const { failure, error } = outcome;
    for (const lease of leases) lease.settle(failedOutcome(lease.batch, failure, error));
    return;
  }
  const left = new Map(Object.entries(outcome.dropped));
  let rejectedLeft = outcome.rejected;
  let rest: SpanBatch | undefined = outcome.remaining;
  for (const lease of leases) {
    let spans = lease.batch.spanCount;
    const take = (count: number) => {
      const taken = Math.min(spans, count);
      spans -= taken;
      return taken;
    };
    const back = rest && rest.spanCount > 0 ? rest.slice(0, take(rest.spanCount)) : undefined;
    if (back) rest = rest!.slice(back.spanCount);
    const rejected = take(rejectedLeft);
    rejectedLeft -= rejected;
    const dropped: Record<string, number> = {};
    for (const [reason, count] of left) {
      const taken = take(count);
      left.set(reason, count - taken);
      if (taken > 0) dropped[reason] = taken;
    }
    const counts = { delivered: spans, rejected, stored: 0, dropped };
    if (back && outcome.remaining) {
      const { failure, error } = outcome;
      lease.settle({ ...counts, remaining: back, failure, error });
    } else lease.settle(counts);
  }
}
