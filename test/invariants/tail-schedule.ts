import type { ReadableSpan } from '@otel-resilience/core';
import type { TailSamplingSpanProcessorOptions } from '@otel-resilience/sampler';
import type { FakeSpanOverrides } from '@otel-resilience/testing';
import fc from 'fast-check';
import { expect } from 'vitest';
import { LedgerProcessor, type StartedSpan, tailSampling, thresholdOf } from '../support/tail-sampling.js';

/** What a process does to its spans; the same whatever the sampler has decided. */
export type Step =
  | { readonly do: 'root'; readonly traceId: number; readonly remote: boolean; readonly certainty: Certainty }
  | { readonly do: 'child'; readonly of: number }
  | { readonly do: 'end'; readonly which: number; readonly how: keyof typeof ENDINGS; readonly size: number }
  | { readonly do: 'advance'; readonly millis: number }
  | { readonly do: 'flush' };

/** `head`: the local root was kept with a ratio of 1, so there is nothing to hold. */
type Certainty = 'all' | 'localRoot' | 'none' | 'head';

const ENDINGS = { calm: {}, failed: { isError: true }, slow: { durationMillis: 5_000 } } as const satisfies Record<
  string,
  FakeSpanOverrides
>;

const root = (certainty: fc.Arbitrary<Certainty>) =>
  fc.record({
    do: fc.constant('root' as const),
    traceId: fc.integer({ min: 1, max: 12 }),
    remote: fc.boolean(),
    certainty,
  });
const child = fc.record({ do: fc.constant('child' as const), of: fc.nat() });
const end = fc.record({
  do: fc.constant('end' as const),
  which: fc.nat(),
  how: fc.oneof(
    { weight: 8, arbitrary: fc.constant('calm' as const) },
    fc.constantFrom('failed' as const, 'slow' as const),
  ),
  size: fc.integer({ min: 0, max: 300 }),
});
const limits = fc.oneof(
  fc.record({ do: fc.constant('advance' as const), millis: fc.integer({ min: 1, max: 800 }) }),
  fc.constant({ do: 'flush' as const }),
);

const anyCertainty = fc.oneof(
  { weight: 4, arbitrary: fc.constant('all' as const) },
  fc.constantFrom('localRoot' as const, 'none' as const, 'head' as const),
);

const steps = (step: fc.Arbitrary<Step>) => fc.array(step, { minLength: 1, maxLength: 120, size: 'max' });
const ofSpans: fc.WeightedArbitrary<Step>[] = [
  { weight: 4, arbitrary: root(anyCertainty) },
  { weight: 6, arbitrary: child },
  { weight: 8, arbitrary: end },
];

export const calmSchedule: fc.Arbitrary<Step[]> = steps(fc.oneof(...ofSpans));
export const schedule: fc.Arbitrary<Step[]> = steps(fc.oneof(...ofSpans, { weight: 1, arbitrary: limits }));

export const tightLimits = fc.record({
  maxHeldTraces: fc.integer({ min: 1, max: 8 }),
  maxHeldBytes: fc.integer({ min: 1_000, max: 20_000 }),
  maxHoldMillis: fc.constant(1_000),
});

interface OpenSpan {
  readonly index: number;
  readonly started: StartedSpan;
  readonly localRoot: OpenSpan | undefined;
  readonly certainty: Certainty;
  hasEnded: boolean;
  endsWith: keyof typeof ENDINGS | undefined;
  endedAfterRoot: boolean;
}

/** Plays a schedule; what the head decides about the n-th local root is `flags[n]`. */
export class Play {
  readonly next = new LedgerProcessor();
  readonly spans: OpenSpan[] = [];
  /** Everything that must be the same for other flags, after each step. */
  readonly history: unknown[] = [];
  private readonly flags: readonly boolean[];
  private readonly options: Partial<TailSamplingSpanProcessorOptions>;
  private readonly world: ReturnType<typeof tailSampling<LedgerProcessor>>;
  private roots = 0;
  private ended = 0;

  constructor(flags: readonly boolean[], options: Partial<TailSamplingSpanProcessorOptions> = {}) {
    this.flags = flags;
    this.options = options;
    this.world = tailSampling(options, this.next);
  }

  async run(schedule: readonly Step[]): Promise<this> {
    for (const step of schedule) {
      await this.play(step);
      this.check();
    }
    await this.world.tail.shutdown();
    this.check();
    expect(this.world.clock.pendingTimers).toBe(0);
    return this;
  }

  /** The numbers of the spans that were handed on with threshold 0. */
  get kept(): number[] {
    return this.numbersOf(this.next.exported.filter((span) => thresholdOf(span) === '0'));
  }

  get received(): number[] {
    return this.numbersOf(this.next.ended);
  }

  get exported(): number[] {
    return this.numbersOf(this.next.exported);
  }

  private numbersOf(spans: readonly ReadableSpan[]): number[] {
    return spans.map(({ name }) => Number(name)).sort((a, b) => a - b);
  }

  private async play(step: Step): Promise<void> {
    const { process, clock, tail } = this.world;
    if (step.do === 'advance') return clock.advance(step.millis);
    if (step.do === 'flush') return tail.forceFlush();
    if (step.do === 'root') return this.startRoot(step);
    if (step.do === 'child') {
      // Of spans that are open, and of local roots: what starts under others after their end is not told apart.
      const parents = this.spans.filter(({ hasEnded, localRoot, certainty }) => {
        return (!hasEnded || localRoot === undefined) && certainty !== 'localRoot';
      });
      const parent = parents[step.of % parents.length];
      if (parent) this.add(process.child(parent.started), parent.localRoot ?? parent, parent.certainty);
      return;
    }
    const open = this.spans.filter(({ hasEnded }) => !hasEnded);
    const span = open[step.which % open.length];
    if (!span) return;
    span.hasEnded = true;
    span.endsWith = step.how;
    span.endedAfterRoot = span.localRoot?.hasEnded === true;
    this.ended++;
    const attributes = { padding: 'x'.repeat(step.size) };
    process.end(span.started, { name: String(span.index), attributes, ...ENDINGS[step.how] });
  }

  private startRoot({ traceId, remote, certainty }: Step & { do: 'root' }): void {
    // A root makes a new trace id; only those with a remote parent can share one, and of them nobody knows that all
    // are kept.
    const isRemote = remote && certainty !== 'head';
    const id = isRemote ? traceId : 1_000 + this.spans.length;
    // What is not recorded for certain is recorded only when the head has sampled it: no flag to turn.
    const isFixed = certainty === 'none' || certainty === 'head';
    const started = this.world.process.root({
      traceId: id.toString(16).padStart(32, '0'),
      remoteParentId: isRemote ? 'f'.repeat(16) : undefined,
      certainty: certainty === 'head' ? 'all' : certainty,
      holds: certainty !== 'head',
      sampled: isFixed || this.flags[this.roots % this.flags.length]!,
      traceState: certainty === 'head' ? 'ot=th:0' : undefined,
    });
    this.roots++;
    this.add(started, undefined, certainty);
  }

  private add(started: StartedSpan, localRoot: OpenSpan | undefined, certainty: Certainty): void {
    const index = this.spans.length;
    this.spans.push({
      index,
      started,
      localRoot,
      certainty,
      hasEnded: false,
      endsWith: undefined,
      endedAfterRoot: false,
    });
  }

  private check(): void {
    const stats = this.world.tail.stats();
    const ledger = this.next.ledger.snapshot();
    expect(stats).toMatchObject({ ended: this.ended, balanced: true, nextFailures: 0 });
    expect(ledger).toMatchObject({ ended: this.ended, held: stats.held.spans, balanced: true });
    const { maxHeldTraces = 20_000, maxHeldBytes = Number.POSITIVE_INFINITY } = this.options;
    expect(stats.held.traces).toBeLessThanOrEqual(maxHeldTraces);
    expect(stats.held.bytes).toBeLessThanOrEqual(maxHeldBytes);
    expect(this.world.clock.pendingTimers).toBeLessThanOrEqual(1);
    if (stats.held.traces > 0) expect(this.world.clock.pendingTimers).toBe(1);
    const { held, kept, keptTraces, earlyDecisions, late } = stats;
    this.history.push({ held, kept, keptTraces, earlyDecisions, late });
  }
}
