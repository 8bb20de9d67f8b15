import { accountedFor, ExportError, exportAttempt, Ledger, SpanBatch } from '@otel-resilience/core';
import { type FakeSpanOverrides, fakeSpan, VirtualClock } from '@otel-resilience/testing';
import { MemorySpool, TieredSpanExporter, type TieredSpanExporterOptions } from '@otel-resilience/tiered';
import fc from 'fast-check';
import { expect } from 'vitest';
import { Backend, type Mood, mood } from '../support/moody-backend.js';

type Step =
  | { kind: 'mood'; mood: Mood }
  | { kind: 'send'; spans: number; timeoutMillis: number; burst: number; abandonMillis?: number }
  | { kind: 'wait'; millis: number }
  | { kind: 'flush'; timeoutMillis: number };

export const BYTES_PER_SPAN = 100;
const SHUTDOWN_SLACK_MILLIS = 1e-6; // deadlines are sums of fractions

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('mood' as const), mood }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      spans: fc.integer({ min: 1, max: 30 }),
      timeoutMillis: fc.constantFrom(0, 3, 400, 2_000, 30_000),
      burst: fc.constantFrom(1, 1, 1, 7),
      abandonMillis: fc.option(fc.constantFrom(0, 10, 3_000), { nil: undefined, freq: 9 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), millis: fc.constantFrom(0, 10, 250, 1_000, 11_000) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('flush' as const), timeoutMillis: fc.constantFrom(0, 500, 8_000) }),
  },
);

export const scenario = fc.record({
  slots: fc.constantFrom(1, 2, 5, Number.POSITIVE_INFINITY),
  maxBytes: fc.integer({ min: 1_000, max: 20_000 }),
  poisonAttempts: fc.constantFrom(2, 10),
  steps: fc.array(step, { maxLength: 40 }),
  shutdownMillis: fc.constantFrom<number[]>(0, 50, 3_000, 20_000),
});

export type Scenario = typeof scenario extends fc.Arbitrary<infer S> ? S : never;

export interface Archives {
  /** Options that make use of them; called once. */
  readonly options: (clock: VirtualClock) => Partial<TieredSpanExporterOptions>;
  /** Of each span, in the order in which they are sent. */
  readonly spanOf?: (index: number) => FakeSpanOverrides;
  /** Told before each step. */
  readonly onStep?: (index: number) => void;
}

/** Stands where the processor stands: calls through the door, with a token per batch, and counts outcomes. */
export async function play(
  { slots, maxBytes, poisonAttempts, steps, shutdownMillis }: Scenario,
  { options, spanOf, onStep }: Archives = { options: () => ({}) },
) {
  const clock = new VirtualClock();
  const backend = new Backend(clock, slots);
  const spool = new MemorySpool({ maxBytes });
  const tiered = new TieredSpanExporter({ hot: backend, spool, clock, poisonAttempts, ...options(clock) });
  const ledger = new Ledger();
  const outcomes: Array<Promise<void>> = [];
  let names = 0;
  let unanswered = 0;

  const send = (spans: number, timeoutMillis: number, abandonMillis?: number) => {
    const all = Array.from({ length: spans }, () => fakeSpan({ ...spanOf?.(names), name: `s${names++}` }));
    const batch = SpanBatch.fromSpans(all, { byteLength: spans * BYTES_PER_SPAN });
    for (let i = 0; i < spans; i++) ledger.endQueued();
    const token = ledger.dispatch(spans);
    const deadline = clock.now() + timeoutMillis;
    const abort = new AbortController();
    const reason = new ExportError('SHUTDOWN', 'the caller has gone');
    const timer = abandonMillis === undefined ? undefined : clock.setTimeout(() => abort.abort(reason), abandonMillis);
    unanswered++;
    const answered = exportAttempt(tiered, batch, { signal: abort.signal, deadline }, { clock }).then((outcome) => {
      unanswered--;
      clock.clearTimeout(timer);
      expect(accountedFor(outcome)).toBe(spans);
      expect(clock.now()).toBeLessThanOrEqual(deadline);
      token.settle(outcome);
      check();
    });
    outcomes.push(answered);
  };
  const check = () => {
    const { accepted, balanced, waiting } = spool.stats();
    expect(balanced).toBe(true);
    expect(ledger.snapshot().balanced).toBe(true);
    expect(spool.bytes).toBeLessThanOrEqual(maxBytes);
    expect(spool.bytes).toBeGreaterThanOrEqual(waiting > 0 ? 1 : 0);
    if (unanswered === 0) expect(ledger.snapshot().handedToSpool).toBe(accepted + archivedAlone(tiered));
    expect(backend.open).toBeLessThanOrEqual(slots);
  };
  const flush = async (timeoutMillis: number) => {
    const deadline = clock.now() + timeoutMillis;
    await tiered.forceFlush({ deadline }).catch(() => {});
    expect(clock.now()).toBeLessThanOrEqual(deadline);
  };

  for (const [index, each] of steps.entries()) {
    onStep?.(index);
    if (each.kind === 'mood') backend.mood = each.mood;
    else if (each.kind === 'send')
      for (let i = 0; i < each.burst; i++) send(each.spans, each.timeoutMillis, each.abandonMillis);
    else if (each.kind === 'flush') outcomes.push(flush(each.timeoutMillis));
    else await clock.advance(each.millis);
    check();
  }
  const deadline = clock.now() + shutdownMillis;
  await clock.run(tiered.shutdown({ deadline }));
  expect(clock.now()).toBeLessThanOrEqual(deadline + SHUTDOWN_SLACK_MILLIS);
  expect(backend.shutdowns).toBe(1);
  send(3, 1_000);
  await clock.run(Promise.all(outcomes));
  check();
  return { clock, backend, spool, tiered, ledger: ledger.snapshot(), sent: names };
}

/** Spans that an archive answers for, and nobody else. */
export function archivedAlone(tiered: TieredSpanExporter): number {
  const { warm, cold } = tiered.stats();
  return [warm, cold].reduce((sum, tier) => {
    if (!tier) return sum;
    expect(tier.spool.balanced).toBe(true);
    return sum + tier.routedSpans;
  }, 0);
}
