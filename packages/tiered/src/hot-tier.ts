import {
  type Clock,
  type ExportContext,
  type ExportError,
  type ExportOutcome,
  exportAttempt,
  type SpanBatch,
  type SpanBatchExporter,
} from '@otel-resilience/core';

/**
 * - `up`: it took the last batch it was asked to take, or was never asked.
 * - `down`: it did not. Live batches go to the spool, and probes find out when it is back.
 */
export type HotState =
  | { readonly kind: 'up'; readonly since: number }
  | { readonly kind: 'down'; readonly since: number; readonly error: Error };

/** The longest time that a Retry-After may keep probes away. */
const MAX_THROTTLE_MILLIS = 30_000;

/** The live destination: the one way to call it, and what its answers say about it. */
export class HotTier {
  private readonly exporter: SpanBatchExporter;
  private readonly clock: Clock;
  private readonly onChange: (state: HotState) => void;
  private readonly attempts = new Set<AbortController>();
  private current: HotState;
  private throttleEnd = Number.NEGATIVE_INFINITY;
  private late = 0;

  constructor(exporter: SpanBatchExporter, clock: Clock, onChange: (state: HotState) => void) {
    this.exporter = exporter;
    this.clock = clock;
    this.onChange = onChange;
    this.current = { kind: 'up', since: clock.now() };
  }

  get state(): HotState {
    return this.current;
  }

  /** Until when, by `clock.now()`, the last throttled answer asked to be left alone. */
  get throttledUntil(): number {
    return this.throttleEnd;
  }

  /** Spans acknowledged after their attempt had been given up: they are sent twice. */
  get lateAcknowledged(): number {
    return this.late;
  }

  async export(batch: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    const begunIn = this.current;
    const attempt = new AbortController();
    const { signal } = attempt;
    const onAbort = () => attempt.abort(context.signal.reason);
    if (context.signal.aborted) onAbort();
    context.signal.addEventListener('abort', onAbort, { once: true });
    this.attempts.add(attempt);
    const outcome = await exportAttempt(
      this.exporter,
      batch,
      { ...context, signal },
      {
        clock: this.clock,
        onLateOutcome: ({ delivered }) => {
          this.late += delivered;
        },
      },
    );
    this.attempts.delete(attempt);
    context.signal.removeEventListener('abort', onAbort);
    // Neither an attempt that we ended nor one that began in an earlier state says anything about this one.
    if (!signal.aborted && this.current === begunIn) this.judge(outcome);
    return outcome;
  }

  /** Ends every attempt, as `shutdown`. */
  abort(reason: ExportError): void {
    for (const attempt of this.attempts) attempt.abort(reason);
  }

  private judge(outcome: ExportOutcome): void {
    const now = this.clock.now();
    // A permanent refusal is an answer: somebody is there.
    if (!outcome.remaining || outcome.failure === 'permanent') {
      if (this.current.kind === 'down') this.change({ kind: 'up', since: now });
      return;
    }
    if (outcome.failure === 'throttled' && outcome.retryAfterMillis !== undefined) {
      this.throttleEnd = now + Math.min(outcome.retryAfterMillis, MAX_THROTTLE_MILLIS);
    }
    if (this.current.kind === 'up') this.change({ kind: 'down', since: now, error: outcome.error });
  }

  private change(state: HotState): void {
    this.current = state;
    this.onChange(state);
  }
}
