import {
  accountedFor,
  deliveredOutcome,
  type ExportContext,
  ExportError,
  type ExportOutcome,
  failedOutcome,
  followedBy,
  type ReadableSpan,
  SpanBatch,
  SpanBatchExporterBase,
} from '@otel-resilience/core';
import { FailoverSpanExporter, type FailoverStrategy } from '@otel-resilience/exporter';
import { VirtualClock } from '@otel-resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

/** What an endpoint does with one batch. */
interface Step {
  readonly kind: 'settle' | 'hang' | 'throw';
  readonly afterMillis: number;
  /** Shares of the batch, taken from what is left each time. */
  readonly delivered: number;
  readonly rejected: number;
  readonly failure: 'retryable' | 'throttled' | 'permanent' | 'refused' | 'shutdown';
  readonly retryAfterMillis: number | undefined;
}

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.oneof({ weight: 6, arbitrary: fc.constant('settle' as const) }, fc.constantFrom('hang', 'throw')),
  afterMillis: fc.nat(3_000),
  delivered: fc.constantFrom(0, 0, 0.5, 1),
  rejected: fc.constantFrom(0, 0.3),
  failure: fc.constantFrom('retryable', 'retryable', 'throttled', 'permanent', 'refused', 'shutdown'),
  retryAfterMillis: fc.option(fc.oneof(fc.integer({ min: -10, max: 20_000 }), fc.constant(Number.NaN)), {
    nil: undefined,
  }),
});

interface Attempt {
  readonly call: string;
  readonly endpoint: string;
  readonly lastResort: boolean;
}

class Scripted extends SpanBatchExporterBase {
  override readonly prefers = 'spans';
  private readonly name: string;
  private readonly script: readonly Step[];
  private readonly attempts: Attempt[];
  private next = 0;

  constructor(name: string, script: readonly Step[], attempts: Attempt[], clock: VirtualClock) {
    super({ clock });
    this.name = name;
    this.script = script;
    this.attempts = attempts;
  }

  async exportBatch(batch: SpanBatch, { lastResort = false }: ExportContext): Promise<ExportOutcome> {
    // Every span carries the name of its call, so attempts can be told apart by what they were given.
    this.attempts.push({ call: batch.spans()[0]!.name, endpoint: this.name, lastResort });
    const { kind, ...answer } = this.script[this.next++ % this.script.length]!;
    if (kind === 'throw') throw new Error('broken');
    if (kind === 'hang') return new Promise(() => {});
    await new Promise<void>((resolve) => this.clock.setTimeout(resolve, answer.afterMillis));
    const delivered = Math.floor(batch.spanCount * answer.delivered);
    const rejected = Math.floor((batch.spanCount - delivered) * answer.rejected);
    const left = batch.spanCount - delivered - rejected;
    const settled = deliveredOutcome(delivered + rejected, rejected);
    if (left === 0) return settled;
    const rest = batch.slice(batch.spanCount - left);
    return followedBy(settled, failedOutcome(rest, answer.failure, new Error(answer.failure), answer.retryAfterMillis));
  }
}

interface Call {
  readonly atMillis: number;
  readonly spans: number;
  readonly timeoutMillis: number;
  readonly abortAfterMillis: number | undefined;
  readonly lastResort: boolean;
}

const call: fc.Arbitrary<Call> = fc.record({
  atMillis: fc.nat(60_000),
  spans: fc.integer({ min: 1, max: 20 }),
  timeoutMillis: fc.integer({ min: 0, max: 15_000 }),
  abortAfterMillis: fc.option(fc.nat(5_000), { nil: undefined }),
  lastResort: fc.boolean(),
});

const STRATEGIES: FailoverStrategy[] = ['priority', 'roundRobin', 'weighted', 'random', 'fastest', 'leastInFlight'];

const scenario = fc.record({
  scripts: fc.array(fc.array(step, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 5 }),
  calls: fc.array(call, { minLength: 1, maxLength: 30 }),
  strategy: fc.constantFrom(...STRATEGIES),
  maxEjectionRatio: fc.constantFrom(0, 0.5, 1),
  shutdownAtMillis: fc.option(fc.nat(70_000), { nil: undefined }),
});

/** Counts the listeners on a signal, since Node does not tell. */
function watched(): { controller: AbortController; listeners: () => number } {
  const controller = new AbortController();
  const { signal } = controller;
  let count = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    count++;
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    count--;
    removeEventListener.apply(signal, args);
  };
  return { controller, listeners: () => count };
}

async function play({
  scripts,
  calls,
  strategy,
  maxEjectionRatio,
  shutdownAtMillis,
}: typeof scenario extends fc.Arbitrary<infer S> ? S : never) {
  const clock = new VirtualClock();
  const attempts: Attempt[] = [];
  const failover = new FailoverSpanExporter({
    endpoints: scripts.map((script, index) => ({
      name: String(index),
      exporter: new Scripted(String(index), script, attempts, clock),
    })),
    strategy,
    maxEjectionRatio,
    clock,
    random: () => 0.5,
  });
  const results: { call: Call; outcome: ExportOutcome; tookMillis: number; listeners: number }[] = [];
  calls.forEach((one, index) => {
    clock.setTimeout(() => {
      const span = { name: String(index) } as ReadableSpan;
      const batch = SpanBatch.fromSpans(Array.from({ length: one.spans }, () => span));
      const { controller, listeners } = watched();
      const startedAt = clock.now();
      const context = {
        signal: controller.signal,
        deadline: startedAt + one.timeoutMillis,
        lastResort: one.lastResort,
      };
      const abort = () => controller.abort(new ExportError('DEADLINE_EXCEEDED', 'given up'));
      const timer = one.abortAfterMillis === undefined ? undefined : clock.setTimeout(abort, one.abortAfterMillis);
      failover.exportBatch(batch, context).then((outcome) => {
        clock.clearTimeout(timer);
        results.push({ call: one, outcome, tookMillis: clock.now() - startedAt, listeners: listeners() });
      });
    }, one.atMillis);
  });
  if (shutdownAtMillis !== undefined) clock.setTimeout(() => void failover.shutdown(), shutdownAtMillis);
  await clock.advance(100_000);
  return { clock, attempts, failover, results };
}

describe('failover', () => {
  it('accounts for every span, by its deadline, and leaves no timer and no listener', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async (given) => {
        const { clock, results } = await play(given);
        expect(results).toHaveLength(given.calls.length);
        for (const { call, outcome, tookMillis, listeners } of results) {
          expect(accountedFor(outcome)).toBe(call.spans);
          expect(tookMillis).toBeLessThanOrEqual(call.timeoutMillis + 1e-6);
          expect(listeners).toBe(0);
          if (outcome.remaining) {
            expect(outcome.error).toBeInstanceOf(Error);
            if (outcome.retryAfterMillis !== undefined) expect(outcome.retryAfterMillis).toBeGreaterThan(0);
          }
        }
        expect(clock.pendingTimers).toBe(0);
      }),
      { numRuns: 150 },
    );
  });

  it('asks no endpoint twice in one call and mode', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async (given) => {
        const { attempts } = await play(given);
        const keys = attempts.map(({ call, endpoint, lastResort }) => `${call}/${endpoint}/${lastResort}`);
        expect(new Set(keys).size).toBe(keys.length);
      }),
      { numRuns: 100 },
    );
  });

  it('delivers when an endpoint with a closed breaker takes everything and there is time', async () => {
    const broken = fc.array(fc.array(step, { minLength: 1, maxLength: 3 }), { maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(broken, fc.nat(3), fc.constantFrom(...STRATEGIES), async (scripts, place, strategy) => {
        const well: Step[] = [
          {
            kind: 'settle',
            afterMillis: 5,
            delivered: 1,
            rejected: 0,
            failure: 'retryable',
            retryAfterMillis: undefined,
          },
        ];
        const others = scripts.map((script) =>
          script.map((one) => (one.failure === 'shutdown' ? { ...one, failure: 'retryable' as const } : one)),
        );
        const calls = Array.from({ length: 12 }, (_, index) => ({
          atMillis: index * 700,
          spans: 7,
          timeoutMillis: 20_000,
          abortAfterMillis: undefined,
          lastResort: false,
        }));
        const all = [...others.slice(0, place), well, ...others.slice(place)];
        const { results } = await play({
          scripts: all,
          calls,
          strategy,
          maxEjectionRatio: 0.5,
          shutdownAtMillis: undefined,
        });
        for (const { outcome } of results) {
          expect(outcome.remaining).toBeUndefined();
          expect(outcome.delivered + outcome.rejected).toBe(7);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('loses no count: what endpoints report adds up to what the calls report', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async (given) => {
        const { failover, results } = await play({ ...given, shutdownAtMillis: undefined });
        const delivered = results.reduce((sum, { outcome }) => sum + outcome.delivered, 0);
        const reported = failover.endpoints().reduce((sum, { counts }) => sum + counts.deliveredSpans, 0);
        expect(reported).toBe(delivered);
        for (const { inFlight, counts } of failover.endpoints()) {
          const failed = Object.values(counts.failed).reduce((sum, count) => sum + count, 0);
          expect({ inFlight, attempts: counts.attempts }).toEqual({ inFlight: 0, attempts: counts.succeeded + failed });
        }
      }),
      { numRuns: 60 },
    );
  });
});
