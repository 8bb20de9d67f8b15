import {
  type Clock,
  classifyFailure,
  ExportAttempt,
  type ExportContext,
  ExportError,
  type ExportOutcome,
  failedOutcome,
  followedBy,
  type SpanBatch,
} from '@otel-resilience/core';
import type { Endpoint } from './endpoint.js';
import { type EndpointFailure, verdict } from './verdict.js';

export interface FailoverCallOptions {
  readonly clock: Clock;
  /** Numbers the attempts of all calls. */
  readonly nextTurn: () => number;
  /** An endpoint that was asked has not taken everything: its breaker may have opened. */
  readonly onFailure: () => void;
  readonly onFailover: (from: Endpoint, to: Endpoint, failure: EndpointFailure, spanCount: number) => void;
}

/** One batch on its way from endpoint to endpoint. Each is asked at most once per `offer`, and none waits. */
export class FailoverCall {
  /** Endpoints that were asked: who refused was not. */
  readonly asked: Set<Endpoint> = new Set();
  private readonly context: ExportContext;
  private readonly options: FailoverCallOptions;
  private readonly failures = new Map<Endpoint, EndpointFailure>();
  private remaining: SpanBatch;
  private outcome: ExportOutcome | undefined;
  private left: { readonly endpoint: Endpoint; readonly failure: EndpointFailure } | undefined;
  private open: ExportAttempt | undefined;
  private cancelled: { readonly reason: unknown } | undefined;

  constructor(batch: SpanBatch, context: ExportContext, options: FailoverCallOptions) {
    this.remaining = batch;
    this.context = context;
    this.options = options;
  }

  /** Asks one candidate after the other. The outcome, unless something remains and others may be asked. */
  async offer(candidates: Iterable<Endpoint>, how: { lastResort: boolean }): Promise<ExportOutcome | undefined> {
    for (const endpoint of candidates) {
      const cutOff = this.cutOff();
      if (cutOff) {
        // Whoever was not asked for lack of time might have taken the spans.
        this.note(endpoint, cutOff);
        return this.giveUp();
      }
      const passedOver = endpoint.refusal(how);
      if (passedOver) {
        this.note(endpoint, passedOver);
        continue;
      }
      const outcome = await this.attempt(endpoint, how.lastResort);
      if (!outcome.remaining) return outcome;
      if (outcome.failure === 'shutdown') return this.giveUp();
    }
    return undefined;
  }

  /** Ends the attempt that is open, and nobody else is asked. */
  cancel(reason: unknown): void {
    this.cancelled ??= { reason };
    this.open?.cancel(reason);
  }

  /** What became of the batch, when nobody took what remains. */
  giveUp(): ExportOutcome {
    const { failure, error, retryAfterMillis } = verdict([...this.failures.values()]);
    return this.followedBy(failedOutcome(this.remaining, failure, error, retryAfterMillis));
  }

  private async attempt(endpoint: Endpoint, lastResort: boolean): Promise<ExportOutcome> {
    const { clock, nextTurn, onFailure, onFailover } = this.options;
    const offered = this.remaining;
    const attempt = endpoint.begin(nextTurn(), this.context.deadline - clock.now());
    const onLateAcknowledgement = (spans: number) => {
      attempt.acknowledgedLate(spans);
      this.context.onLateAcknowledgement?.(spans);
    };
    const context = { ...this.context, onLateAcknowledgement, ...(lastResort && { lastResort }) };
    const { timeoutMillis } = attempt;
    this.open = new ExportAttempt(endpoint.exporter, offered, context, { clock, timeoutMillis });
    const outcome = await this.open.outcome;
    attempt.end(outcome);
    this.outcome = this.followedBy(outcome);
    if (outcome.remaining) {
      this.remaining = outcome.remaining;
      this.note(endpoint, outcome);
      if (outcome.failure !== 'refused') onFailure();
    }
    if (outcome.failure !== 'refused') {
      this.asked.add(endpoint);
      if (this.left) onFailover(this.left.endpoint, endpoint, this.left.failure, offered.spanCount);
      this.left = outcome.remaining && { endpoint, failure: outcome };
    }
    return this.outcome;
  }

  private cutOff(): EndpointFailure | undefined {
    const { signal, deadline } = this.context;
    if (this.cancelled) return classifyFailure(this.cancelled.reason);
    if (signal.aborted) return classifyFailure(signal.reason);
    if (deadline > this.options.clock.now()) return undefined;
    return { failure: 'retryable', error: new ExportError('DEADLINE_EXCEEDED', 'no time left to ask an endpoint') };
  }

  private followedBy(then: ExportOutcome): ExportOutcome {
    return this.outcome ? followedBy(this.outcome, then) : then;
  }

  private note(endpoint: Endpoint, failure: EndpointFailure): void {
    this.failures.delete(endpoint);
    this.failures.set(endpoint, failure);
  }
}
