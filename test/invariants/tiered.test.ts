import {
  accountedFor,
  deliveredOutcome,
  type ExportContext,
  ExportError,
  type ExportOutcome,
  exportAttempt,
  failedOutcome,
  followedBy,
  Ledger,
  SpanBatch,
  SpanBatchExporterBase,
  sleep,
} from '@otel-resilience/core';
import { FailoverSpanExporter, RetryingSpanExporter } from '@otel-resilience/exporter';
import { fakeSpan, VirtualClock } from '@otel-resilience/testing';
import { MemorySpool, TieredSpanExporter } from '@otel-resilience/tiered';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

/** What hot does to the batches that reach it, for a while. */
type Mood =
  | { does: 'take'; latencyMillis: number }
  | { does: 'part'; share: number }
  | { does: 'fail'; failure: 'retryable' | 'throttled' | 'permanent' | 'refused'; hintMillis?: number }
  /** Ends when it is aborted; a `deaf` one never does. */
  | { does: 'hang'; deaf: boolean }
  /** Receives, and answers when nobody listens any more. */
  | { does: 'takeLate' }
  | { does: 'throw' }
  | { does: 'lie' };

type Step =
  | { kind: 'mood'; mood: Mood }
  | { kind: 'send'; spans: number; timeoutMillis: number; burst: number; abandonMillis?: number }
  | { kind: 'wait'; millis: number }
  | { kind: 'flush'; timeoutMillis: number };

const BYTES_PER_SPAN = 100;
const SHUTDOWN_SLACK_MILLIS = 1e-6; // deadlines are sums of fractions

/** Receives span names and keeps the books that the ledgers are compared with. */
class Backend extends SpanBatchExporterBase {
  override readonly prefers = 'spans';
  override readonly maxConcurrentExports: number;
  mood: Mood = { does: 'take', latencyMillis: 5 };
  readonly received = new Map<string, number>();
  /** Received in an attempt that was given up: to be sent again, rightly. */
  readonly ambiguous = new Set<string>();
  /** Calls that have neither answered nor been given up by their caller. */
  open = 0;
  maxOpen = 0;
  shutdowns = 0;

  constructor(clock: VirtualClock, maxConcurrentExports: number) {
    super({ clock });
    this.maxConcurrentExports = maxConcurrentExports;
  }

  async exportBatch(batch: SpanBatch, { signal }: ExportContext): Promise<ExportOutcome> {
    this.maxOpen = Math.max(this.maxOpen, ++this.open);
    let left = false;
    const leave = () => {
      if (!left) this.open--;
      left = true;
    };
    signal.addEventListener('abort', leave, { once: true });
    try {
      return await this.answer(batch, signal);
    } finally {
      leave();
      signal.removeEventListener('abort', leave);
    }
  }

  protected override async onShutdown(): Promise<void> {
    this.shutdowns++;
  }

  private async answer(batch: SpanBatch, signal: AbortSignal): Promise<ExportOutcome> {
    const { mood } = this;
    switch (mood.does) {
      case 'take':
        await sleep(this.clock, mood.latencyMillis);
        return this.receive(batch, signal, batch.spanCount);
      case 'part':
        return this.receive(batch, signal, Math.floor(batch.spanCount * mood.share));
      case 'fail':
        return failedOutcome(batch, mood.failure, new Error(mood.failure), mood.hintMillis);
      case 'hang':
        if (!mood.deaf) return new Promise((resolve) => signal.addEventListener('abort', () => resolve(fail(batch))));
        return new Promise(() => {});
      case 'takeLate':
        await sleep(this.clock, 12_000);
        return this.receive(batch, signal, batch.spanCount);
      case 'throw':
        throw new Error('a bug');
      case 'lie':
        return deliveredOutcome(batch.spanCount + 1);
    }
  }

  private receive(batch: SpanBatch, signal: AbortSignal, count: number): ExportOutcome {
    for (const { name } of batch.spans().slice(0, count)) {
      this.received.set(name, (this.received.get(name) ?? 0) + 1);
      if (signal.aborted) this.ambiguous.add(name);
    }
    if (count === batch.spanCount) return deliveredOutcome(count);
    return followedBy(deliveredOutcome(count), fail(batch.slice(count)));
  }
}

const fail = (batch: SpanBatch) => failedOutcome(batch, 'retryable', new Error('no'));

const mood: fc.Arbitrary<Mood> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ does: fc.constant('take' as const), latencyMillis: fc.constantFrom(0, 20, 700, 6_000) }),
  },
  fc.record({ does: fc.constant('part' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  {
    weight: 3,
    arbitrary: fc.record({
      does: fc.constant('fail' as const),
      failure: fc.constantFrom('retryable', 'retryable', 'throttled', 'permanent', 'refused'),
      hintMillis: fc.option(fc.constantFrom(0, 1_500, 1e9), { nil: undefined }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('hang' as const), deaf: fc.boolean() }) },
  fc.record({ does: fc.constantFrom('takeLate' as const, 'throw' as const, 'lie' as const) }) as fc.Arbitrary<Mood>,
);

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

const scenario = fc.record({
  slots: fc.constantFrom(1, 2, 5, Number.POSITIVE_INFINITY),
  maxBytes: fc.integer({ min: 1_000, max: 20_000 }),
  poisonAttempts: fc.constantFrom(2, 10),
  steps: fc.array(step, { maxLength: 40 }),
  shutdownMillis: fc.constantFrom(0, 50, 3_000, 20_000),
});

/** Stands where the processor stands: calls through the door, with a token per batch, and counts outcomes. */
async function play({
  slots,
  maxBytes,
  poisonAttempts,
  steps,
  shutdownMillis,
}: typeof scenario extends fc.Arbitrary<infer S> ? S : never) {
  const clock = new VirtualClock();
  const backend = new Backend(clock, slots);
  const spool = new MemorySpool({ maxBytes });
  const tiered = new TieredSpanExporter({ hot: backend, spool, clock, poisonAttempts });
  const ledger = new Ledger();
  const outcomes: Array<Promise<void>> = [];
  let names = 0;
  let unanswered = 0;

  const send = (spans: number, timeoutMillis: number, abandonMillis?: number) => {
    const all = Array.from({ length: spans }, () => fakeSpan({ name: `s${names++}` }));
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
    if (unanswered === 0) expect(ledger.snapshot().handedToSpool).toBe(accepted);
    expect(backend.open).toBeLessThanOrEqual(slots);
  };
  const flush = async (timeoutMillis: number) => {
    const deadline = clock.now() + timeoutMillis;
    await tiered.forceFlush({ deadline }).catch(() => {});
    expect(clock.now()).toBeLessThanOrEqual(deadline);
  };

  for (const each of steps) {
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
