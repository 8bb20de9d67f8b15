import type { Results } from './result-row.js';
import type { PipelineResult } from './run-pipeline.js';

/** Why the demo has not shown what it promises; empty when it has. Pipelines that did not run are not judged. */
export function verdict(results: Results): string[] {
  const reasons: string[] = [];
  for (const [name, result] of Object.entries(results)) reasons.push(...doubts(name, result));
  const { resilient } = results;
  if (!resilient) return reasons;
  reasons.push(...losses(resilient));
  for (const name of ['stock', 'stockFailover'] as const) {
    const stock = results[name];
    if (stock && stock.received >= resilient.received) {
      reasons.push(`${name} received ${stock.received} spans, no fewer than resilient with ${resilient.received}`);
    }
  }
  return reasons;
}

/** What would make the counts themselves worthless. */
function doubts(name: string, { ended, unexpected, failedRequests }: PipelineResult): string[] {
  const reasons: string[] = [];
  if (ended === 0) reasons.push(`${name}: no span ended`);
  if (failedRequests > 0) reasons.push(`${name}: ${failedRequests} requests had no answer, so their spans are unknown`);
  if (unexpected > 0) reasons.push(`${name}: ${unexpected} spans were received of which the application never told`);
  return reasons;
}

function losses({ ended, missing, ledger }: PipelineResult): string[] {
  const reasons: string[] = [];
  if (missing > 0) reasons.push(`resilient: ${missing} of ${ended} spans are missing`);
  if (!ledger) return [...reasons, 'resilient: no ledger'];
  const { totals, balanced, offending } = ledger;
  if (!balanced) reasons.push(`resilient: the ledger did not add up: ${JSON.stringify(offending)}`);
  for (const [reason, spans] of Object.entries(totals.dropped)) {
    if (spans > 0) reasons.push(`resilient: ${spans} spans were dropped (${reason})`);
  }
  if (totals.rejected > 0) reasons.push(`resilient: ${totals.rejected} spans were rejected`);
  if (totals.waiting > 0) reasons.push(`resilient: ${totals.waiting} spans were still waiting after the shutdown`);
  if (totals.ended !== ended) {
    reasons.push(`resilient: the ledger counted ${totals.ended} ended spans, the load generator ${ended}`);
  }
  return reasons;
}
