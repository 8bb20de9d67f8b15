import { describe, expect, it } from 'vitest';
import { setUpScripted, spoolThat } from '../../../test/support/tiered.js';

describe('TieredSpanExporter.forceFlush', () => {
  it('resolves when what was open and what waited has been delivered, probing on the way', async () => {
    const { clock, hot, tiered, send } = setUpScripted('retryable');
    await send();
    const flushed = tiered.forceFlush();
    await clock.advance(7_777);
    expect(hot.deliveredCount).toBe(0);
    hot.respond({ kind: 'delivered', delayMillis: 20 });
    const startedAt = clock.now();
    await clock.run(flushed);
    expect(hot.deliveredCount).toBe(1);
    expect(clock.now() - startedAt).toBeLessThan(1_000);
    expect(clock.pendingTimers).toBe(0);
  });

  it('rejects at its deadline while hot is down, or while a live export hangs', async () => {
    for (const respond of ['retryable', 'hang'] as const) {
      const { clock, tiered, send } = setUpScripted(respond);
      send();
      const startedAt = clock.now();
      const flushed = tiered.forceFlush({ deadline: startedAt + 3_000 });
      await expect(clock.run(flushed)).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
      expect(clock.now() - startedAt).toBe(3_000);
    }
  });

  it('says how many spans wait, and what is the matter with hot', async () => {
    const error = Object.assign(new Error('POST https://me:s3cret@a: refused'), { code: 'ECONNREFUSED' });
    const { clock, tiered, send } = setUpScripted({ kind: 'failed', failure: 'retryable', error });
    await send(12);
    const flushed = tiered.forceFlush({ deadline: clock.now() + 3_000 });
    await expect(clock.run(flushed)).rejects.toMatchObject({
      message: 'forceFlush: 12 spans wait in the spool: ECONNREFUSED: POST https://a: refused',
      cause: error,
    });
  });

  it('does not wait for a durable spool, and rejects when a shutdown ends the replay', async () => {
    const durable = setUpScripted('retryable', { spool: spoolThat({ durable: true }) });
    await durable.send();
    await durable.tiered.forceFlush();
    const { clock, tiered, send } = setUpScripted('retryable');
    await send();
    const flushed = tiered.forceFlush({ deadline: clock.now() + 20_000 });
    const failed = expect(flushed).rejects.toMatchObject({ code: 'SHUTDOWN' });
    await clock.run(tiered.shutdown({ deadline: clock.now() + 1_000 }));
    await failed;
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('TieredSpanExporter.shutdown', () => {
  it('drops with a count what is left at the deadline, and reaches hot and spool', async () => {
    const { clock, hot, spool, tiered, send } = setUpScripted('retryable');
    await send(3);
    const startedAt = clock.now();
    await clock.run(tiered.shutdown({ deadline: startedAt + 3_000 }));
    expect(clock.now() - startedAt).toBeLessThanOrEqual(3_000);
    expect(spool.stats()).toMatchObject({ dropped: { shutdown: 3 }, waiting: 0, balanced: true });
    expect(hot.shutdowns).toBe(1);
    expect(clock.pendingTimers).toBe(0);
  });

  it('delivers what it can within the deadline, as fast as hot takes it', async () => {
    const { clock, hot, spool, tiered, send } = setUpScripted('retryable', { replaySpansPerSecond: 1 });
    for (let i = 0; i < 20; i++) await send(50);
    const stopped = tiered.shutdown({ deadline: clock.now() + 10_000 });
    await clock.advance(4_000);
    hot.respond({ kind: 'delivered', delayMillis: 20 });
    await clock.run(stopped);
    expect(spool.stats()).toMatchObject({ delivered: 1_000, dropped: {}, balanced: true });
  });

  it('takes what is still open, or still comes, into the spool before it closes', async () => {
    const { clock, spool, tiered, send } = setUpScripted('hang', { hotTimeoutMillis: 60_000 });
    const open = send(2);
    const stopped = tiered.shutdown({ deadline: clock.now() + 2_000 });
    expect(await send(1)).toMatchObject({ stored: 1 });
    await clock.run(stopped);
    expect(await open).toMatchObject({ stored: 2 });
    expect(spool.stats()).toMatchObject({ accepted: 3, dropped: { shutdown: 3 }, balanced: true });
    expect(await send(1)).toMatchObject({ stored: 0, dropped: { shutdown: 1 } });
    expect(clock.pendingTimers).toBe(0);
  });

  it('leaves a durable spool as it is', async () => {
    const spool = spoolThat({ durable: true });
    const { clock, tiered, send } = setUpScripted('retryable', { spool });
    await send(3);
    const startedAt = clock.now();
    await clock.run(tiered.shutdown());
    expect(clock.now()).toBe(startedAt);
    expect(clock.pendingTimers).toBe(0);
  });

  it('ends by its deadline with a spool that hangs', async () => {
    const never = () => new Promise<never>(() => {});
    for (const broken of [{ append: never }, { lease: never }, { shutdown: never }]) {
      const { clock, hot, tiered, send } = setUpScripted('retryable', { spool: spoolThat(broken) });
      send();
      await clock.advance(2_000);
      const startedAt = clock.now();
      await clock.run(tiered.shutdown({ deadline: startedAt + 2_000 }));
      expect(clock.now() - startedAt).toBeLessThanOrEqual(2_000);
      expect(hot.shutdowns).toBe(1);
    }
  });
});
