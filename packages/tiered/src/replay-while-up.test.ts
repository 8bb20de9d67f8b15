import { deliveredOutcome } from '@otel-resilience/core';
import { VirtualClock } from '@otel-resilience/testing';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { batchOf, setUpLeaf, setUpScripted } from '../../../test/support/tiered.js';

describe('replay, while hot is up', () => {
  it('keeps to its rate, and holds up no live batch', async () => {
    const { clock, hot, send, load } = setUpLeaf();
    hot.behaviour = 'refuse';
    send('s', 1_000);
    await clock.advance(1);
    for (let i = 0; i < 39; i++) await send(`s${i}`, 1_000);
    await clock.advance(100);
    hot.behaviour = 'take';
    await clock.advance(500);
    const startedAt = clock.now();
    load(10_000, 500, 1_000);
    await clock.advance(10_000);
    const replays = hot.taken.filter(({ name }) => name.startsWith('s'));
    const tookMillis = replays.at(-1)!.at - replays[0]!.at;
    expect(replays).toHaveLength(40);
    expect(tookMillis).toBeGreaterThan(3_600);
    expect(tookMillis).toBeLessThan(4_400);
    const live = hot.taken.filter(({ name }) => name.startsWith('live'));
    live.forEach(({ at }, i) => {
      expect(at - (startedAt + i * 500)).toBeLessThanOrEqual(hot.latencyMillis);
    });
    expect(live).toHaveLength(20);
  });

  it('owes nothing for the probes of an outage', async () => {
    const { clock, hot, send } = setUpLeaf({ replaySpansPerSecond: 100 });
    hot.behaviour = 'refuse';
    send('s', 100);
    await clock.advance(1);
    for (let i = 0; i < 4; i++) await send(`s${i}`, 100);
    await clock.advance(60_000);
    hot.behaviour = 'take';
    await clock.advance(5_000);
    expect(hot.taken).toHaveLength(5);
  });

  it('replays small batches as fast as large ones', async () => {
    const { clock, hot, send } = setUpLeaf();
    hot.latencyMillis = 1;
    hot.behaviour = 'refuse';
    send('s');
    await clock.advance(1);
    for (let i = 0; i < 999; i++) await send(`s${i}`);
    await clock.advance(100);
    hot.behaviour = 'take';
    await clock.advance(1_200);
    expect(hot.taken).toHaveLength(1_000);
  });

  it('sends thousands of batches of one span in a few requests', async () => {
    const { clock, hot, spool, tiered, send } = setUpScripted('retryable');
    for (let i = 0; i < 3_000; i++) await send();
    const before = hot.exports.length;
    hot.respond({ kind: 'delivered', delayMillis: 200 });
    await clock.advance(1_500);
    expect(spool.stats()).toMatchObject({ delivered: 3_000, waiting: 0 });
    expect(hot.exports.length - before).toBe(3);
    expect(tiered.stats().replayedSpans).toBe(3_000);
  });

  it.each([1, 2, 5])('never exceeds the %i exports that hot bears, together with live traffic', async (slots) => {
    const { clock, hot, spool, load } = setUpLeaf({ slots });
    hot.latencyMillis = 40;
    hot.behaviour = 'swallow';
    load(40_000, 60);
    await clock.advance(15_000);
    hot.behaviour = 'take';
    await clock.advance(60_000);
    expect(hot.maxOpen).toBe(slots);
    expect(spool.stats()).toMatchObject({ waiting: 0, dropped: {}, balanced: true });
    expect(hot.open).toBe(0);
  });

  it('wakes up once for a replay that hangs, whatever fraction of a millisecond the clock shows', async () => {
    const fraction = fc.double({ min: 0, max: 1_000, noNaN: true });
    await fc.assert(
      fc.asyncProperty(fraction, async (millis) => {
        const { clock, hot, send } = setUpLeaf();
        await clock.advance(millis);
        hot.behaviour = 'refuse';
        send('s0');
        await clock.advance(1);
        for (let i = 1; i < 8; i++) await send(`s${i}`);
        hot.behaviour = (name) => (name === 's0' ? 'take' : 'swallow');
        const setTimer = vi.spyOn(clock, 'setTimeout');
        setTimer.mockClear();
        const { setTimeout } = VirtualClock.prototype;
        setTimer.mockImplementation((...timer) => {
          if (setTimer.mock.calls.length > 300) throw new Error('wakes up over and over');
          return setTimeout.apply(clock, timer);
        });
        await clock.advance(10_000);
        expect(hot.takenNames).toEqual(['s0']);
      }),
      { examples: [[256.0000000223201]] },
    );
  });

  it('leaves half of the slots to live traffic, however much waits', async () => {
    const { clock, hot, send } = setUpLeaf({ slots: 4, replaySpansPerSecond: 1e6 });
    hot.behaviour = 'refuse';
    send('s');
    await clock.advance(1);
    for (let i = 0; i < 99; i++) await send(`s${i}`);
    await clock.advance(100);
    hot.behaviour = 'take';
    hot.latencyMillis = 1_000;
    await clock.advance(4_000);
    for (let i = 0; i < 10; i++) {
      await clock.advance(700);
      const startedAt = clock.now();
      const live = await clock.run(Promise.all([send('live'), send('live')]));
      expect(live).toEqual([deliveredOutcome(1), deliveredOutcome(1)]);
      expect(clock.now() - startedAt).toBe(1_000);
    }
    expect(hot.maxOpen).toBe(4);
  });

  it('gives the slot of a probe that hangs to a live batch that waits, though nothing waits in the spool', async () => {
    const { clock, hot, send, isUp } = setUpLeaf({ slots: 2 });
    hot.behaviour = 'swallow';
    send('a');
    await clock.advance(5_000);
    await send('b');
    await clock.advance(5_100);
    hot.behaviour = 'take';
    while (!isUp()) await clock.advance(100);
    await clock.advance(1_000);
    expect(hot.open).toBe(1);
    hot.latencyMillis = 3_000;
    const live = await clock.run(Promise.all([send('x'), send('y')]));
    expect(live).toEqual([deliveredOutcome(1), deliveredOutcome(1)]);
  });

  it.each([1, 2, 5, 30])(
    'is not starved by live batches that wait for the %i slots of a slow hot tier',
    async (slots) => {
      const { clock, hot, spool, tiered, send } = setUpLeaf({ slots });
      hot.latencyMillis = 1_900;
      // More of them than there are slots, each sent as soon as the one before has been answered.
      for (let i = 0; i < slots + 1; i++) {
        const again = () => {
          if (clock.now() < endBy) send('live').then(() => clock.setTimeout(again, 1));
        };
        const endBy = clock.now() + 60_000;
        again();
      }
      const context = { signal: new AbortController().signal, deadline: clock.now() + 30_000, overflow: true };
      for (let i = 0; i < 5; i++) await tiered.exportBatch(batchOf(1), context);
      await clock.advance(60_000);
      expect(spool.stats()).toMatchObject({ delivered: 5, waiting: 0 });
      expect(hot.maxOpen).toBeLessThanOrEqual(slots);
      await clock.advance(10_000);
      expect(clock.pendingTimers).toBe(0);
    },
  );

  it('makes a live batch wait for one replay at most, where there is only one slot', async () => {
    const { clock, hot, send } = setUpLeaf({ slots: 1 });
    hot.behaviour = 'refuse';
    send('s');
    await clock.advance(1);
    for (let i = 0; i < 20; i++) await send(`s${i}`);
    await clock.advance(100);
    hot.behaviour = 'take';
    hot.latencyMillis = 300;
    await clock.advance(1_000);
    const startedAt = clock.now();
    expect(await clock.run(send('live'))).toMatchObject({ delivered: 1 });
    expect(clock.now() - startedAt).toBeLessThanOrEqual(600);
  });

  it('does not wait for probes that hang since before the recovery: neither live nor replay nor flush', async () => {
    for (const slots of [2, 5, 30]) {
      const { clock, hot, spool, tiered, send } = setUpLeaf({ slots });
      hot.behaviour = 'swallow';
      send('first');
      await clock.advance(5_000);
      for (let i = 0; i < 40; i++) await send(`s${i}`);
      await clock.advance(15_000);
      hot.behaviour = 'take';
      await clock.advance(2_000);
      const startedAt = clock.now();
      expect(await clock.run(send('live'))).toMatchObject({ delivered: 1 });
      await clock.run(tiered.forceFlush());
      expect(clock.now() - startedAt).toBeLessThan(2_500);
      expect(spool.stats()).toMatchObject({ delivered: 41, waiting: 0 });
    }
  });
});
