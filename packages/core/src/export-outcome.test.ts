import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  accountedFor,
  deliveredOutcome,
  droppedOutcome,
  type ExportOutcome,
  failedOutcome,
  followedBy,
  giveUp,
  rejectedOutcome,
  storedOutcome,
  totalDropped,
} from './export-outcome.js';
import type { ReadableSpan } from './sdk-types.js';
import { SpanBatch } from './span-batch.js';

const batchOf = (spans: number): SpanBatch => SpanBatch.fromSpans(Array<ReadableSpan>(spans).fill({} as ReadableSpan));

/** Any outcome of a batch of `spans`. */
const outcomeOf = (spans: number): fc.Arbitrary<ExportOutcome> =>
  fc.array(fc.integer({ min: 0, max: spans }), { minLength: 5, maxLength: 5 }).map((cuts) => {
    const at = [0, ...cuts.sort((a, b) => a - b), spans];
    const [delivered, rejected, stored, full, late, left] = at
      .slice(1)
      .map((end, i) => end - at[i]!) as never as number[];
    const settled = {
      delivered: delivered!,
      rejected: rejected!,
      stored: stored!,
      dropped: { full: full!, late: late! },
    };
    if (left === 0) return settled;
    return {
      ...settled,
      remaining: batchOf(left!),
      failure: 'throttled',
      error: new Error('busy'),
      retryAfterMillis: 5,
    };
  });

const spans = fc.integer({ min: 0, max: 20 });

describe('an ExportOutcome', () => {
  it.each([
    ['delivered', deliveredOutcome(5), { delivered: 5 }],
    ['delivered in part', deliveredOutcome(5, 2), { delivered: 3, rejected: 2 }],
    ['rejected', rejectedOutcome(5), { rejected: 5 }],
    ['stored', storedOutcome(5), { stored: 5 }],
    ['dropped', droppedOutcome(5, 'full'), { dropped: { full: 5 } }],
    ['failed', failedOutcome(batchOf(5), 'refused', new Error('open')), { failure: 'refused' }],
  ])('accounts for every span: %s', (_, outcome, counts) => {
    expect(accountedFor(outcome)).toBe(5);
    const nothing = { delivered: 0, rejected: 0, stored: 0, dropped: {} };
    expect(outcome).toMatchObject({ ...nothing, ...counts });
  });

  it('has no retryAfterMillis where nobody named a wait', () => {
    expect('retryAfterMillis' in failedOutcome(batchOf(1), 'retryable', new Error('x'))).toBe(false);
    expect(failedOutcome(batchOf(1), 'throttled', new Error('x'), 50).retryAfterMillis).toBe(50);
  });

  it('has no empty reason to drop', () => {
    expect(droppedOutcome(0, 'full').dropped).toEqual({});
  });

  it('followed by the outcome of what remained accounts for the same spans, and ends as that one did', () => {
    const twoSteps = spans
      .chain((n) => fc.tuple(fc.constant(n), outcomeOf(n)))
      .chain(([n, first]) => fc.tuple(fc.constant(n), fc.constant(first), outcomeOf(first.remaining?.spanCount ?? 0)));
    fc.assert(
      fc.property(twoSteps, ([n, first, then]) => {
        const whole = followedBy(first, then);
        expect(accountedFor(whole)).toBe(n);
        expect([whole.remaining, whole.failure, whole.error, whole.retryAfterMillis]).toEqual([
          then.remaining,
          then.failure,
          then.error,
          then.retryAfterMillis,
        ]);
        expect(totalDropped(whole.dropped)).toBe(totalDropped(first.dropped) + totalDropped(then.dropped));
      }),
    );
  });

  it('given up has dropped what remained, and is left alone where nothing did', () => {
    fc.assert(
      fc.property(
        spans.chain((n) => outcomeOf(n)),
        (outcome) => {
          const end = giveUp(outcome, 'shutdown');
          expect(accountedFor(end)).toBe(accountedFor(outcome));
          expect(end.remaining).toBeUndefined();
          expect(end.dropped.shutdown ?? 0).toBe(outcome.remaining?.spanCount ?? 0);
          if (!outcome.remaining) expect(end).toBe(outcome);
        },
      ),
    );
  });
});
