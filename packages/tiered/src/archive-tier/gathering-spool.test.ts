import { deliveredOutcome, failedOutcome, type ReadableSpan, SpanBatch } from '@otel-resilience/core';
import { fakeSpan, fakeSpans, VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { MemorySpool } from '../spool/memory-spool.js';
import { GatheringSpool } from './gathering-spool.js';

function setUp({ encodes = true } = {}) {
  const clock = new VirtualClock();
  const spool = new MemorySpool();
  const gathering = new GatheringSpool({ spool, maxBatchBytes: 10_000_000, delayMillis: 1_000, encodes, clock });
  return { clock, spool, gathering };
}

const unreadable = (): ReadableSpan => {
  const span = fakeSpan();
  return Object.create(span, { spanContext: { value: () => ({ traceId: 'none', spanId: '', traceFlags: 1 }) } });
};

describe('a spool that gathers', () => {
  it('leases apart what cannot be encoded: nothing is decoded for its sake', async () => {
    const { clock, spool, gathering } = setUp();
    for (const spans of [fakeSpans(900), fakeSpans(900), [unreadable(), ...fakeSpans(899)], fakeSpans(900)]) {
      await gathering.append(SpanBatch.fromSpans(spans));
    }
    await clock.advance(1_000);
    const leased: Array<[number, boolean]> = [];
    for (;;) {
      const lease = await clock.run(gathering.lease());
      if (!lease) break;
      leased.push([lease.batch.spanCount, lease.batch.isEncoded]);
      lease.settle(deliveredOutcome(lease.batch.spanCount));
    }
    expect(leased).toEqual([
      [1_800, true],
      [900, false],
      [900, true],
    ]);
    expect(spool.stats()).toMatchObject({ waiting: 0, delivered: 3_600, balanced: true });
  });

  it('joins no batches of two forms', async () => {
    const { clock, gathering } = setUp({ encodes: false });
    const bytes = SpanBatch.fromSpans(fakeSpans(900));
    bytes.otlp();
    for (const batch of [SpanBatch.fromSpans(fakeSpans(900)), bytes]) await gathering.append(batch);
    await clock.advance(1_000);
    const first = await clock.run(gathering.lease());
    const second = await clock.run(gathering.lease());
    expect([first!.batch.isEncoded, second!.batch.isEncoded]).toEqual([false, true]);
  });

  it('leases again what has come back, when it has waited once more', async () => {
    const { clock, gathering } = setUp();
    const due: number[] = [];
    await gathering.open(() => due.push(clock.now()));
    await gathering.append(SpanBatch.fromSpans(fakeSpans(3)));
    await clock.advance(1_000);
    const lease = (await clock.run(gathering.lease()))!;
    expect(due).toEqual([2_000]);
    await clock.advance(5_000);
    lease.settle(failedOutcome(lease.batch, 'retryable', new Error('no')));
    expect(await clock.run(gathering.lease())).toBeUndefined();
    await clock.advance(1_000);
    expect(due).toEqual([2_000, 8_000]);
    expect((await clock.run(gathering.lease()))!.batch.spanCount).toBe(3);
    await gathering.shutdown();
    expect(clock.pendingTimers).toBe(0);
  });
});
