import {
  aClock,
  type Clock,
  deliveredOutcome,
  type ExportContext,
  ExportError,
  type ExportOutcome,
  type Failure,
  failedOutcome,
  followedBy,
  list,
  oneOf,
  optional,
  positiveInteger,
  readOptions,
  type SpanBatch,
  SpanBatchExporterBase,
  sleep,
  storedOutcome,
} from '@otel-resilience/core';
import { Script, step } from '../script.js';
import { LIFECYCLE, type LifecycleAnswer, lifecycle } from './lifecycle.js';
import { OpenCalls } from './open-calls.js';

/** What one `exportBatch` does; a bare word is short for an object with that `kind`, or with that `failure`. */
export type OutcomeStep =
  | 'delivered'
  | 'stored'
  | 'hang'
  | 'throw'
  | Failure
  /** All delivered but `rejected` of them (default 0). */
  | { readonly kind: 'delivered'; readonly rejected?: number; readonly delayMillis?: number }
  | { readonly kind: 'stored'; readonly delayMillis?: number }
  | FailedStep
  /** Never settles, and ignores its signal. */
  | { readonly kind: 'hang' }
  /** Breaks the contract: rejects. */
  | { readonly kind: 'throw'; readonly error?: unknown }
  | ((batch: SpanBatch, context: ExportContext) => ExportOutcome | Promise<ExportOutcome>);

export interface FailedStep {
  readonly kind: 'failed';
  readonly failure: Failure;
  readonly error?: Error;
  readonly retryAfterMillis?: number;
  /** This many spans, the first ones, are delivered; the rest remains. Default 0. */
  readonly delivered?: number;
  readonly delayMillis?: number;
}

export interface ScriptedBatchExporterOptions {
  /** One step per export. Default: none. */
  readonly script?: readonly OutcomeStep[];
  /** What every export after the script does. Default `delivered`. */
  readonly otherwise?: OutcomeStep;
  /** Default `spans`, so that a test can look at them. */
  readonly prefers?: 'spans' | 'bytes';
  /** Declared, not enforced: `maxOpenExports` says whether it was kept. Default: no limit. */
  readonly maxConcurrentExports?: number;
  /** Default `resolve`. */
  readonly onForceFlush?: LifecycleAnswer;
  /** Default `resolve`. */
  readonly onShutdown?: LifecycleAnswer;
  readonly clock?: Clock;
}

/** One call of `exportBatch`. */
export interface RecordedBatch {
  readonly batch: SpanBatch;
  readonly context: ExportContext;
  /** By the clock's `now()`, in milliseconds. */
  readonly at: number;
}

const STEP = step<OutcomeStep>({
  kinds: ['delivered', 'stored', 'failed', 'hang', 'throw'],
  words: ['delivered', 'stored', 'hang', 'throw', 'retryable', 'throttled', 'permanent', 'refused', 'shutdown'],
});
const SCHEMA = {
  script: optional(list(STEP)),
  otherwise: optional(STEP),
  prefers: oneOf(['spans', 'bytes'], { default: 'spans' }),
  maxConcurrentExports: optional(positiveInteger({ default: 1 })),
  onForceFlush: oneOf(LIFECYCLE, { default: 'resolve' }),
  onShutdown: oneOf(LIFECYCLE, { default: 'resolve' }),
  clock: optional(aClock),
};

/** A leaf for tests of layers: its outcomes come from a script, and it records batches and contexts. */
export class ScriptedBatchExporter extends SpanBatchExporterBase {
  override readonly prefers: 'spans' | 'bytes';
  override readonly maxConcurrentExports: number;
  private readonly steps: Script<OutcomeStep>;
  private readonly flushAnswer: LifecycleAnswer;
  private readonly shutdownAnswer: LifecycleAnswer;
  private readonly openCalls = new OpenCalls();
  private readonly recorded: RecordedBatch[] = [];
  private flushCount = 0;
  private shutdownCount = 0;
  private delivered = 0;

  constructor(options: ScriptedBatchExporterOptions = {}) {
    const read = readOptions('ScriptedBatchExporter', options, SCHEMA);
    super({ clock: read.clock });
    this.prefers = read.prefers;
    this.maxConcurrentExports = read.maxConcurrentExports ?? Number.POSITIVE_INFINITY;
    this.steps = new Script(read.otherwise ?? 'delivered', STEP, 'ScriptedBatchExporter');
    this.steps.replace(read.script ?? []);
    this.flushAnswer = read.onForceFlush;
    this.shutdownAnswer = read.onShutdown;
  }

  async exportBatch(batch: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    this.recorded.push({ batch, context, at: this.clock.now() });
    const close = this.openCalls.begin();
    try {
      const outcome = await this.take(this.steps.next(), batch, context);
      this.delivered += outcome.delivered;
      return outcome;
    } finally {
      close();
    }
  }

  /** Replaces the steps that are left. */
  script(steps: readonly OutcomeStep[]): void {
    this.steps.replace(steps);
  }

  /** What every export does from now on, after the script's remaining steps. */
  respond(step: OutcomeStep): void {
    this.steps.stand(step);
  }

  /** Every call so far, oldest first. */
  get exports(): readonly RecordedBatch[] {
    return this.recorded;
  }

  /** Spans of outcomes that said `delivered`. */
  get deliveredCount(): number {
    return this.delivered;
  }

  /** Exports without an outcome so far. */
  get openExports(): number {
    return this.openCalls.open;
  }

  /** The most exports that were ever open at once. */
  get maxOpenExports(): number {
    return this.openCalls.maxOpen;
  }

  get forceFlushes(): number {
    return this.flushCount;
  }

  get shutdowns(): number {
    return this.shutdownCount;
  }

  protected override async onFlush(): Promise<void> {
    this.flushCount++;
    await lifecycle(this.flushAnswer, 'forceFlush');
  }

  protected override async onShutdown(): Promise<void> {
    this.shutdownCount++;
    await lifecycle(this.shutdownAnswer, 'shutdown');
  }

  private async take(taken: OutcomeStep, batch: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    if (typeof taken === 'function') return taken(batch, context);
    const full = typeof taken === 'string' ? fullStep(taken) : taken;
    if (full.kind === 'hang') return new Promise(() => {});
    if (full.kind === 'throw') throw full.error ?? new Error('scripted throw');
    if (full.delayMillis !== undefined) await sleep(this.clock, full.delayMillis);
    if (full.kind === 'delivered') return deliveredOutcome(batch.spanCount, full.rejected);
    if (full.kind === 'stored') return storedOutcome(batch.spanCount);
    return failed(full, batch);
  }
}

function fullStep(word: Extract<OutcomeStep, string>): Exclude<OutcomeStep, string | ((...args: never[]) => unknown)> {
  switch (word) {
    case 'delivered':
    case 'stored':
    case 'hang':
    case 'throw':
      return { kind: word };
    default:
      return { kind: 'failed', failure: word };
  }
}

function failed({ failure, error, retryAfterMillis, delivered = 0 }: FailedStep, batch: SpanBatch): ExportOutcome {
  const cause = error ?? scriptedError(failure);
  if (delivered === 0) return failedOutcome(batch, failure, cause, retryAfterMillis);
  return followedBy(
    deliveredOutcome(delivered),
    failedOutcome(batch.slice(delivered), failure, cause, retryAfterMillis),
  );
}

function scriptedError(failure: Failure): Error {
  if (failure === 'refused') return new ExportError('REFUSED', 'scripted');
  if (failure === 'shutdown') return new ExportError('SHUTDOWN', 'scripted');
  return new Error(`scripted: ${failure}`);
}
