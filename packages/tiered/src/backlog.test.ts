import { failedOutcome, LimitedLog } from '@otel-resilience/core';
import { VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { batchOf, setUpLeaf } from '../../../test/support/tiered.js';
import { Backlog } from './backlog.js';
import { MemorySpool } from './spool/memory-spool.js';

describe('a batch that always fails', () => {
  for (const behaviour of ['refuse', 'swallow'] as const) {
    it(`is put aside, tried again, and dropped as poison in the end, when hot would ${behaviour} it alone`, async () => {
      const { clock, hot, spool, send, load, isUp } = setUpLeaf();
      hot.behaviour = (name) => (name === 'bad' ? behaviour : 'take');
      send('bad', 3);
      await clock.advance(5_000);
      load(600_000, 500);
      await clock.advance(20_000);
      // From here on nobody is held up by it any more.
      let down = 0;
      for (let i = 0; i < 1_000; i++) {
        await clock.advance(100);
        if (!isUp()) down++;
      }
      expect(down).toBe(0);
      expect(spool.size).toBe(3);
      await clock.advance(500_000);
      expect(spool.stats()).toMatchObject({ waiting: 0, dropped: { poison: 3 }, balanced: true });
      expect(hot.calls.filter(({ name }) => name === 'bad').length).toBeLessThan(60);
      expect(new Set(hot.takenNames).size).toBe(1_200);
    });
  }

  it('is no poison for failing in an outage, though it was suspected before', async () => {
    const { clock, hot, spool, send, load } = setUpLeaf();
    hot.behaviour = (name) => (name === 'bad' ? 'refuse' : 'take');
    send('bad');
    await clock.advance(1);
    load(20_000, 500);
    await clock.advance(25_000);
    hot.behaviour = 'refuse';
    await clock.advance(3_600_000);
    expect(spool.stats()).toMatchObject({ waiting: 1, dropped: {} });
    hot.behaviour = 'take';
    await clock.advance(60_000);
    expect(hot.takenNames).toContain('bad');
  });

  it('is never seen in an outage, however long: nothing is poison when nothing is taken', async () => {
    const { clock, hot, spool, load } = setUpLeaf();
    hot.behaviour = 'refuse';
    load(5_000, 100);
    await clock.advance(3_600_000);
    hot.behaviour = 'take';
    await clock.advance(2_000);
    expect(spool.stats()).toMatchObject({ accepted: 50, delivered: 50, dropped: {} });
  });
});

describe('Backlog', () => {
  it('puts no more than eight batches aside; the next goes back to the head', async () => {
    const clock = new VirtualClock();
    const spool = new MemorySpool();
    const backlog = new Backlog(spool, clock, new LimitedLog('test', { clock }), 10);
    for (let i = 0; i < 10; i++) await spool.append(batchOf(1));
    for (let i = 0; i < 9; i++) {
      const taken = (await backlog.takeForReplay())!;
      const outcome = failedOutcome(taken.lease.batch, 'retryable', new Error('reset'));
      backlog.settle(taken, { outcome, blamesBatch: true }, clock.now());
    }
    const leased = [await spool.lease(), await spool.lease(), await spool.lease()];
    expect(leased.filter((lease) => lease !== undefined)).toHaveLength(2);
    expect(spool.size).toBe(10);
  });
});

describe('replay and a small spool', () => {
  it('leaves room for what comes while probes hang', async () => {
    const spool = new MemorySpool({ maxBytes: 1_000 });
    const { clock, hot, send } = setUpLeaf({ spool });
    hot.behaviour = 'swallow';
    send('s');
    await clock.advance(5_000);
    for (let i = 0; i < 200; i++) {
      expect(await send(`s${i}`)).toMatchObject({ stored: 1 });
      await clock.advance(100);
    }
    expect(spool.stats().dropped).toEqual({ full: 191 });
  });
});
