import {
  deliveredOutcome,
  type ExportContext,
  type ExportOutcome,
  failedOutcome,
  type SpanBatch,
  SpanBatchExporterBase,
} from '@otel-resilience/core';
import { VirtualClock } from '@otel-resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { batchOf, setUpLeaf, setUpScripted } from '../../../test/support/tiered.js';
import { MemorySpool } from './spool/memory-spool.js';
import { TieredSpanExporter } from './tiered-span-exporter.js';

describe('replay, while hot is down', () => {
  it.each(['refuse', 'swallow'] as const)(
    'has its first success within one interval of the recovery of a hot tier that would %s everything',
    async (behaviour) => {
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 0, max: 60_000 }),
          // At least a batch per probe; with fewer, a probe has to wait for an earlier one to make way.
          fc.integer({ min: 100, max: 480 }),
          fc.constantFrom(5, 6, 10, 30, Number.POSITIVE_INFINITY),
          async (outageMillis, everyMillis, slots) => {
            const { clock, hot, load } = setUpLeaf({ slots });
            hot.behaviour = behaviour;
            load(outageMillis + 8_000, everyMillis);
            await clock.advance(5_000 + outageMillis);
            hot.behaviour = 'take';
            const recoveredAt = clock.now();
            await clock.advance(1_500);
            expect(hot.taken[0]!.at - recoveredAt).toBeLessThanOrEqual(500 + hot.latencyMillis);
          },
        ),
        { numRuns: 25 },
      );
    },
  );

  it('probes with the oldest batches, and some beyond them, as a last resort, every 500 ms, however long the earlier ones hang', async () => {
    const { clock, hot, send } = setUpLeaf();
    hot.behaviour = 'swallow';
    const first = send('first');
    await clock.advance(5_000);
    await first;
    for (let i = 0; i < 30; i++) await send(`s${i}`);
    await clock.advance(5_000);
    const probes = hot.calls.slice(1);
    expect(probes.map(({ at }) => at - probes[0]!.at)).toEqual(Array.from({ length: 10 }, (_, i) => i * 500));
    expect(probes.slice(0, 3).map(({ name }) => name)).toEqual(['first', 's8', 's0']);
    expect(probes.every(({ lastResort }) => lastResort)).toBe(true);
  });

  it('replays everything, oldest first, and holds no timer afterwards', async () => {
    const { clock, hot, spool, send } = setUpLeaf();
    hot.behaviour = 'refuse';
    const names = Array.from({ length: 50 }, (_, i) => `s${i}`);
    for (const name of names) {
      const sent = send(name);
      await clock.advance(50);
      expect(await sent).toMatchObject({ stored: 1 });
    }
    await clock.advance(5_000);
    hot.behaviour = 'take';
    await clock.advance(3_000);
    // But for the probe that found out.
    const [probe, ...others] = hot.takenNames;
    expect(others).toEqual(names.filter((name) => name !== probe));
    expect(spool.stats()).toMatchObject({ delivered: 50, waiting: 0, balanced: true });
    expect(clock.pendingTimers).toBe(0);
  });

  it('recovers with a single batch that hangs: it is sent anew', async () => {
    const { clock, hot, send } = setUpLeaf();
    hot.behaviour = 'swallow';
    send('only');
    await clock.advance(5_600);
    hot.behaviour = 'take';
    await clock.advance(2_500);
    expect(hot.takenNames).toEqual(['only']);
  });

  it('has its first success within 2 s with few batches, however little comes', async () => {
    for (let outageMillis = 10_000; outageMillis < 20_000; outageMillis += 770) {
      const { clock, hot, load } = setUpLeaf();
      hot.behaviour = 'swallow';
      load(30_000, 3_000);
      await clock.advance(outageMillis);
      hot.behaviour = 'take';
      await clock.advance(2_000 + hot.latencyMillis);
      expect(hot.taken).not.toEqual([]);
    }
  });

  it('recovers to one slot and an answer that takes longer than its patience', async () => {
    const { clock, hot, send, spool } = setUpLeaf({ slots: 1 });
    hot.behaviour = 'swallow';
    send('a');
    await clock.advance(5_000);
    await send('b');
    hot.behaviour = 'take';
    hot.latencyMillis = 7_000;
    await clock.advance(60_000);
    expect(hot.takenNames).toEqual(['a', 'b']);
    expect(spool.size).toBe(0);
    expect(hot.maxOpen).toBe(1);
  });

  it('leaves hot alone for as long as it asked, though at most 30 s, and not without a hint', async () => {
    for (const [hint, expected] of [
      [7_000, 7_000],
      [3_600_000, 30_000],
      [1, 500],
      [undefined, 500],
    ] as const) {
      const clock = new VirtualClock();
      const calls: number[] = [];
      class Throttling extends SpanBatchExporterBase {
        async exportBatch(batch: SpanBatch): Promise<ExportOutcome> {
          calls.push(clock.now());
          return failedOutcome(batch, 'throttled', new Error('429'), hint);
        }
      }
      const tiered = new TieredSpanExporter({ hot: new Throttling(), clock });
      const context = { signal: new AbortController().signal, deadline: clock.now() + 30_000 };
      await tiered.exportBatch(batchOf(1), context);
      await clock.advance(31_000);
      expect(calls[1]! - calls[0]!).toBe(expected);
    }
  });

  it('forgets what a throttle asked for once hot is up', async () => {
    const { clock, hot, tiered, send } = setUpScripted('retryable', { spool: new MemorySpool({ maxBytes: 1_000 }) });
    hot.script([
      'retryable',
      { kind: 'delivered', delayMillis: 800 },
      { kind: 'failed', failure: 'throttled', retryAfterMillis: 30_000 },
    ]);
    await send();
    await send();
    await clock.advance(1_200);
    expect(hot.exports).toHaveLength(3);
    hot.respond('hang');
    await clock.advance(200);
    hot.respond('retryable');
    await clock.run(send());
    expect(tiered.stats().hot.kind).toBe('down');
    const before = hot.exports.length;
    await clock.advance(1_000);
    expect(hot.exports.length).toBeGreaterThan(before);
  });

  it('asks a hot tier that refused without asking anybody again soon', async () => {
    const clock = new VirtualClock();
    let dueAt = clock.now() + 600;
    class Breaker extends SpanBatchExporterBase {
      async exportBatch(batch: SpanBatch, { lastResort }: ExportContext): Promise<ExportOutcome> {
        if (lastResort && clock.now() >= dueAt) return deliveredOutcome(batch.spanCount);
        return failedOutcome(batch, 'refused', new Error('open'));
      }
    }
    const tiered = new TieredSpanExporter({ hot: new Breaker(), clock });
    const context = { signal: new AbortController().signal, deadline: clock.now() + 30_000 };
    await tiered.exportBatch(batchOf(1), context);
    await clock.advance(600);
    expect(tiered.stats().hot.kind).toBe('up');
    dueAt = Number.POSITIVE_INFINITY;
  });
});

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
