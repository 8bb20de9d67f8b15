import { SpanBatch } from '@otel-resilience/core';
import { FaultyDisk, fakeSpan, VirtualClock } from '@otel-resilience/testing';
import { MemorySpool, type RoutingRule, Spool, TieredSpanExporter } from '@otel-resilience/tiered';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Backend, mood } from '../support/moody-backend.js';

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      spans: fc.integer({ min: 0, max: 30 }),
      bytes: fc.constantFrom(100, 20_000),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), millis: fc.constantFrom(0, 10, 900, 5_000, 61_000) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('mood' as const), of: fc.nat({ max: 2 }), mood }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('disk' as const), of: fc.nat({ max: 2 }), readOnly: fc.boolean() }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('flush' as const), timeoutMillis: fc.constantFrom(0, 500, 8_000) }),
  },
);
const tier = fc.record({
  slots: fc.constantFrom(1, 2, 4),
  onDisk: fc.boolean(),
  maxBytes: fc.constantFrom(30_000, 4_000_000),
  maxBatchBytes: fc.constantFrom(1, 5_000, 1_000_000),
  scheduledDelayMillis: fc.constantFrom(0, 300, 60_000),
});
const rules: fc.Arbitrary<RoutingRule[]> = fc
  .array(
    fc.record(
      {
        error: fc.boolean(),
        minAgeMillis: fc.constantFrom(0, 5_000),
        to: fc.uniqueArray(fc.constantFrom('hot' as const, 'warm' as const, 'cold' as const), { minLength: 1 }),
      },
      { requiredKeys: ['to'] },
    ),
    { maxLength: 3 },
  )
  .map((all) => [...all, { service: 'to-cold', to: 'cold' }]);

describe('what waits for an archive', () => {
  it('is there once everything works, whatever went wrong before: nothing is forgotten, on disk or in memory', async () => {
    await fc.assert(
      fc.asyncProperty(
        tier,
        tier,
        tier,
        rules,
        fc.array(step, { maxLength: 30 }),
        async (hot, warm, cold, given, steps) => {
          const clock = new VirtualClock();
          const made = [hot, warm, cold].map(({ slots, onDisk, maxBytes, ...settings }, index) => {
            const backend = new Backend(clock, slots);
            const disk = new FaultyDisk({ seed: 1 });
            const spool = onDisk
              ? new Spool({ directory: `/${index}`, fileSystem: disk, clock, maxBytes })
              : new MemorySpool({ maxBytes });
            return { backend, disk, spool, options: { exporter: backend, spool, ...settings } };
          });
          const tiered = new TieredSpanExporter({
            hot: made[0]!.backend,
            spool: made[0]!.spool,
            warm: made[1]!.options,
            cold: made[2]!.options,
            rules: given,
            clock,
          });
          const open: Array<Promise<unknown>> = [];
          let sent = 0;
          let handed = 0;
          for (const each of steps) {
            if (each.kind === 'mood') made[each.of]!.backend.mood = each.mood;
            else if (each.kind === 'disk') made[each.of]!.disk.readOnly = each.readOnly;
            else if (each.kind === 'wait') await clock.advance(each.millis);
            else if (each.kind === 'flush') {
              const deadline = clock.now() + each.timeoutMillis;
              open.push(tiered.forceFlush({ deadline }).catch(() => {}));
            } else {
              const spans = Array.from({ length: each.spans }, () =>
                fakeSpan({ name: `s${sent++}`, isError: sent % 3 === 0, startMillis: clock.wallTime() }),
              );
              const batch = SpanBatch.fromSpans(spans, { byteLength: each.bytes });
              const context = { signal: new AbortController().signal, deadline: clock.now() + 30_000 };
              const exported = tiered.exportBatch(batch, context).then((outcome) => {
                expect(outcome.remaining).toBeUndefined();
                handed += outcome.stored;
              });
              open.push(exported);
            }
          }
          for (const { backend, disk } of made) {
            backend.mood = { does: 'take', latencyMillis: 20 };
            disk.readOnly = false;
          }
          // The longest of it: a poisoned batch that is tried every minute at last.
          for (let minute = 0; minute < 30; minute++) await clock.advance(60_000);
          await Promise.all(open);
          const { spool, warm: w, cold: c, divertedSpans, lateStored } = tiered.stats();
          for (const books of [spool, w!.spool, c!.spool]) expect(books).toMatchObject({ waiting: 0, balanced: true });
          expect(handed + lateStored).toBe(spool.accepted + w!.routedSpans + c!.routedSpans);
          expect(divertedSpans).toBeLessThanOrEqual(spool.delivered);
          expect(tiered.stats()).toMatchObject({ openExports: 0, openReplays: 0 });
          // Nothing left to do: nothing is done.
          const ended = tiered.shutdown({ deadline: clock.now() + 5_000 });
          await clock.run(ended);
          await clock.advance(70_000);
          expect(clock.pendingTimers).toBe(0);
        },
      ),
      { numRuns: 100 },
    );
  });
});
