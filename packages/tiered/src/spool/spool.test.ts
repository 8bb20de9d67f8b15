import { type SpanBatch, sleep } from '@otel-resilience/core';
import { describe, expect, it } from 'vitest';
import { batchOf, setUpScripted, spoolThat } from '../../../../test/support/tiered.js';
import { MemorySpool } from './memory-spool.js';

describe('a spool that cannot help', () => {
  it('counts what does not fit, and what a broken spool does not take', async () => {
    const full = setUpScripted('retryable', { spool: new MemorySpool({ maxBytes: 250 }) });
    expect(await full.send(3)).toEqual({
      delivered: 0,
      rejected: 0,
      stored: 0,
      dropped: { spool_full: 3 },
      error: new Error('scripted: retryable'),
    });
    const broken = setUpScripted('retryable', { spool: spoolThat({ append: () => Promise.reject(new Error('EIO')) }) });
    expect(await broken.send(3)).toEqual({
      delivered: 0,
      rejected: 0,
      stored: 0,
      dropped: { spool_failed: 3 },
      error: new Error('EIO'),
    });
  });

  it('answers in time when the spool does not, and counts what it stores later', async () => {
    const append = ({ spanCount }: SpanBatch) => later({ stored: spanCount, dropped: 0 }, 40_000);
    const later = <T>(value: T, millis: number) =>
      new Promise<T>((resolve) => clock.setTimeout(() => resolve(value), millis));
    const { clock, tiered, send } = setUpScripted('retryable', { spool: spoolThat({ append }) });
    const startedAt = clock.now();
    expect(await clock.run(send(2))).toMatchObject({ dropped: { spool_failed: 2 } });
    expect(clock.now() - startedAt).toBe(30_000);
    await clock.advance(10_000);
    expect(tiered.stats().lateStored).toBe(2);
  });

  it('reads a spool that fails to lease once a second, in a hurry too, and recovers with it', async () => {
    const spool = new MemorySpool();
    let leases = 0;
    let broken = true;
    const lease = () => {
      leases++;
      return broken ? Promise.reject(new Error('EIO')) : spool.lease();
    };
    const { clock, tiered, send } = setUpScripted('delivered', {
      spool: spoolThat({ lease }, spool),
    });
    await spool.append(batchOf(3));
    await send();
    await clock.advance(10_000);
    expect(leases).toBe(11);
    const stopped = tiered.shutdown({ deadline: clock.now() + 10_000 });
    await clock.advance(2_500);
    expect(leases).toBe(13);
    broken = false;
    await clock.run(stopped);
    expect(spool.stats()).toMatchObject({ delivered: 3, waiting: 0 });
  });

  it('is asked again when something comes while it looks in vain', async () => {
    const spool = new MemorySpool();
    const lease = async () => {
      const leased = await spool.lease();
      await sleep(clock, 100);
      return leased;
    };
    const { clock, hot, send } = setUpScripted('hang', { spool: spoolThat({ lease }, spool) });
    send(1);
    await clock.advance(5_000);
    await clock.advance(1_050);
    // The first probe hangs, and the second is looking for a batch.
    expect(hot.exports).toHaveLength(2);
    await send(2);
    await clock.advance(700);
    expect(hot.exports).toHaveLength(3);
  });

  it('goes on asking hot while nothing waits that could be a probe', async () => {
    const { hot, tiered, send } = setUpScripted('retryable', { spool: new MemorySpool({ maxBytes: 1 }) });
    await send();
    await send();
    expect(hot.exports.map(({ context }) => context.lastResort === true)).toEqual([false, true]);
    hot.respond('delivered');
    expect(await send()).toMatchObject({ delivered: 1 });
    expect(tiered.stats().hot.kind).toBe('up');
  });
});
