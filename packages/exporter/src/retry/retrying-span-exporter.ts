import {
  adaptSpanExporter,
  boundRetryAfter,
  classifyFailure,
  DEFAULT_SHUTDOWN_TIMEOUT_MILLIS,
  type DeadlineOptions,
  ExportAttempt,
  type ExportContext,
  type ExportOutcome,
  failedOutcome,
  followedBy,
  type SpanBatch,
  type SpanBatchExporter,
  SpanBatchExporterBase,
  settledBy,
  sleep,
  type Unsettled,
} from '@otel-resilience/core';
import { createBackoff } from './backoff.js';
import { type ReadRetryOptions, type RetryingSpanExporterOptions, readRetryOptions } from './options.js';
import { isRetryTokens, RetryBudget, type RetryTokens } from './retry-budget.js';

/** What a {@link RetryingSpanExporter} has done since it was constructed. */
export interface RetryStats {
  /** Calls of the exporter: one for every batch, and one for every retry. */
  readonly attempts: number;
  readonly retries: number;
  /** Spans that were tried again, counted at every retry. */
  readonly retriedSpans: number;
  /** Attempts answered with a throttle. */
  readonly throttled: number;
  /** Batches given back because all retries had been used up. */
  readonly exhausted: number;
  /** Batches given back because the next attempt could not have begun before the deadline. */
  readonly pastDeadline: number;
  /** Batches given back because the budget had no tokens left. */
  readonly overBudget: number;
  /** Spans acknowledged after their attempt had been given up: they may have been sent twice. */
  readonly lateAcknowledged: number;
  /** Batches in progress at this moment … */
  readonly open: number;
  /** … and how many of them wait for their next attempt. */
  readonly waiting: number;
}

/**
 * Tries again what an exporter did not take.
 *
 *     new RetryingSpanExporter({ exporter: new OTLPTraceExporter(), maxRetries: 3 })
 *
 * | failure | what happens |
 * |---|---|
 * | `retryable`, `refused` | waits as `strategy` says, then tries what remains |
 * | `throttled` | waits at least what the server asked for, and at least as long as otherwise |
 * | `permanent`, `shutdown` | returned |
 *
 * Only what remains is tried again. A failure is returned at once when the next attempt could not begin before the
 * deadline, and after a single attempt when the context says `lastResort`.
 *
 * A shutdown ends every wait at once, with the failure `shutdown`. An attempt that is open then may still answer, at
 * most until the shutdown's deadline, while the wrapped exporter is being shut down.
 *
 * Throws a `ConfigurationError` for a wrong option.
 */
export class RetryingSpanExporter extends SpanBatchExporterBase {
  private readonly options: ReadRetryOptions;
  private readonly exporter: SpanBatchExporter;
  private readonly budget: RetryTokens | undefined;
  private readonly random: () => number;
  private readonly calls = new Set<OpenCall>();
  private readonly counts = {
    attempts: 0,
    retries: 0,
    retriedSpans: 0,
    throttled: 0,
    exhausted: 0,
    pastDeadline: 0,
    overBudget: 0,
    lateAcknowledged: 0,
  };
  private ended: Promise<void> | undefined;

  constructor(options: RetryingSpanExporterOptions) {
    const read = readRetryOptions(options);
    const exporter = adaptSpanExporter(read.exporter, { clock: read.clock });
    super({ children: [exporter], clock: read.clock });
    this.options = read;
    this.exporter = exporter;
    this.random = read.random ?? Math.random;
    if (isRetryTokens(read.budget)) this.budget = read.budget;
    else if (read.budget) this.budget = new RetryBudget({ ...read.budget, clock: read.budget.clock ?? this.clock });
  }

  async exportBatch(batch: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    if (this.shutdownSignal.aborted) return failedOutcome(batch, 'shutdown', this.shutdownSignal.reason);
    const call: OpenCall = { attempt: undefined, waiting: false, ended: undefined };
    this.calls.add(call);
    try {
      call.ended = this.exportWithRetries(batch, context, call);
      return await call.ended;
    } finally {
      this.calls.delete(call);
    }
  }

  /** Counts since construction; a copy. */
  stats(): RetryStats {
    let waiting = 0;
    for (const call of this.calls) if (call.waiting) waiting++;
    return { ...this.counts, open: this.calls.size, waiting };
  }

  override shutdown({
    deadline = this.clock.now() + DEFAULT_SHUTDOWN_TIMEOUT_MILLIS,
  }: DeadlineOptions = {}): Promise<void> {
    this.ended ??= this.shutdownAndCutOff(deadline);
    return this.ended;
  }

  protected override async onFlush(): Promise<void> {
    await Promise.allSettled([...this.calls].map((call) => call.ended));
  }

  private async shutdownAndCutOff(deadline: number): Promise<void> {
    await super.shutdown({ deadline });
    if (this.calls.size > 0) await settledBy(this.clock, deadline, this.onFlush());
    for (const { attempt } of this.calls) attempt?.cancel(this.shutdownSignal.reason);
  }

  private async exportWithRetries(batch: SpanBatch, context: ExportContext, call: OpenCall): Promise<ExportOutcome> {
    const nextDelay = createBackoff(this.options, this.random);
    let outcome = await this.attempt(batch, context, call);
    if (succeeded(outcome)) this.budget?.recordSuccess();

    for (let retries = 0; outcome.remaining; retries++) {
      const { failure } = outcome;
      if (failure === 'permanent' || failure === 'shutdown') return outcome;
      if (context.lastResort || context.signal.aborted) return outcome;
      if (this.shutdownSignal.aborted) return cutOff(outcome, this.shutdownSignal.reason);
      if (retries === this.options.maxRetries) return this.giveBack(outcome, 'exhausted');
      const waitMillis = this.waitMillis(outcome, nextDelay());
      if (this.clock.now() + waitMillis >= context.deadline) return this.giveBack(outcome, 'pastDeadline');
      const cost = this.budget ? this.budget.tryAcquire(failure) : 0;
      if (cost === undefined) return this.giveBack(outcome, 'overBudget');

      call.waiting = true;
      const waited = await sleep(this.clock, waitMillis, context.signal, this.shutdownSignal);
      call.waiting = false;
      if (!waited) {
        this.budget?.release(cost);
        const { reason } = context.signal.aborted ? context.signal : this.shutdownSignal;
        return cutOff(outcome, reason);
      }

      this.counts.retries++;
      this.counts.retriedSpans += outcome.remaining.spanCount;
      const retried: ExportOutcome = await this.attempt(outcome.remaining, context, call);
      if (succeeded(retried) || retried.failure === 'refused') this.budget?.release(cost);
      outcome = followedBy(outcome, retried);
    }
    return outcome;
  }

  private async attempt(batch: SpanBatch, context: ExportContext, call: OpenCall): Promise<ExportOutcome> {
    this.counts.attempts++;
    call.attempt = new ExportAttempt(this.exporter, batch, context, {
      clock: this.clock,
      timeoutMillis: this.options.attemptTimeoutMillis,
      onLateOutcome: ({ delivered }) => {
        this.counts.lateAcknowledged += delivered;
      },
    });
    const outcome = await call.attempt.outcome;
    if (outcome.failure === 'throttled') this.counts.throttled++;
    return outcome;
  }

  private giveBack(outcome: ExportOutcome, why: 'exhausted' | 'pastDeadline' | 'overBudget'): ExportOutcome {
    this.counts[why]++;
    return outcome;
  }

  /**
   * OTLP, on throttling: wait the hint, and grow the delay from there. So the hint is a lower bound, as the back-off
   * and its base are: `Retry-After: 0` is no licence to hurry. Who refused has asked no server, and has no hint of one.
   */
  private waitMillis({ failure, retryAfterMillis }: Unsettled, delayMillis: number): number {
    const hint = failure === 'refused' ? undefined : boundRetryAfter(retryAfterMillis);
    if (hint === undefined) return delayMillis;
    const { initialDelayMillis, randomizationFactor } = this.options;
    return Math.max(hint * (1 + randomizationFactor * this.random()), delayMillis, initialDelayMillis);
  }
}

/** An `exportBatch` that has not returned yet. */
interface OpenCall {
  /** The latest. */
  attempt: ExportAttempt | undefined;
  waiting: boolean;
  ended: Promise<ExportOutcome> | undefined;
}

const succeeded = ({ remaining, delivered }: ExportOutcome): boolean => !remaining && delivered > 0;

/** The outcome of a batch that will not be tried again: we are stopping, or nobody waits for it any more. */
function cutOff(outcome: ExportOutcome & Unsettled, reason: unknown): ExportOutcome {
  const { failure, error } = classifyFailure(reason);
  return followedBy(outcome, failedOutcome(outcome.remaining, failure, error));
}
