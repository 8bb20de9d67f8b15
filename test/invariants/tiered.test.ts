import { SpanBatch } from '@otel-resilience/core';
import { FailoverSpanExporter, RetryingSpanExporter } from '@otel-resilience/exporter';
import { fakeSpan, VirtualClock } from '@otel-resilience/testing';
import { MemorySpool, TieredSpanExporter } from '@otel-resilience/tiered';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Backend, type Mood } from '../support/moody-backend.js';
import { BYTES_PER_SPAN, play, scenario } from './tiered-world.js';

describe('invariants of the tiered exporter, whatever hot does', () => {
  it('accounts for every span once, in two ledgers that agree; keeps its bounds and deadlines; leaves no timer', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async (script) => {
        const { clock, backend, spool, tiered, ledger, sent } = await play(script);
        const stats = spool.stats();
        expect(stats.waiting).toBe(0);
        expect(ledger).toMatchObject({ ended: sent, inFlight: 0, queued: 0, handedToSpool: stats.accepted });
        // Acknowledged, as both ledgers say, is what the backend has received, at least.
        const acknowledged = ledger.delivered + stats.delivered;
        expect(acknowledged).toBeLessThanOrEqual(backend.received.size);
        for (const [name, times] of backend.received) if (times > 1) expect(backend.ambiguous).toContain(name);
        expect(tiered.stats()).toMatchObject({ openExports: 0, openReplays: 0 });
        // What hangs in the backend itself is not ours: let it end, and nothing may be left.
        await clock.advance(15_000);
        expect(clock.pendingTimers).toBe(0);
      }),
      { numRuns: 250 },
    );
  });

  it('grows with nothing but the spool: ten minutes of outage leave no more behind than one', async () => {
    const residue = async (outageMillis: number) => {
      const clock = new VirtualClock();
      const backend = new Backend(clock, 5);
      const spool = new MemorySpool({ maxBytes: 20_000 });
      const tiered = new TieredSpanExporter({ hot: backend, spool, clock });
      backend.mood = { does: 'hang', deaf: false };
      for (let t = 0; t < outageMillis; t += 250) {
        const batch = SpanBatch.fromSpans([fakeSpan({ name: `s${t}` })], { byteLength: BYTES_PER_SPAN });
        const { signal } = new AbortController();
        tiered.exportBatch(batch, { signal, deadline: clock.now() + 30_000 });
        await clock.advance(250);
      }
      const { openExports, openReplays } = tiered.stats();
      return { bytes: spool.bytes, openExports, openReplays, timers: clock.pendingTimers, open: backend.open };
    };
    expect(await residue(600_000)).toEqual(await residue(60_000));
  });
});

describe('the whole way out: tiered, retry, failover, breakers, with their defaults', () => {
  const LATENCY_MILLIS = 10;
  const outage = fc.record({
    does: fc.constantFrom<Mood[]>({ does: 'hang', deaf: false }, { does: 'fail', failure: 'retryable' }),
    outageMillis: fc.integer({ min: 500, max: 90_000 }),
    recovering: fc.constantFrom<number[][]>([0], [1], [0, 1]),
  });

  it('delivers again within a second of the recovery of any endpoint, and loses nothing', async () => {
    await fc.assert(
      fc.asyncProperty(outage, async ({ does, outageMillis, recovering }) => {
        const clock = new VirtualClock();
        const backends = [new Backend(clock, 30), new Backend(clock, 30)];
        const failover = new FailoverSpanExporter({
          endpoints: backends.map((exporter, index) => ({ name: `${index}`, exporter })),
          clock,
        });
        const spool = new MemorySpool();
        const hot = new RetryingSpanExporter({ exporter: failover, clock, random: () => 0.5 });
        const tiered = new TieredSpanExporter({ hot, spool, clock });
        let open = 0;
        let mostOpen = 0;
        let sent = 0;
        const load = async (millis: number) => {
          for (let t = 0; t < millis; t += 100) {
            const batch = SpanBatch.fromSpans([fakeSpan({ name: `s${sent++}` })], { byteLength: BYTES_PER_SPAN });
            mostOpen = Math.max(mostOpen, ++open);
            const { signal } = new AbortController();
            tiered.exportBatch(batch, { signal, deadline: clock.now() + 30_000 }).then((outcome) => {
              open--;
              expect(outcome.delivered + outcome.stored).toBe(1);
            });
            await clock.advance(100);
          }
        };
        await load(1_000);
        for (const backend of backends) backend.mood = does;
        await load(outageMillis);
        const received = () => recovering.reduce((sum, index) => sum + backends[index]!.received.size, 0);
        const before = received();
        for (const index of recovering) backends[index]!.mood = { does: 'take', latencyMillis: LATENCY_MILLIS };
        await load(1_000);
        await clock.advance(LATENCY_MILLIS);
        // A shorter one is not noticed as such: two attempts of 2 s, and the third failure that opens a breaker.
        if (outageMillis >= 6_000) expect(received()).toBeGreaterThan(before);
        await load(10_000);
        await clock.run(tiered.shutdown());
        expect(spool.stats()).toMatchObject({ waiting: 0, dropped: {}, rejected: 0, balanced: true });
        expect(new Set(backends.flatMap((backend) => [...backend.received.keys()])).size).toBe(sent);
        // No caller is held up for longer than hotTimeoutMillis.
        expect(mostOpen).toBeLessThanOrEqual(5_000 / 100 + 1);
      }),
      { numRuns: 15 },
    );
  });
});
