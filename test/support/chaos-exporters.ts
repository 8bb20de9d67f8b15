import type { Clock, ExportContext, ExportOutcome, ReadableSpan, SpanBatch, SpanExporter } from '@otel-resilience/core';
import { accountedFor, decodeSpans, ExportError, failedOutcome } from '@otel-resilience/core';
import { type ExportStep, type OutcomeStep, ScriptedBatchExporter, ScriptedExporter } from '@otel-resilience/testing';
import fc from 'fast-check';
import { UNPRINTABLE } from './hostile-spans.js';

/** An exporter that behaves as arbitrarily as its script, and what a test wants to know of it. */
export interface Chaos {
  readonly exporter: SpanExporter | ScriptedBatchExporter;
  /** What it bears at a time. */
  readonly bears: number;
  readonly observed: {
    readonly openExports: number;
    readonly maxOpenExports: number;
    readonly shutdowns: number;
  };
  /** The id of every span it has taken, in order; those of a call that threw were not taken, and may be offered again. */
  readonly spanIds: readonly string[];
  /** Those it has acknowledged or stored, in time or late. */
  readonly acknowledged: readonly string[];
  /** Answers, late, what hangs. */
  release(): void;
}

type Observe = (what: string) => void;
export type MakeChaos = (clock: Clock, observe: Observe) => Chaos;

const fail = (properties: object, message = 'no') => Object.assign(new Error(message), properties);
const error = fc.constantFrom<(() => Error | undefined)[]>(
  () => undefined,
  () => fail({}),
  () => fail({ code: 400 }),
  () => fail({ code: 429, headers: { 'retry-after': '3' } }),
  () => fail({ code: 503 }),
  () => fail({ code: 'ECONNREFUSED' }),
  () => fail({ code: 14, details: 'gone' }),
  () => fail({}, 'Concurrent export limit reached'),
  () => new ExportError('SHUTDOWN', 'stopping'),
);
const delayMillis = fc.option(fc.nat(40_000), { nil: undefined });
const thrown = fc.constantFrom<unknown[]>(new Error('thrown'), undefined, 'a string', UNPRINTABLE);
const lifecycle = fc.constantFrom('resolve', 'resolve', 'reject', 'throw', 'never');

const stockStep: fc.Arbitrary<ExportStep> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('success' as const), delayMillis }) },
  fc.record({ kind: fc.constant('failure' as const), error: error.map((make) => make()), delayMillis }),
  fc.record({ kind: fc.constantFrom('throw' as const, 'reject' as const), error: thrown }),
  fc.record({ kind: fc.constant('twice' as const), error: error.map((make) => make()), delayMillis }),
  fc.constantFrom<ExportStep[]>('never', 'afterShutdown'),
);

/** A stock `SpanExporter`; a wrong one returns promises, throws, calls back twice, late or never. */
export const stockChaos: fc.Arbitrary<MakeChaos> = fc
  .record({ script: fc.array(stockStep, { maxLength: 12 }), onForceFlush: lifecycle, onShutdown: lifecycle })
  .map(
    printable((options) => (clock: Clock, observe: Observe): Chaos => {
      const scripted = new ScriptedExporter({ ...options, clock });
      const taken: ReadableSpan[] = [];
      return {
        exporter: {
          export(spans, resultCallback) {
            observe('export');
            const returned = scripted.export(spans, resultCallback);
            taken.push(...spans);
            return returned;
          },
          forceFlush() {
            observe('forceFlush');
            return scripted.forceFlush();
          },
          shutdown() {
            observe('shutdown');
            return scripted.shutdown();
          },
        },
        bears: 1,
        observed: scripted,
        get spanIds() {
          return taken.map(idOf);
        },
        get acknowledged() {
          return scripted.deliveredSpans.map(idOf);
        },
        release: () => scripted.answerOpen(),
      };
    }),
  );

const FAILURES = ['retryable', 'throttled', 'permanent', 'refused', 'shutdown'] as const;
const share = fc.constantFrom(0, 0, 0.5, 1);
type BatchStep = (released: Promise<void>) => OutcomeStep;

const NAMED_STEPS: Readonly<Record<string, BatchStep>> = {
  hangs: always('hang'),
  'hangs until its signal aborts': always((batch, { signal }) => untilAborted(batch, signal)),
  'hangs until released': (released) => (batch) => released.then(() => partly(batch, { delivered: 1 })),
  'returns nothing': always(() => undefined as never),
  'returns no outcome': always(() => ({}) as never),
  'accounts for too many': always(() => partly({ spanCount: 1_000 } as SpanBatch, { delivered: 1 })),
  'counts below zero': always(({ spanCount }) => outcome({ delivered: -1, rejected: spanCount + 1 })),
  'counts halves': always(({ spanCount }) => outcome({ delivered: spanCount - 0.5, rejected: 0.5 })),
};

export interface BatchChaosOptions {
  readonly stores: boolean;
  readonly prefers: 'spans' | 'bytes';
}

const batchStep = (stores: boolean): fc.Arbitrary<BatchStep> =>
  fc.oneof(
    {
      weight: 2,
      arbitrary: fc
        .record({ kind: stores ? fc.constantFrom('delivered', 'stored') : fc.constant('delivered'), delayMillis })
        .map(printable((step) => always(step))),
    },
    fc
      .record({
        failure: fc.constantFrom(...FAILURES),
        delivered: share,
        rejected: share,
        stored: stores ? share : fc.constant(0),
      })
      .map(printable((shares) => always((batch) => partly(batch, shares)))),
    fc.constantFrom(...Object.keys(NAMED_STEPS)).map(printable((name) => NAMED_STEPS[name]!)),
    thrown.map(printable((error) => always({ kind: 'throw', error }))),
  );

/** One of ours, or of a user's own; a wrong one rejects, or returns outcomes that do not add up. */
export const batchChaos = ({ stores, prefers }: BatchChaosOptions): fc.Arbitrary<MakeChaos> =>
  fc
    .record({
      steps: fc.array(batchStep(stores), { maxLength: 12 }),
      maxConcurrentExports: fc.integer({ min: 1, max: 8 }),
      onForceFlush: lifecycle,
      onShutdown: lifecycle,
    })
    .map(
      printable(({ steps, ...options }) => (clock: Clock, observe: Observe): Chaos => {
        let release = () => {};
        const released = new Promise<void>((resolve) => {
          release = resolve;
        });
        const exporter = new ObservedBatchExporter(observe, {
          ...options,
          prefers,
          script: steps.map((step) => step(released)),
          clock,
        });
        return {
          exporter,
          bears: options.maxConcurrentExports,
          observed: exporter,
          get spanIds() {
            return exporter.exports.flatMap(({ batch }) => exporter.idsOf(batch));
          },
          acknowledged: exporter.acknowledged,
          release,
        };
      }),
    );

class ObservedBatchExporter extends ScriptedBatchExporter {
  readonly acknowledged: string[] = [];
  private readonly observe: Observe;

  constructor(observe: Observe, options: ConstructorParameters<typeof ScriptedBatchExporter>[0]) {
    super(options);
    this.observe = observe;
  }

  override async exportBatch(batch: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    this.observe('exportBatch');
    const outcome = await super.exportBatch(batch, context);
    if (outcome && accountedFor(outcome) === batch.spanCount) this.acknowledge(batch, outcome);
    return outcome;
  }

  /** The order of `partly`: first what was delivered, then what was rejected, then what was stored. */
  private acknowledge(batch: SpanBatch, { delivered, rejected, stored }: ExportOutcome): void {
    const ids = this.idsOf(batch);
    this.acknowledged.push(...ids.slice(0, delivered));
    this.acknowledged.push(...ids.slice(delivered + rejected, delivered + rejected + stored));
  }

  /** In order. The batch stays in the form that it has. */
  idsOf(batch: SpanBatch): string[] {
    return (this.prefers === 'bytes' ? decodeSpans(batch.otlp()) : batch.spans()).map(idOf);
  }

  protected override onFlush(): Promise<void> {
    this.observe('forceFlush');
    return super.onFlush();
  }

  protected override onShutdown(): Promise<void> {
    this.observe('shutdown');
    return super.onShutdown();
  }
}

const idOf = (span: ReadableSpan): string => span.spanContext().spanId;

/** Makes functions whose arbitrary origin a counterexample shows. */
function printable<T, F extends object>(make: (value: T) => F): (value: T) => F {
  return (value) => Object.assign(make(value), { [fc.toStringMethod]: () => fc.stringify(value) });
}

function outcome(counts: { delivered: number; rejected: number }): ExportOutcome {
  return { ...counts, stored: 0, dropped: {} };
}

function always(step: OutcomeStep): BatchStep {
  return () => step;
}

interface Shares {
  readonly delivered?: number;
  readonly rejected?: number;
  readonly stored?: number;
  readonly failure?: (typeof FAILURES)[number];
}

/** Each share is taken from what the ones before it have left; the rest fails, or is dropped without a failure. */
function partly(batch: SpanBatch, { failure, ...shares }: Shares): ExportOutcome {
  let left = batch.spanCount;
  const take = (share = 0) => {
    const taken = Math.floor(left * share);
    left -= taken;
    return taken;
  };
  const settled = { delivered: take(shares.delivered), rejected: take(shares.rejected), stored: take(shares.stored) };
  if (left === 0 || !failure) return { ...settled, dropped: left > 0 ? { chaos: left } : {} };
  const { remaining, error } = failedOutcome(batch.slice(batch.spanCount - left), failure, new Error(failure));
  return { ...settled, dropped: {}, remaining: remaining!, failure, error: error! };
}

function untilAborted(batch: SpanBatch, signal: AbortSignal): Promise<ExportOutcome> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(failedOutcome(batch, 'retryable', signal.reason)), { once: true });
  });
}
