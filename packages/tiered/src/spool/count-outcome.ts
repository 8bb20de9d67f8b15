import type { ExportOutcome, SpoolLedger } from '@otel-resilience/core';

/** Counts what has left a spool: all but a `remaining` that is to be tried again. */
export function countOutcome(ledger: SpoolLedger, outcome: ExportOutcome): void {
  const { delivered, stored, rejected, dropped, remaining } = outcome;
  ledger.deliver(delivered + stored);
  ledger.reject(rejected);
  for (const reason in dropped) {
    const spans = dropped[reason]!;
    if (reason === 'poison' || reason === 'shutdown') ledger.drop(spans, reason);
    else ledger.reject(spans);
  }
  if (remaining && outcome.failure === 'permanent') ledger.reject(remaining.spanCount);
}
