import {
  deliveredOutcome,
  type ExportContext,
  type ExportOutcome,
  type ReadableSpan,
  SpanBatch,
  SpanBatchExporterBase,
} from '@otel-resilience/core';
import { VirtualClock } from '@otel-resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FailoverSpanExporter } from './failover-span-exporter.js';

const LATENCY_MILLIS = 20;
const CALL_MILLIS = 10_000;
const batch = SpanBatch.fromSpans([{}, {}] as ReadableSpan[]);

/** Swallows what was sent before `wellFrom`, for good; takes the rest. */
class BlackHole extends SpanBatchExporterBase {
  override readonly prefers = 'spans';
  readonly attempts: number[] = [];
  firstSuccessAt: number | undefined;
  private readonly wellFrom: number;

  constructor(clock: VirtualClock, wellFrom: number) {
    super({ clock });
    this.wellFrom = wellFrom;
  }

  exportBatch(all: SpanBatch, { signal }: ExportContext): Promise<ExportOutcome> {
    const now = this.clock.now();
    this.attempts.push(now);
    if (now < this.wellFrom) return new Promise(() => {});
    return new Promise((resolve) => {
      this.clock.setTimeout(() => {
        if (signal.aborted) return;
        this.firstSuccessAt ??= this.clock.now();
        resolve(deliveredOutcome(all.spanCount));
      }, LATENCY_MILLIS);
    });
  }
}

interface Outage {
  /** When each endpoint is well again, in milliseconds after the start; `Infinity` is never. */
  readonly wellAfter: readonly number[];
  readonly probeEveryMillis: number;
  /** Live batches besides the probes; `undefined` is none. */
  readonly liveEveryMillis?: number;
  /** Each interval is longer by 0 to this much. */
  readonly jitterMillis?: number;
}

/** Runs an outage that begins with closed breakers, until 3 s after the earliest recovery. */
async function recover({ wellAfter, probeEveryMillis, liveEveryMillis, jitterMillis = 0 }: Outage) {
  const clock = new VirtualClock();
  const startedAt = clock.now();
  const leaves = wellAfter.map((millis) => new BlackHole(clock, startedAt + millis));
  const failover = new FailoverSpanExporter({
    endpoints: leaves.map((exporter, index) => ({ name: String(index), exporter })),
    clock,
  });
  let calls = 0;
  let open = 0;
  let stopped = false;
  const every = (intervalMillis: number, context: Pick<ExportContext, 'lastResort'>) => {
    if (stopped) return;
    open++;
    const { signal } = new AbortController();
    failover.exportBatch(batch, { ...context, signal, deadline: clock.now() + CALL_MILLIS }).finally(() => open--);
    const jitter = ((calls++ * 7) % 11) / 10;
    clock.setTimeout(() => every(intervalMillis, context), intervalMillis + jitter * jitterMillis);
  };
  every(probeEveryMillis, { lastResort: true });
  if (liveEveryMillis !== undefined) every(liveEveryMillis, {});

  const recoveryAt = startedAt + Math.min(...wellAfter);
  await clock.advance(recoveryAt - startedAt + 3_000);
  stopped = true;
  const firstSuccessAt = Math.min(...leaves.map((leaf) => leaf.firstSuccessAt ?? Number.POSITIVE_INFINITY));
  // A call may come to its next endpoint until its deadline, and leave it one late call for 30 s from then.
  await clock.advance(CALL_MILLIS + 30_000);
  return { tookMillis: firstSuccessAt - recoveryAt, leaves, recoveryAt, left: { open, timers: clock.pendingTimers } };
}

const outageMillis = fc.integer({ min: 100, max: 100_000 });
const never = fc.constant(Number.POSITIVE_INFINITY);

describe('the last resort, when every endpoint swallows what it gets', () => {
  it('finds any of two that is well again within a second, driven by a probe every 500 ms', async () => {
    const outages = fc.oneof(
      fc.tuple(outageMillis),
      fc.tuple(outageMillis, outageMillis),
      fc.tuple(outageMillis, never),
      fc.tuple(never, outageMillis),
    );
    await fc.assert(
      fc.asyncProperty(outages, async (wellAfter) => {
        const { tookMillis, left } = await recover({ wellAfter, probeEveryMillis: 500 });
        expect(tookMillis).toBeLessThanOrEqual(1_000 + LATENCY_MILLIS);
        expect(left).toEqual({ open: 0, timers: 0 });
      }),
      { numRuns: 40 },
    );
  });

  it('finds any of three within a second, driven by a probe every 250 ms that may be late, beside live traffic', async () => {
    const outages = fc
      .shuffledSubarray([0, 1, 2], { minLength: 3 })
      .chain((order) =>
        fc
          .tuple(outageMillis, fc.oneof(outageMillis, never), never)
          .map((millis) => order.map((index) => millis[index]!)),
      );
    const live = fc.option(fc.integer({ min: 90, max: 1_000 }), { nil: undefined });
    await fc.assert(
      fc.asyncProperty(outages, live, fc.nat(20), async (wellAfter, liveEveryMillis, jitterMillis) => {
        const { tookMillis } = await recover({ wellAfter, probeEveryMillis: 250, liveEveryMillis, jitterMillis });
        expect(tookMillis).toBeLessThanOrEqual(1_000);
      }),
      { numRuns: 25 },
    );
  });

  it('keeps asking each endpoint, through every state of its breaker', async () => {
    const { leaves, recoveryAt } = await recover({ wellAfter: [100_000, 100_000], probeEveryMillis: 500 });
    for (const { attempts } of leaves) {
      const gaps = attempts.slice(1).map((at, index) => at - attempts[index]!);
      expect(Math.max(...gaps)).toBeLessThanOrEqual(1_000);
      // Neither more often than its breaker allows: once per 500 ms, but for the moment at which it opens.
      expect(attempts.filter((at) => at < recoveryAt).length).toBeLessThanOrEqual(100_000 / 500 + 5);
    }
  });
});
