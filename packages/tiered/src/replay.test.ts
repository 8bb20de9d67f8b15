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
