import { describe, expect, it } from 'vitest';
import { deliveredOutcome, storedOutcome } from './export-outcome.js';
import { Ledger, SpoolLedger } from './ledger.js';
import type { ReadableSpan } from './sdk-types.js';
import { SpanBatch } from './span-batch.js';

// The identities over any sequence of transitions: test/invariants/ledger.test.ts.

const batchOf = (spans: number): SpanBatch => SpanBatch.fromSpans(Array<ReadableSpan>(spans).fill({} as ReadableSpan));

describe('Ledger', () => {
  it('settles a batch by its first outcome, and counts later ones beside', () => {
    const ledger = new Ledger();
    for (let i = 0; i < 3; i++) ledger.endQueued();
    const token = ledger.dispatch(3);
    expect(
      token.settle({ ...deliveredOutcome(2), remaining: batchOf(1), failure: 'retryable', error: new Error() }),
    ).toBe(true);
    expect(token.settle(deliveredOutcome(3))).toBe(false);
    expect(ledger.snapshot()).toMatchObject({
      ended: 3,
      delivered: 2,
      dropped: { export_failed: 1 },
      beside: { lateOutcomes: 3, lateAcknowledged: 3 },
      balanced: true,
    });
  });

  it('never hides that it does not balance', () => {
    const ledger = new Ledger();
    ledger.endQueued();
    ledger.dropQueued(2, 'queue_full');
    expect(ledger.snapshot().balanced).toBe(false);
    const overpaid = new Ledger();
    overpaid.endQueued();
    overpaid.dispatch(1).settle(deliveredOutcome(2));
    expect(overpaid.snapshot().balanced).toBe(false);
  });

  it('hands out snapshots that do not change afterwards', () => {
    const ledger = new Ledger();
    ledger.endDropped('queue_full');
    const before = ledger.snapshot();
    ledger.endDropped('queue_full');
    expect(before).toMatchObject({ ended: 1, dropped: { queue_full: 1 } });
  });

  it('drops what remains as shutdown when that was the failure', () => {
    const ledger = new Ledger();
    for (let i = 0; i < 2; i++) ledger.endQueued();
    const stopped = { ...storedOutcome(1), remaining: batchOf(1), failure: 'shutdown', error: new Error() } as const;
    ledger.dispatch(2).settle(stopped);
    expect(ledger.snapshot()).toMatchObject({ handedToSpool: 1, dropped: { shutdown: 1 }, balanced: true });
  });
});

describe('SpoolLedger', () => {
  it('never hides that it does not balance', () => {
    const ledger = new SpoolLedger();
    ledger.accept(1);
    ledger.deliver(2);
    expect(ledger.snapshot().balanced).toBe(false);
  });
});
