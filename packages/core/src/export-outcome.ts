import type { SpanBatch } from './span-batch.js';

/**
 * What to do about spans that were not taken:
 *
 * - `retryable`: the same endpoint may take them later; includes an attempt that timed out.
 * - `throttled`: it will, after the time it named (or one we choose).
 * - `permanent`: this endpoint never will; another may.
 * - `refused`: nobody was asked: a breaker was open, a limit reached, a slot taken.
 * - `shutdown`: we are stopping.
 */
export type Failure = 'retryable' | 'throttled' | 'permanent' | 'refused' | 'shutdown';

/** Spans whose fate is settled. */
export interface SettledCounts {
  /** Acknowledged by a receiver. */
  readonly delivered: number;
  /** Refused for good by a receiver (partial success, permanent failure of every endpoint). */
  readonly rejected: number;
  /** Handed to a spool, which answers for them from here on. */
  readonly stored: number;
  /** Given up here, by reason. */
  readonly dropped: Readonly<Record<string, number>>;
}

/** Spans that are still waiting for a fate, and why. */
export interface Unsettled {
  readonly remaining: SpanBatch;
  readonly failure: Failure;
  readonly error: Error;
  /** What the server asked us to wait, in milliseconds: bounded and positive. */
  readonly retryAfterMillis?: number;
}

interface Whole {
  readonly remaining?: undefined;
  readonly failure?: undefined;
  /** Why some were rejected or dropped, where that is known. */
  readonly error?: Error | undefined;
  readonly retryAfterMillis?: undefined;
}

/** The fate of a batch. All counts and `remaining.spanCount` add up to the batch's `spanCount`. */
export type ExportOutcome = SettledCounts & (Whole | Unsettled);

const NOTHING_DROPPED: Readonly<Record<string, number>> = Object.freeze({});

export const deliveredOutcome = (spans: number, rejected = 0): ExportOutcome => ({
  delivered: spans - rejected,
  rejected,
  stored: 0,
  dropped: NOTHING_DROPPED,
});

export const rejectedOutcome = (spans: number, error?: Error): ExportOutcome => ({
  ...deliveredOutcome(spans, spans),
  ...(error && { error }),
});

export const storedOutcome = (spans: number): ExportOutcome => ({
  delivered: 0,
  rejected: 0,
  stored: spans,
  dropped: NOTHING_DROPPED,
});

export const droppedOutcome = (spans: number, reason: string, error?: Error): ExportOutcome => ({
  delivered: 0,
  rejected: 0,
  stored: 0,
  dropped: spans > 0 ? { [reason]: spans } : NOTHING_DROPPED,
  ...(error && spans > 0 && { error }),
});

export const failedOutcome = (
  remaining: SpanBatch,
  failure: Failure,
  error: Error,
  retryAfterMillis?: number,
): ExportOutcome => ({
  delivered: 0,
  rejected: 0,
  stored: 0,
  dropped: NOTHING_DROPPED,
  remaining,
  failure,
  error,
  ...(retryAfterMillis !== undefined && { retryAfterMillis }),
});

/** What became of a batch of which `first` settled a part and `then` is the fate of `first.remaining`. */
export function followedBy(first: ExportOutcome, then: ExportOutcome): ExportOutcome {
  const { delivered, rejected, stored, dropped, ...fate } = then;
  return {
    delivered: first.delivered + delivered,
    rejected: first.rejected + rejected,
    stored: first.stored + stored,
    dropped: addDrops(first.dropped, dropped),
    ...fate,
  };
}

/** The same outcome with `remaining` given up for `reason`. */
export function giveUp(outcome: ExportOutcome, reason: string): ExportOutcome {
  if (!outcome.remaining) return outcome;
  return followedBy(outcome, droppedOutcome(outcome.remaining.spanCount, reason, outcome.error));
}

export function totalDropped(dropped: Readonly<Record<string, number>>): number {
  let total = 0;
  for (const reason in dropped) total += dropped[reason]!;
  return total;
}

/**
 * How many spans an outcome speaks of; equals the batch's `spanCount` when the exporter kept the contract. `NaN` when
 * a count is negative or not whole: the ledger could not add it up.
 */
export function accountedFor(outcome: ExportOutcome): number {
  const { delivered, rejected, stored, dropped, remaining } = outcome;
  let spans = 0;
  for (const count of [delivered, rejected, stored, remaining?.spanCount ?? 0]) spans += whole(count);
  for (const reason in dropped) spans += whole(dropped[reason]!);
  return spans;
}

const whole = (count: number): number => (Number.isSafeInteger(count) && count >= 0 ? count : Number.NaN);

function addDrops(a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>>): Record<string, number> {
  const sum: Record<string, number> = { ...a };
  for (const reason in b) sum[reason] = (sum[reason] ?? 0) + b[reason]!;
  return sum;
}
