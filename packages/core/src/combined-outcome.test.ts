import { fakeSpans } from '@otel-resilience/testing';
import { expect, test } from 'vitest';
import { combinedOutcome } from './combined-outcome.js';
import {
  accountedFor,
  deliveredOutcome,
  droppedOutcome,
  failedOutcome,
  rejectedOutcome,
  storedOutcome,
} from './export-outcome.js';
import { SpanBatch } from './span-batch.js';

const batch = (spans: number) => SpanBatch.fromSpans(fakeSpans(spans));

test('a single part is what it is', () => {
  const outcome = storedOutcome(3);
  expect(combinedOutcome([outcome])).toBe(outcome);
});

test('counts add up, and what remains is joined, for the reason of the first', () => {
  const combined = combinedOutcome([
    deliveredOutcome(3, 1),
    failedOutcome(batch(2), 'throttled', new Error('later'), 500),
    droppedOutcome(4, 'full'),
    failedOutcome(batch(5), 'shutdown', new Error('over')),
    storedOutcome(6),
  ]);
  expect(combined).toMatchObject({ delivered: 2, rejected: 1, stored: 6, dropped: { full: 4 } });
  expect(combined).toMatchObject({ failure: 'throttled', error: { message: 'later' }, retryAfterMillis: 500 });
  expect(combined.remaining?.spanCount).toBe(7);
  expect(accountedFor(combined)).toBe(20);
});

test('why some were rejected or dropped is not forgotten', () => {
  const combined = combinedOutcome([deliveredOutcome(1), rejectedOutcome(1, new Error('why')), storedOutcome(1)]);
  expect(combined.error?.message).toBe('why');
  expect(combined.remaining).toBeUndefined();
});
