import { rankOf } from '../level.js';
import type { KeptOrders } from './kept-orders.js';
import type { PhaseResult } from './phase-results.js';
import type { PressureResult } from './run-pressure.js';
import { RECOVERY_INTERVAL_MILLIS } from './scenario.js';
import type { Transition } from './transition.js';

/** How many of its true standard errors an estimate may be off: by chance alone one run in 100,000 is. */
const MAX_DEVIATION = 4.5;
/** Wall time, in which transitions are dated, is read to the millisecond. */
const MARGIN_MILLIS = 50;

/** Why the second act has not shown what it promises; empty when it has. */
export function pressureVerdict(result: PressureResult): string[] {
  const reasons = [
    ...doubts(result),
    ...result.phases.flatMap((phase) => [...levelOf(phase)]),
    ...recoveries(result.transitions),
    ...kept('with an error', result.errors),
    ...kept('that were slow', result.slow),
    ...estimated(result),
    ...losses(result),
  ];
  return reasons.map((reason) => `pressure: ${reason}`);
}

/** How many of its true standard errors the estimate is off. */
export function deviation({ estimate, requests, trueStandardError }: PressureResult): number {
  const off = estimate.requests - requests;
  return trueStandardError === 0 ? (Math.abs(off) < 1e-6 ? 0 : Number.POSITIVE_INFINITY) : off / trueStandardError;
}

/** What would make the counts themselves worthless. */
function* doubts({ requests, spans, failedRequests }: PressureResult): Generator<string> {
  if (requests === 0) yield 'there were no requests';
  if (failedRequests > 0) yield `${failedRequests} requests had no answer`;
  if (spans.unexpected > 0) yield `${spans.unexpected} spans were received of which the application never told`;
}

function* levelOf({ phase, reached, highest, asked }: PhaseResult): Generator<string> {
  const { name, title, until } = phase;
  if (until === 'normal') {
    const busy = 'cpu' in asked ? '; does something else keep this host busy?' : '';
    if (!reached) yield `the level did not come back to normal (${title}: ${askedFor(asked)}${busy})`;
    return;
  }
  const [trigger, what] = name === 'cpu' ? ['cpu', 'burning cores'] : ['eventLoop', 'a blocked event loop'];
  if (highest === 'normal') yield `the level did not rise under ${what}`;
  else if (!Object.keys(asked).some((name) => name.startsWith(trigger))) {
    yield `under ${what} the trigger ${trigger} never asked for anything (${askedFor(asked)})`;
  }
}

const askedFor = (asked: PhaseResult['asked']): string =>
  Object.entries(asked)
    .map(([trigger, level]) => `${trigger} asked for ${level}`)
    .join(', ') || 'no trigger asked for anything';

/** Down one level at a time, and not before a recovery interval is over. */
function* recoveries(transitions: readonly Transition[]): Generator<string> {
  for (const [index, { from, to, time, cause }] of transitions.entries()) {
    if (cause !== 'recovery') continue;
    if (rankOf(from) - rankOf(to) !== 1) yield `the level fell from ${from} to ${to} in one step`;
    const sinceMillis = time - (transitions[index - 1]?.time ?? Number.NEGATIVE_INFINITY);
    if (sinceMillis < RECOVERY_INTERVAL_MILLIS - MARGIN_MILLIS) {
      yield `the level fell from ${from} to ${to} ${sinceMillis} ms after it had moved last`;
    }
  }
}

function* kept(which: string, { expected, received }: KeptOrders): Generator<string> {
  if (expected === 0) yield `there were no requests ${which}`;
  if (received < expected) yield `of ${expected} requests ${which} only ${received} arrived whole`;
}

function* estimated(result: PressureResult): Generator<string> {
  const { requests, estimate, trueStandardError } = result;
  if (estimate.unknown > 0) yield `${estimate.unknown} requests arrived without a sampling threshold`;
  if (Math.abs(deviation(result)) > MAX_DEVIATION) {
    yield `${Math.round(estimate.requests)} requests were estimated, there were ${requests}: more than ${MAX_DEVIATION} standard errors (of ${trueStandardError.toFixed(1)}) away`;
  }
}

function* losses({ spans, recordedSpans, ledger }: PressureResult): Generator<string> {
  const { totals, balanced, offending } = ledger;
  if (!balanced) yield `the ledger did not add up: ${JSON.stringify(offending)}`;
  if (totals.ended !== recordedSpans) yield `the ledger counted ${totals.ended} ended spans, the shop ${recordedSpans}`;
  for (const [reason, dropped] of Object.entries(totals.dropped)) {
    if (dropped > 0) yield `${dropped} spans were dropped (${reason})`;
  }
  if (totals.rejected > 0) yield `${totals.rejected} spans were rejected`;
  if (totals.waiting > 0) yield `${totals.waiting} spans were still waiting after the shutdown`;
  const keptSpans = totals.ended - totals.unsampled;
  if (spans.received !== keptSpans) yield `${keptSpans} spans were kept, ${spans.received} arrived`;
}
