import {
  aClock,
  type Clock,
  EXPORT_FAILED,
  EXPORT_SUCCESS,
  type ExportResult,
  list,
  oneOf,
  optional,
  type ReadableSpan,
  readOptions,
  type SpanExporter,
  systemClock,
} from '@otel-resilience/core';
import { Script, step } from '../script.js';
import { LIFECYCLE, type LifecycleAnswer, lifecycle } from './lifecycle.js';
import { OpenCalls } from './open-calls.js';

/** What one `export` does; a bare word is short for an object with that `kind`. */
export type ExportStep =
  | ExportStepKind
  | { readonly kind: 'success'; readonly delayMillis?: number }
  /** Without an `error`, FAILED comes without one, as some exporters' does. */
  | { readonly kind: 'failure'; readonly error?: Error; readonly delayMillis?: number }
  /** `export` itself throws. */
  | { readonly kind: 'throw'; readonly error?: unknown }
  /** `export` returns a promise that rejects, and never calls back. */
  | { readonly kind: 'reject'; readonly error?: unknown }
  /** Never calls back, until `answerOpen`. */
  | { readonly kind: 'never' }
  /** Calls back with success, and again with success or with `error`. */
  | { readonly kind: 'twice'; readonly error?: Error; readonly delayMillis?: number }
  /** Calls back with success, when a shutdown has begun and its promise has resolved. */
  | { readonly kind: 'afterShutdown' }
  /** Decides by what it is given. */
  | ((spans: readonly ReadableSpan[]) => PlainStep);

export type ExportStepKind = 'success' | 'failure' | 'throw' | 'reject' | 'never' | 'twice' | 'afterShutdown';
type PlainStep = Exclude<ExportStep, (...args: never[]) => unknown>;
type FullStep = Exclude<PlainStep, string>;

export interface ScriptedExporterOptions {
  /** One step per export. Default: none. */
  readonly script?: readonly ExportStep[];
  /** What every export after the script does. Default `success`. */
  readonly otherwise?: ExportStep;
  /** Default `resolve`. */
  readonly onForceFlush?: LifecycleAnswer;
  /** Default `resolve`. */
  readonly onShutdown?: LifecycleAnswer;
  /** Times the delays and the calls. */
  readonly clock?: Clock;
}

/** One call of `export`. */
export interface RecordedExport {
  /** The very array that came. */
  readonly spans: readonly ReadableSpan[];
  /** By the clock's `now()`, in milliseconds. */
  readonly at: number;
  readonly step: ExportStepKind;
  /** The export came when a shutdown had begun. */
  readonly afterShutdown: boolean;
}

const STEP = step<ExportStep>({
  kinds: ['success', 'failure', 'throw', 'reject', 'never', 'twice', 'afterShutdown'],
});
const SCHEMA = {
  script: optional(list(STEP)),
  otherwise: optional(STEP),
  onForceFlush: oneOf(LIFECYCLE, { default: 'resolve' }),
  onShutdown: oneOf(LIFECYCLE, { default: 'resolve' }),
  clock: optional(aClock),
};

/** A stock `SpanExporter` that behaves as it is told, well or badly, and records what it was given. */
export class ScriptedExporter implements SpanExporter {
  private readonly clock: Clock;
  private readonly steps: Script<ExportStep>;
  private readonly onForceFlush: LifecycleAnswer;
  private readonly onShutdown: LifecycleAnswer;
  private readonly openCalls = new OpenCalls();
  private readonly unanswered = new Set<(result: ExportResult) => void>();
  private readonly waitingForShutdown: (() => void)[] = [];
  private readonly recorded: RecordedExport[] = [];
  private readonly acknowledged: ReadableSpan[] = [];
  private flushCount = 0;
  private shutdownCount = 0;

  constructor(options: ScriptedExporterOptions = {}) {
    const read = readOptions('ScriptedExporter', options, SCHEMA);
    this.clock = read.clock ?? systemClock;
    this.steps = new Script(read.otherwise ?? 'success', STEP, 'ScriptedExporter');
    this.steps.replace(read.script ?? []);
    this.onForceFlush = read.onForceFlush;
    this.onShutdown = read.onShutdown;
  }

  /** Returns a promise for the step `reject` only, as an exporter that is `async` by mistake does. */
  export(spans: ReadableSpan[], resultCallback: (result: ExportResult) => void): Promise<never> | undefined {
    const taken = fullStep(this.steps.next(), spans);
    this.recorded.push({ spans, at: this.clock.now(), step: taken.kind, afterShutdown: this.shutdownCount > 0 });
    const close = this.openCalls.begin();
    const answer = (result: ExportResult) => {
      close();
      this.unanswered.delete(answer);
      if (result.code === EXPORT_SUCCESS) for (const span of spans) this.acknowledged.push(span);
      resultCallback(result);
    };
    switch (taken.kind) {
      case 'success':
        this.later(taken.delayMillis, () => answer({ code: EXPORT_SUCCESS }));
        return;
      case 'failure':
        this.later(taken.delayMillis, () => answer(failure(taken.error)));
        return;
      case 'twice':
        this.later(taken.delayMillis, () => {
          answer({ code: EXPORT_SUCCESS });
          resultCallback(taken.error ? failure(taken.error) : { code: EXPORT_SUCCESS });
        });
        return;
      case 'throw':
        close();
        throw taken.error ?? new Error('scripted throw');
      case 'reject':
        close();
        return Promise.reject(taken.error ?? new Error('scripted rejection'));
      case 'never':
        this.unanswered.add(answer);
        return;
      case 'afterShutdown':
        this.waitingForShutdown.push(() => answer({ code: EXPORT_SUCCESS }));
    }
  }

  forceFlush(): Promise<void> {
    this.flushCount++;
    return lifecycle(this.onForceFlush, 'forceFlush');
  }

  shutdown(): Promise<void> {
    this.shutdownCount++;
    // In a turn of its own, so that whoever awaits the shutdown has gone on by then.
    for (const answer of this.waitingForShutdown.splice(0)) setImmediate(answer);
    return lifecycle(this.onShutdown, 'shutdown');
  }

  /** Replaces the steps that are left. */
  script(steps: readonly ExportStep[]): void {
    this.steps.replace(steps);
  }

  /** What every export does from now on, after the script's remaining steps. */
  respond(step: ExportStep): void {
    this.steps.stand(step);
  }

  /** Answers every export that a `never` step left open. */
  answerOpen(result: ExportResult = { code: EXPORT_SUCCESS }): void {
    for (const answer of [...this.unanswered]) answer(result);
  }

  /** Every export so far, oldest first. */
  get exports(): readonly RecordedExport[] {
    return this.recorded;
  }

  /** Every span handed over, in order; one exported twice is there twice. */
  get spans(): ReadableSpan[] {
    return this.recorded.flatMap(({ spans }) => spans);
  }

  /** The spans of exports answered with success. */
  get deliveredSpans(): readonly ReadableSpan[] {
    return this.acknowledged;
  }

  /** Exports without an answer so far. */
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

  private later(delayMillis: number | undefined, answer: () => void): void {
    if (delayMillis === undefined) answer();
    else this.clock.setTimeout(answer, delayMillis);
  }
}

function fullStep(next: ExportStep, spans: readonly ReadableSpan[]): FullStep {
  const plain = typeof next === 'function' ? next(spans) : next;
  return typeof plain === 'string' ? { kind: plain } : plain;
}

const failure = (error: Error | undefined): ExportResult => ({ code: EXPORT_FAILED, ...(error && { error }) });
