import {
  type Clock,
  deliveredOutcome,
  type ExportContext,
  type ExportOutcome,
  failedOutcome,
  type ReadableSpan,
  type SpanBatch,
  SpanBatchExporterBase,
} from '@otel-resilience/core';
import { fakeSpan, VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { resilience } from './resilience.js';
import type { ResilienceOptions } from './resilience-options.js';

type Health = 'alive' | 'refuses' | 'blackHole';

/**
 * A collector behind a transport that can be cancelled: it takes what is sent at once, and says so after
 * `latencyMillis`. What is sent into a black hole is never answered, not even when that is over.
 */
class Collector extends SpanBatchExporterBase {
  override readonly prefers = 'spans';
  override readonly maxConcurrentExports = 10;
  health: Health = 'alive';
  readonly copies = new Map<ReadableSpan, number>();
  readonly answeredAt: number[] = [];
  open = 0;
  maxOpen = 0;
  latencyMillis: number;
  private readonly timeoutMillis: number;

  constructor(clock: Clock, latencyMillis: number, timeoutMillis: number) {
    super({ clock });
    this.latencyMillis = latencyMillis;
    this.timeoutMillis = timeoutMillis;
  }

  exportBatch(batch: SpanBatch, { signal, deadline }: ExportContext): Promise<ExportOutcome> {
    const { clock, health } = this;
    if (health === 'refuses') {
      return Promise.resolve(
        failedOutcome(batch, 'retryable', Object.assign(new Error('no'), { code: 'ECONNREFUSED' })),
      );
    }
    this.maxOpen = Math.max(this.maxOpen, ++this.open);
    if (health === 'alive') for (const span of batch.spans()) this.copies.set(span, (this.copies.get(span) ?? 0) + 1);
    return new Promise((resolve) => {
      const end = (outcome: ExportOutcome) => {
        this.open--;
        clock.clearTimeout(answer);
        clock.clearTimeout(timeout);
        signal.removeEventListener('abort', onAbort);
        resolve(outcome);
      };
      const fail = (error: Error) => end(failedOutcome(batch, 'retryable', error));
      const onAbort = () => fail(signal.reason);
      signal.addEventListener('abort', onAbort);
      const timeoutMillis = Math.min(this.timeoutMillis, deadline - clock.now());
      const timeout = clock.setTimeout(
        () => fail(Object.assign(new Error('late'), { code: 'DEADLINE_EXCEEDED' })),
        timeoutMillis,
      );
      const answer =
        health === 'alive'
          ? clock.setTimeout(() => {
              this.answeredAt.push(clock.now());
              end(deliveredOutcome(batch.spanCount));
            }, this.latencyMillis)
          : undefined;
    });
  }
}

type Options = ResilienceOptions & { readonly timeoutMillis?: number };

const TICK_MILLIS = 100;
const LARGEST_BATCH = 1_000;

/** `timeoutMillis`: of the exporter itself. */
function setUp(latencies: readonly number[], { timeoutMillis = 10_000, ...options }: Options = {}) {
  const clock = new VirtualClock();
  const collectors = latencies.map((millis) => new Collector(clock, millis, timeoutMillis));
  const r = resilience({
    exporters: collectors.map((exporter, index) => ({ name: 'AB'[index]!, exporter })),
    degradation: { enabled: false },
    retry: { randomizationFactor: 0 },
    metrics: false,
    clock,
    ...options,
  });
  const [processor] = r.sdk.spanProcessors;
  let ended = 0;
  const load = async (spansPerSecond: number, millis: number) => {
    for (let gone = 0; gone < millis; gone += TICK_MILLIS) {
      const spans = (spansPerSecond * TICK_MILLIS) / 1_000;
      for (let i = 0; i < spans; i++) processor!.onEnd(fakeSpan());
      ended += spans;
      await clock.advance(TICK_MILLIS);
    }
  };
  /** Sums up, span by span, how often each has come. */
  const came = () => {
    const copies = new Map<ReadableSpan, number>();
    for (const one of collectors) for (const [span, n] of one.copies) copies.set(span, (copies.get(span) ?? 0) + n);
    return copies;
  };
  const end = async () => {
    await clock.advance(60_000);
    const { balanced, totals } = r.status();
    await clock.run(r.shutdown());
    expect(clock.pendingTimers).toBe(0);
    expect(balanced).toBe(true);
    expect(totals).toMatchObject({ ended, delivered: ended, rejected: 0, waiting: 0, dropped: {} });
    expect(came().size).toBe(ended);
  };
  const [a] = collectors as [Collector];
  return { clock, a, load, end, came };
}

describe('a collector that answers later than an attempt may take, over a transport that can be cancelled', () => {
  it.each([
    { latencies: [2_100], spansPerSecond: 500 },
    { latencies: [3_000], spansPerSecond: 10 },
    { latencies: [3_000], spansPerSecond: 500 },
    { latencies: [3_000], spansPerSecond: 2_000 },
    { latencies: [4_500], spansPerSecond: 500 },
    { latencies: [3_000, 3_000], spansPerSecond: 500 },
    { latencies: [3_000, 10], spansPerSecond: 500 },
    { latencies: [5_500], spansPerSecond: 100 },
    { latencies: [7_000], spansPerSecond: 10 },
    { latencies: [7_000], spansPerSecond: 100 },
    { latencies: [7_000], spansPerSecond: 500 },
    { latencies: [9_000], spansPerSecond: 100 },
    { latencies: [7_000, 7_000], spansPerSecond: 500 },
  ])('gets everything, and only what came first more than once: $latencies ms at $spansPerSecond/s', async (how) => {
    const { load, end, came } = setUp(how.latencies);
    await load(how.spansPerSecond, 30_000);
    const first = new Set(came().keys());
    await load(how.spansPerSecond, 20_000);
    await end();
    const copies = [...came()];
    const duplicates = copies.reduce((sum, [, times]) => sum + times - 1, 0);
    expect(duplicates).toBeLessThanOrEqual(20 * Math.min(LARGEST_BATCH, 5 * how.spansPerSecond));
    expect(copies.filter(([span, times]) => times > 1 && !first.has(span)).length).toBe(0);
  });
});

describe('a collector that takes longer than 10 s, behind exporters that give it 20 s', () => {
  it.each([
    { latencies: [12_000], spansPerSecond: 100 },
    { latencies: [12_000], spansPerSecond: 300 },
    { latencies: [14_000], spansPerSecond: 100 },
    { latencies: [12_000, 12_000], spansPerSecond: 100 },
  ])(
    'gets everything, and only what came first more than once: $latencies ms at $spansPerSecond/s',
    async ({ latencies, spansPerSecond }) => {
      const { load, end, came } = setUp(latencies, { timeoutMillis: 20_000 });
      await load(spansPerSecond, 60_000);
      const first = new Set(came().keys());
      await load(spansPerSecond, 60_000);
      await end();
      expect([...came()].filter(([span, times]) => times > 1 && !first.has(span)).length).toBe(0);
    },
  );

  it('and then swallows everything for 15 s: has the first batch within a second, and nothing is lost', async () => {
    const { clock, a, load, end } = setUp([12_000], { timeoutMillis: 20_000 });
    await load(100, 90_000);
    a.latencyMillis = 10;
    a.health = 'blackHole';
    await load(100, 60_000);
    a.health = 'alive';
    const backAt = clock.now();
    await load(100, 2_000);
    expect(a.answeredAt.find((at) => at > backAt)! - backAt).toBeLessThanOrEqual(1_000);
    await end();
  });
});

describe('a collector that is known to take long', () => {
  it('gets nothing twice when it is given the time from the start', async () => {
    const options = { failover: { attemptTimeoutMillis: 9_000 }, tiered: { hotTimeoutMillis: 10_000 } };
    const { load, end, came } = setUp([7_000], options);
    await load(100, 30_000);
    await end();
    expect([...came().values()].filter((times) => times > 1).length).toBe(0);
  });
});

describe('a collector that has been away for 15 s', () => {
  const faults = ['refuses', 'blackHole'] as const;
  const cases = faults.flatMap((fault) => [500, 2_000].map((spansPerSecond) => ({ fault, spansPerSecond })));

  it.each(cases)(
    'has the first batch within a second: $fault, $spansPerSecond/s',
    async ({ fault, spansPerSecond }) => {
      for (const offset of [0, 200, 400]) {
        const { clock, a, load, end } = setUp([10]);
        await load(spansPerSecond, 10_000);
        a.health = fault;
        await load(spansPerSecond, 15_000 + offset);
        a.health = 'alive';
        const backAt = clock.now();
        await load(spansPerSecond, 2_000);
        expect(a.answeredAt.find((at) => at > backAt)! - backAt).toBeLessThanOrEqual(1_000);
        expect(a.maxOpen).toBeLessThanOrEqual(a.maxConcurrentExports);
        await end();
      }
    },
  );

  it.each([
    { spansPerSecond: 100, quickMillis: 0 },
    { spansPerSecond: 100, quickMillis: 2_000 },
    { spansPerSecond: 2_000, quickMillis: 0 },
    { spansPerSecond: 2_000, quickMillis: 2_000 },
  ])(
    'has the first batch within a second, and nothing is lost, also when it took 7 s before: $spansPerSecond/s, after $quickMillis ms of 10 ms',
    async ({ spansPerSecond, quickMillis }) => {
      const { clock, a, load, end } = setUp([7_000]);
      await load(spansPerSecond, 40_000);
      a.latencyMillis = 10;
      await load(spansPerSecond, quickMillis);
      a.health = 'blackHole';
      await load(spansPerSecond, 15_000);
      a.health = 'alive';
      const backAt = clock.now();
      await load(spansPerSecond, 2_000);
      expect(a.answeredAt.find((at) => at > backAt)! - backAt).toBeLessThanOrEqual(1_000);
      await end();
    },
  );
});
