import { deliveredOutcome, type ExportOutcome, failedOutcome, followedBy } from './export-outcome.js';
import { SpanBatch } from './span-batch.js';

/** What became of a batch whose parts went different ways. What remains is there for the reason of the first of them. */
export function combinedOutcome(parts: readonly ExportOutcome[]): ExportOutcome {
  const [only] = parts;
  if (only && parts.length === 1) return only;
  let settled = deliveredOutcome(0);
  for (const { delivered, rejected, stored, dropped, error } of parts) {
    const whole = { delivered, rejected, stored, dropped };
    settled = { ...followedBy(settled, whole), ...((settled.error ?? error) && { error: settled.error ?? error }) };
  }
  const unsettled = parts.filter((part) => part.remaining !== undefined);
  const [first] = unsettled;
  if (!first) return settled;
  const remaining = SpanBatch.join(unsettled.map((part) => part.remaining));
  return followedBy(settled, failedOutcome(remaining, first.failure, first.error, first.retryAfterMillis));
}
