import {
  type Clock,
  ExportAttempt,
  type ExportContext,
  type ExportError,
  type ExportOutcome,
  isTimeout,
  LearnedTimeout,
  type SpanBatch,
  type SpanBatchExporter,
} from '@otel-resilience/core';

/**
 * - `up`: it took the last batch it was asked to take, or was never asked.
 * - `down`: it did not. Live batches go to the spool, and probes find out when it is back.
 */
export type TierState =
  | { readonly kind: 'up'; readonly since: number }
  | { readonly kind: 'down'; readonly since: number; readonly error: Error };

export interface TierAnswer {
  readonly outcome: ExportOutcome;
  /** It failed although the tier took another one meanwhile, or shortly before: it may be the batch. */
  readonly blamesBatch: boolean;
}

/** The longest time that a Retry-After may keep probes away. */
const MAX_THROTTLE_MILLIS = 30_000;

interface Attempt {
  readonly begunIn: TierState;
  readonly startedAt: number;
  readonly call: ExportAttempt;
}

/** The live destination: the one way to call it, and what its answers say about it. */
export class Tier {
  private readonly exporter: SpanBatchExporter;
  private readonly clock: Clock;
  private readonly onChange: (state: TierState) => void;
  private readonly timeout: LearnedTimeout;
  private readonly attempts = new Set<Attempt>();
  private current: TierState;
  private latestTaken = Number.NEGATIVE_INFINITY;
  private latestAnswer = Number.NEGATIVE_INFINITY;
  private throttleEnd = Number.NEGATIVE_INFINITY;
  private late = 0;

  /** `timeoutMillis`: how long it may keep a live batch, until it turns out to take longer. */
  constructor(exporter: SpanBatchExporter, clock: Clock, timeoutMillis: number, onChange: (state: TierState) => void) {
    this.exporter = exporter;
    this.clock = clock;
    this.timeout = new LearnedTimeout(timeoutMillis);
    this.onChange = onChange;
    this.current = { kind: 'up', since: clock.now() };
  }

  get state(): TierState {
    return this.current;
  }

  /** How long it may keep a live batch that is sent now. */
  get timeoutMillis(): number {
    return this.timeout.millis;
  }

  /** The time that it is known to need when that is more than was configured, else 0. */
  get learnedMillis(): number {
    return this.timeout.learnedMillis;
  }

  /** When the latest attempt was begun that it has answered. */
  get latestTakenAt(): number {
    return this.latestTaken;
  }

  /** Until when, by `clock.now()`, the last throttled answer asked to be left alone. */
  get throttledUntil(): number {
    return this.throttleEnd;
  }

  /** Spans acknowledged after their attempt had been given up: they are sent twice. */
  get lateAcknowledged(): number {
    return this.late;
  }

  /**
   * `proofMillis`: when a batch fails that was begun within this time of another's answer, it may be the batch, and the
   * failure says nothing about the tier.
   */
  async export(batch: SpanBatch, context: ExportContext, proofMillis?: number): Promise<TierAnswer> {
    const begunIn = this.current;
    const startedAt = this.clock.now();
    let gaveUp = false;
    const onLateAcknowledgement = (spans: number) => {
      this.late += spans;
      // Otherwise it was an endpoint within that was late, and the tier was not.
      if (gaveUp) this.timeout.acknowledged(this.clock.now() - startedAt);
      context.onLateAcknowledgement?.(spans);
    };
    const call = new ExportAttempt(this.exporter, batch, { ...context, onLateAcknowledgement }, { clock: this.clock });
    const attempt = { begunIn, startedAt, call };
    this.attempts.add(attempt);
    const outcome = await call.outcome;
    this.attempts.delete(attempt);
    const tookMillis = this.clock.now() - startedAt;
    gaveUp = outcome.remaining !== undefined;
    if (!gaveUp) this.timeout.acknowledged(tookMillis);
    else if (!call.isCancelled) {
      const givenMillis = isTimeout(outcome.error) ? context.deadline - startedAt : tookMillis;
      this.timeout.unanswered(tookMillis, givenMillis);
    }
    return { outcome, blamesBatch: this.judge(attempt, outcome, proofMillis) };
  }

  /** Ends every attempt, as `shutdown`. */
  abort(reason: ExportError): void {
    for (const { call } of this.attempts) call.cancel(reason);
  }

  /** Returns whether the batch may be to blame; otherwise draws its conclusions for the state. */
  private judge({ begunIn, startedAt, call }: Attempt, outcome: ExportOutcome, proofMillis?: number): boolean {
    const now = this.clock.now();
    // A permanent refusal is an answer: somebody is there.
    if (!outcome.remaining || outcome.failure === 'permanent') {
      this.latestTaken = Math.max(this.latestTaken, startedAt);
      this.latestAnswer = now;
      if (this.current === begunIn && begunIn.kind === 'down') this.change({ kind: 'up', since: now });
      return false;
    }
    // An attempt that we ended, or that began in an earlier state, says nothing about this one.
    if (call.isCancelled || this.current !== begunIn) return false;
    const justTookAnother = proofMillis !== undefined && startedAt < this.latestAnswer + proofMillis;
    const othersTaken = justTookAnother || startedAt < this.latestTaken;
    if (outcome.failure === 'retryable' && begunIn.kind === 'up' && othersTaken) return true;
    if (outcome.failure === 'throttled' && outcome.retryAfterMillis !== undefined) {
      this.throttleEnd = now + Math.min(outcome.retryAfterMillis, MAX_THROTTLE_MILLIS);
    }
    if (begunIn.kind === 'up') this.change({ kind: 'down', since: now, error: outcome.error });
    return false;
  }

  private change(state: TierState): void {
    this.current = state;
    if (state.kind === 'up') this.throttleEnd = Number.NEGATIVE_INFINITY;
    this.onChange(state);
  }
}
