import { classifyFailure } from './classify-failure.js';
import type { Clock, Timer } from './clock.js';
import { ExportError } from './export-error.js';
import { accountedFor, type ExportOutcome, failedOutcome } from './export-outcome.js';
import type { SpanBatch } from './span-batch.js';
import type { ExportContext, SpanBatchExporter } from './span-batch-exporter.js';
import { suppressTracing } from './suppress-tracing.js';

export interface ExportAttemptOptions {
  readonly clock: Clock;
  /** Ends the attempt before the context's deadline; default: the deadline alone. */
  readonly timeoutMillis?: number;
  /**
   * For a layer that does nothing but wait for this attempt: where its caller ends it at the same deadline anyway, that
   * one's signal is handed on, instead of one more with a timer of its own. Default: false.
   */
  readonly passesSignal?: boolean;
  /** Called with what the exporter said after this attempt had already been given up. */
  readonly onLateOutcome?: (outcome: ExportOutcome) => void;
}

/**
 * The one door through which a layer calls the next: it never rejects and never outlasts its timeout, the context's
 * deadline or signal. An attempt still open then counts as `retryable` with `DEADLINE_EXCEEDED`; the child sees its
 * signal abort, and may still answer late.
 */
export function exportAttempt(
  exporter: Pick<SpanBatchExporter, 'exportBatch'>,
  batch: SpanBatch,
  context: ExportContext,
  options: ExportAttemptOptions,
): Promise<ExportOutcome> {
  return new ExportAttempt(exporter, batch, context, options).outcome;
}

const ONCE = { once: true };
/** On the signal of an attempt: when it ends, if not before. */
const DEADLINE: unique symbol = Symbol.for('otel-resilience.ExportAttempt.deadline') as never;

interface AttemptSignal extends AbortSignal {
  [DEADLINE]?: number;
}

/** The same for a layer that may have to end an attempt itself: when it is shut down, say. It begins at once. */
export class ExportAttempt {
  readonly outcome: Promise<ExportOutcome>;
  private readonly batch: SpanBatch;
  private readonly context: ExportContext;
  private readonly options: ExportAttemptOptions;
  /** None where its caller's signal is handed on. */
  private readonly controller: AbortController | undefined;
  private readonly timer: Timer | undefined;
  private resolve!: (outcome: ExportOutcome) => void;
  private isOpen = true;
  private cancelled = false;

  constructor(
    exporter: Pick<SpanBatchExporter, 'exportBatch'>,
    batch: SpanBatch,
    context: ExportContext,
    options: ExportAttemptOptions,
  ) {
    this.batch = batch;
    this.context = context;
    this.options = options;
    this.outcome = new Promise((resolve) => {
      this.resolve = resolve;
    });
    const signal: AttemptSignal = context.signal;
    if (signal.aborted) {
      this.cancel(signal.reason);
      return;
    }
    const { clock, timeoutMillis = Number.POSITIVE_INFINITY, passesSignal } = options;
    const startedAt = clock.now();
    const deadline = Math.min(context.deadline, startedAt + timeoutMillis);
    signal.addEventListener('abort', this.onAbort, ONCE);
    const { [DEADLINE]: endsAt = Number.POSITIVE_INFINITY } = signal;
    if (passesSignal && endsAt <= deadline) {
      callExporter(exporter, batch, context).then(this.finish);
      return;
    }
    const leftMillis = deadline - startedAt;
    this.timer = clock.setTimeout(
      () => this.abandon(new ExportError('DEADLINE_EXCEEDED', `no answer within ${Math.round(leftMillis)} ms`)),
      leftMillis,
    );
    this.controller = new AbortController();
    const own: AttemptSignal = this.controller.signal;
    own[DEADLINE] = deadline;
    callExporter(exporter, batch, { ...context, signal: own, deadline }).then(this.finish);
  }

  /** Whether its caller has ended it, by `cancel` or the context's signal, before there was an outcome or time was up. */
  get isCancelled(): boolean {
    return this.cancelled;
  }

  /** Ends it, unless it has ended: the outcome is what the reason says, and the child's signal aborts with it. */
  cancel(reason: unknown): void {
    if (!this.isOpen) return;
    this.cancelled = true;
    this.abandon(reason);
  }

  private readonly onAbort = (): void => this.cancel(this.context.signal.reason);

  private abandon(reason: unknown): void {
    this.finish(cutOff(this.batch, reason));
    this.controller?.abort(reason);
  }

  private readonly finish = (outcome: ExportOutcome): void => {
    const { context, options } = this;
    if (!this.isOpen) {
      options.onLateOutcome?.(outcome);
      if (outcome.delivered > 0) context.onLateAcknowledgement?.(outcome.delivered);
      return;
    }
    this.isOpen = false;
    options.clock.clearTimeout(this.timer);
    context.signal.removeEventListener('abort', this.onAbort);
    this.resolve(outcome);
  };
}

function cutOff(batch: SpanBatch, reason: unknown): ExportOutcome {
  const { failure, error } = classifyFailure(reason);
  return failedOutcome(batch, failure, error);
}

/** An exporter of a user's own may break the contract: throw, reject, or return what does not add up. */
async function callExporter(
  exporter: Pick<SpanBatchExporter, 'exportBatch'>,
  batch: SpanBatch,
  context: ExportContext,
): Promise<ExportOutcome> {
  try {
    const outcome = await suppressTracing(() => exporter.exportBatch(batch, context));
    if (accountedFor(outcome) === batch.spanCount) return outcome;
    throw new Error(`the exporter accounted for ${accountedFor(outcome)} of ${batch.spanCount} spans`);
  } catch (thrown) {
    const { failure, error, retryAfterMillis } = classifyFailure(thrown);
    return failedOutcome(batch, failure, error, retryAfterMillis);
  }
}
