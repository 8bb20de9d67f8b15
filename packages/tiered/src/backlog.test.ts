import { failedOutcome, LimitedLog, SpanBatch } from '@otel-resilience/core';
import { fakeSpan, VirtualClock } from '@otel-resilience/testing';
import fc from 'fast-check';
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

describe('batches that always fail, waiting with others', () => {
  it('hide no recovery: the first success comes within a second, though eight of them stand in a row', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 60_000 }),
        fc.integer({ min: 0, max: 30 }),
        fc.constantFrom('refuse', 'swallow'),
        async (outageMillis, position, does) => {
          const { clock, hot, spool, send, load } = setUpLeaf();
          hot.behaviour = 'refuse';
          const first = send('good');
          await clock.advance(1);
          await first;
          for (let i = 0; i < 40; i++) await send(i >= position && i < position + 8 ? `bad${i}` : `good${i}`);
          await clock.advance(outageMillis);
          hot.behaviour = (name) => (name.startsWith('bad') ? does : 'take');
          const recoveredAt = clock.now();
          await clock.advance(1_500);
          expect(hot.taken[0]!.at - recoveredAt).toBeLessThanOrEqual(1_000 + hot.latencyMillis);
          load(60_000, 500);
          await clock.advance(70_000);
          expect(hot.taken).toHaveLength(120 + 41 - Math.min(8, 40 - position));
          expect(spool.stats().dropped).toEqual({});
        },
      ),
      { numRuns: 40 },
    );
  });

  it.each([2, 8, 20, 50])('keep a healthy hot tier down for seconds at most: %i of them', async (count) => {
    const { clock, hot, spool, load, isUp } = setUpLeaf();
    hot.behaviour = (name) => (name.startsWith('bad') ? 'refuse' : 'take');
    load(count * 100, 100, 1, 'bad');
    load(1_200_000, 500);
    let down = 0;
    for (let i = 0; i < 1_200; i++) {
      await clock.advance(1_000);
      if (!isUp()) down++;
    }
    expect(down).toBeLessThan(15);
    expect(hot.taken).toHaveLength(2_400);
    expect(spool.stats()).toMatchObject({ dropped: { poison: count }, waiting: 0, balanced: true });
  });
});

describe('a batch with spans that always fail', () => {
  it.each([
    [[417], 40],
    [[0, 1, 500, 998, 999], 120],
  ])('is cut until they are found, and loses nothing else: %j', async (bad, attempts) => {
    const { clock, hot, spool, tiered, load } = setUpLeaf();
    const context = { signal: new AbortController().signal, deadline: clock.now() + 30_000 };
    const spans = Array.from({ length: 1_000 }, (_, i) => fakeSpan({ name: bad.includes(i) ? `bad${i}` : `good${i}` }));
    hot.behaviour = (name) => (name.startsWith('bad') ? 'refuse' : 'take');
    tiered.exportBatch(SpanBatch.fromSpans(spans), context);
    load(1_200_000, 500);
    await clock.advance(90_000);
    expect(new Set(hot.takenNames.filter((name) => name.startsWith('good'))).size).toBe(1_000 - bad.length);
    await clock.advance(1_110_000);
    expect(spool.stats()).toMatchObject({ dropped: { poison: bad.length }, waiting: 0, balanced: true });
    expect(hot.takenNames.filter((name) => name.startsWith('good'))).toHaveLength(1_000 - bad.length);
    expect(hot.calls.filter(({ does }) => does === 'refuse').length).toBeLessThan(attempts);
  });

  it('is cut a bounded number of times: what is left is dropped in one', async () => {
    const { clock, hot, spool, send, load } = setUpLeaf();
    hot.behaviour = (name) => (name === 'bad' ? 'refuse' : 'take');
    send('bad', 1_000);
    load(4_000_000, 500);
    await clock.advance(4_000_000);
    expect(spool.stats()).toMatchObject({ dropped: { poison: 1_000 }, waiting: 0, balanced: true });
    expect(hot.calls.filter(({ name }) => name === 'bad').length).toBeLessThan(1_000);
  });

  it('is counted as far as it has been sent when a shutdown ends the search', async () => {
    const { clock, hot, spool, tiered, send, load } = setUpLeaf();
    hot.behaviour = (name) => (name === 'bad' ? 'refuse' : 'take');
    send('bad', 4);
    load(10_000, 500);
    await clock.advance(10_000);
    await clock.run(tiered.shutdown());
    expect(spool.stats()).toMatchObject({ dropped: { shutdown: 4 }, waiting: 0, balanced: true });
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('Backlog', () => {
  it('puts no more than 256 suspects aside; the next goes back to the head', async () => {
    const clock = new VirtualClock();
    const spool = new MemorySpool();
    const backlog = new Backlog(spool, clock, new LimitedLog('test', { clock }), 10);
    for (let i = 0; i < 258; i++) await spool.append(batchOf(600));
    for (let i = 0; i < 257; i++) {
      const taken = (await backlog.takeForReplay())!;
      expect(backlog.maySuspect(taken)).toBe(i < 256);
      const outcome = failedOutcome(taken.batch, 'retryable', new Error('reset'));
      backlog.settle(taken, { outcome, blamesBatch: true }, clock.now(), false);
    }
    const leased = [await spool.lease(), await spool.lease(), await spool.lease()];
    expect(leased.filter((lease) => lease !== undefined)).toHaveLength(2);
    expect(spool.size).toBe(154_800);
    backlog.releaseAll();
    for (let i = 0; i < 256; i++) expect(await spool.lease()).toBeDefined();
    expect(await spool.lease()).toBeUndefined();
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
