import Table from 'cli-table3';
import { type Level, rankOf } from '../level.js';
import type { KeptOrders } from '../pressure/kept-orders.js';
import type { Counted, PhaseResult } from '../pressure/phase-results.js';
import type { PressureResult } from '../pressure/run-pressure.js';
import { deviation } from '../pressure/verdict.js';
import { count, decimal, percent, seconds, shortPercent } from './format.js';
import { reasonText } from './pressure-view.js';

const HEAD = ['phase', 'level', 'because', 'lowest\nratio', 'requests', 'estimated', 'errors\nkept', 'slow\nkept'];
const LEGEND = `Estimated: from the spans that arrived, each request counting 1 / its sampling probability; ± the standard error
of that, which is what chance may do.
Errors and slow ones: requests of which every recorded span arrived; at emergency that is the request's own.`;

export function pressureTable(result: PressureResult): string {
  const table = new Table({
    head: HEAD,
    colAligns: ['left', 'left', 'left', 'right', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  });
  for (const phase of result.phases) {
    const { title } = phase.phase;
    table.push([title, path(phase.levels), reasons(phase), shortPercent(phase.lowestRatio), ...counted(phase)]);
  }
  table.push(['all', '', '', '', ...counted(result)]);
  return `${table.toString()}\n${LEGEND}\n${summary(result)}`;
}

const counted = ({ requests, estimate, trueStandardError, errors, slow }: Counted): string[] => [
  count(requests),
  `${count(Math.round(estimate.requests))} ± ${count(Math.round(trueStandardError))}`,
  kept(errors),
  kept(slow),
];

const kept = ({ expected, received }: KeptOrders): string =>
  expected === 0 ? '–' : `${count(received)} of ${count(expected)}`;

/** Where it began, its peak, and where it ended. */
function path(levels: readonly Level[]): string {
  const peak = levels.reduce((higher, level) => (rankOf(level) > rankOf(higher) ? level : higher));
  const corners = [levels[0]!, peak, levels.at(-1)!];
  return corners.filter((level, index) => level !== corners[index - 1]).join(' →\n');
}

/** Of every rise. */
function reasons({ transitions }: PhaseResult): string {
  const lines = transitions.flatMap(({ to, trigger, value, threshold }) =>
    trigger === undefined ? [] : [`${to}: ${reasonText({ trigger, value: value!, threshold: threshold! })}`],
  );
  return lines.join('\n');
}

function summary(result: PressureResult): string {
  const { requests, estimate, spans, ledger, transitions, startedAt } = result;
  const { ended, unsampled } = ledger.totals;
  const off = Math.abs(estimate.requests - requests) / requests;
  const keptSpans = ended - unsampled;
  const moves = transitions.map(({ time, to, trigger }) => {
    return `${seconds(time - startedAt)} ${trigger === undefined ? '' : `${trigger}: `}${to}`;
  });
  return [
    `${count(requests)} requests, ${count(Math.round(estimate.requests))} estimated from ${count(estimate.sample)} of them: ${percent(off)} off, ${decimal(Math.abs(deviation(result)))} standard errors`,
    `${count(spans.ended)} spans started, ${count(keptSpans)} kept, ${count(spans.received)} received, ${count(keptSpans - spans.received)} lost; the ledger ${ledger.balanced ? 'balanced' : 'DID NOT BALANCE'} at each of ${count(ledger.samples)} samples`,
    `level: ${moves.join(', ')}`,
  ].join('\n');
}
