import { ExportError } from './export-error.js';
import { type ExportOutcome, failedOutcome, followedBy, rejectedOutcome, type Unsettled } from './export-outcome.js';
import { SpanBatch } from './span-batch.js';

/** What became of one part. */
export interface SentPart {
  readonly outcome: ExportOutcome;
  /**
   * Whether the exporter threw instead of taking the part on, or was not called at all. A part that is too large to be
   * sent is one that `threw`: what helps is the same.
   */
  readonly call: 'begun' | 'threw' | 'none';
}

export interface ExportInPartsOptions {
  /** Called for one part at a time. */
  readonly send: (part: SpanBatch) => Promise<SentPart>;
  /** Told how many spans made the exporter throw, each on its own, and what it threw at the last of them. */
  readonly onBadSpans: (spans: number, error: Error) => void;
}

/** Calls per batch, the first included. One bad span among 1,000 takes 21 at most. */
const MAX_CALLS = 256;
/** Calls while every one has thrown. Enough to try 16 spans one by one, and little for an exporter that always throws. */
const MAX_FUTILE_CALLS = 32;

/** Spans `start` (inclusive) to `end` (exclusive) of the batch. */
interface Part {
  readonly start: number;
  readonly end: number;
}

/**
 * Exports a batch at which an exporter has thrown, but for the spans that it cannot encode (or, for their size, send).
 * They are found by halving: a part that makes it throw is halved, one that does not is under way, and a single span that
 * makes it throw is `rejected`, once some other part has gone through.
 *
 * | what happens | and then |
 * |---|---|
 * | a part fails in the ordinary way | it remains, with all that was not tried, for its reason |
 * | 256 calls have been made | what was not tried remains, `refused`: nobody was asked |
 * | 32 calls have been made, and all threw | all remains, as if nothing had been tried: the exporter is broken |
 * | every span of the batch made it throw, on its own | all remains; `permanent` after TypeErrors and RangeErrors only |
 *
 * Those are what encoders stumble with, whereas an exporter that is not ready says so with an error of its own. And
 * `permanent` still lets another endpoint have the spans: perhaps it can encode them.
 */
export async function exportInParts(
  batch: SpanBatch,
  thrown: ExportOutcome & Unsettled,
  { send, onBadSpans }: ExportInPartsOptions,
): Promise<ExportOutcome> {
  /** The largest first. */
  const untried: Part[] = [];
  const bad: Part[] = [];
  const errors: Error[] = [];
  const threw = ({ start, end }: Part, error: Error) => {
    errors.push(error);
    const middle = (start + end) >>> 1;
    if (end - start < 2) bad.push({ start, end });
    else untried.push({ start, end: middle }, { start: middle, end });
    untried.sort((a, b) => b.end - b.start - (a.end - a.start));
  };
  let begun: ExportOutcome | undefined;
  let failed: { readonly why: Unsettled; readonly start: number } | undefined;

  threw({ start: 0, end: batch.spanCount }, thrown.error);
  for (let calls = 1; untried.length > 0 && !failed; calls++) {
    if (calls >= (begun ? MAX_CALLS : MAX_FUTILE_CALLS)) break;
    // The smallest and the largest in turn: the one finds a good span among scattered bad ones, the other past a cluster.
    const part = calls % 2 === 1 ? untried.pop()! : untried.shift()!;
    const { outcome, call } = await send(batch.slice(part.start, part.end));
    if (call === 'begun') begun = begun ? followedBy(begun, outcome) : outcome;
    if (!outcome.remaining) continue;
    if (call === 'threw') threw(part, outcome.error);
    else failed = { why: outcome, start: part.start };
  }

  const allBad = !begun && !failed && untried.length === 0;
  if (bad.length > 0 && (begun || allBad)) onBadSpans(bad.length, errors.at(-1)!);
  if (!begun) {
    if (failed) return failedOutcome(batch, failed.why.failure, failed.why.error);
    return allBad && errors.every(isOfTheLanguage) ? failedOutcome(batch, 'permanent', thrown.error) : thrown;
  }
  const settled = followedBy(begun, rejectedOutcome(bad.length));
  const left = untried.map(({ start, end }) => ({ start, batch: batch.slice(start, end) }));
  if (failed) left.push({ start: failed.start, batch: failed.why.remaining });
  if (left.length === 0) return settled;
  const remaining = SpanBatch.join(left.sort((a, b) => a.start - b.start).map((part) => part.batch));
  const { failure, error, retryAfterMillis } = failed?.why ?? tooManyCalls(remaining);
  return followedBy(settled, failedOutcome(remaining, failure, error, retryAfterMillis));
}

function tooManyCalls(remaining: SpanBatch): Unsettled {
  const message = `${MAX_CALLS} calls have not sufficed to find all spans that the exporter throws at`;
  return { remaining, failure: 'refused', error: new ExportError('REFUSED', message) };
}

/** By name: it may come from another realm. */
const isOfTheLanguage = ({ name }: Error): boolean => name === 'TypeError' || name === 'RangeError';
