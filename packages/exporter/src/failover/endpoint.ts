import {
  boundRetryAfter,
  type Clock,
  describeError,
  ExportError,
  type ExportOutcome,
  type Failure,
  isTimeout,
  LearnedTimeout,
  type Unsettled,
} from '@otel-resilience/core';
import {
  CircuitBreakerSpanExporter,
  isCircuitBreakerSpanExporter,
  waitedInVain,
} from '../circuit-breaker/circuit-breaker-span-exporter.js';
import type { BreakerState } from '../circuit-breaker/states.js';
import { reworded } from './name-endpoints.js';
import type { FailoverEndpointOptions } from './options.js';
import type { Rankable } from './strategies.js';
import type { EndpointFailure } from './verdict.js';

/** A snapshot of one endpoint. */
export interface EndpointStatus {
  readonly name: string;
  readonly state: BreakerState;
  readonly priority: number;
  readonly weight: number;
  /** Attempts open at the moment. */
  readonly inFlight: number;
  /** Moving average of latency in milliseconds; `undefined` before the first answer. */
  readonly ewmaMillis: number | undefined;
  /** How long an attempt may take at the moment, in milliseconds: longer than configured after late acknowledgements. */
  readonly attemptTimeoutMillis: number;
  /** How much longer the endpoint has asked not to be called, in milliseconds; 0 when it has not. */
  readonly throttledMillis: number;
  /**
   * It refuses spans for good, and has taken none since: a wrong path or key, mostly. That is an answer, so its breaker
   * stays closed. `spans`: how many, of which another endpoint may have taken some; `since` is wall time. `undefined`
   * when it does not.
   */
  readonly rejecting: { readonly message: string; readonly spans: number; readonly since: number } | undefined;
  /**
   * The latest failure, without secrets; not what we did ourselves, by a refusal or a shutdown. `at` is wall time in
   * milliseconds since the epoch.
   */
  readonly lastFailure: { readonly failure: Failure; readonly message: string; readonly at: number } | undefined;
  readonly counts: EndpointCounts;
}

export interface EndpointCounts {
  /** Calls of the endpoint's breaker. */
  readonly attempts: number;
  /** Attempts after which nothing remained. */
  readonly succeeded: number;
  /** Attempts after which spans remained, by why. */
  readonly failed: Readonly<Record<Failure, number>>;
  readonly deliveredSpans: number;
  /** Spans it refused for good; another endpoint may have taken them. */
  readonly rejectedSpans: number;
  /** Spans acknowledged after their attempt had been given up: whoever was offered them next may have sent them twice. */
  readonly lateAcknowledgedSpans: number;
  /** Times its spans were handed to another endpoint. */
  readonly failovers: number;
}

/** An open attempt; `end` is called once, with what the endpoint said or with what its timeout means. */
export interface OpenAttempt {
  readonly timeoutMillis: number;
  end(outcome: ExportOutcome): void;
  /** It has ended, and its endpoint took spans all the same. */
  acknowledgedLate(spans: number): void;
}

const EWMA_WEIGHT = 0.3;

/**
 * One exporter behind one breaker, which is the only judge of its health; the rest here is bookkeeping.
 *
 * Active health checks, when there are any, report into that breaker as well: a check that fails or succeeds while
 * calls flow through `breaker.recordBatch()`, one that probes a breaker which is not closed through
 * `breaker.tryAcquire()` and the permit's `success()` or `failure()`. Nothing in this folder needs to know of them.
 */
export class Endpoint implements Rankable {
  readonly name: string;
  readonly priority: number;
  readonly weight: number;
  readonly exporter: CircuitBreakerSpanExporter;
  inFlight = 0;
  failovers = 0;
  ewmaMillis: number | undefined;
  lastAttemptAt: number | undefined;
  lastTurn = 0;
  lastFailure: EndpointStatus['lastFailure'];
  private readonly clock: Clock;
  private readonly timeout: LearnedTimeout;
  private throttle: { readonly until: number; readonly error: Error } | undefined;
  private rejecting: EndpointStatus['rejecting'];
  private attempts = 0;
  private succeeded = 0;
  private readonly failed: Record<Failure, number> = {
    retryable: 0,
    throttled: 0,
    permanent: 0,
    refused: 0,
    shutdown: 0,
  };
  private deliveredSpans = 0;
  private rejectedSpans = 0;
  private lateAcknowledgedSpans = 0;
  /** Whether the latest answer was a good one. */
  private wentWell = true;

  constructor(settings: Required<FailoverEndpointOptions>, clock: Clock, attemptTimeoutMillis: number) {
    const { name, exporter, priority, weight } = settings;
    this.name = name;
    this.priority = priority;
    this.weight = weight;
    this.clock = clock;
    this.timeout = new LearnedTimeout(attemptTimeoutMillis);
    this.exporter = isCircuitBreakerSpanExporter(exporter)
      ? exporter
      : new CircuitBreakerSpanExporter({ name, exporter, strategy: 'consecutive', consecutiveFailures: 3, clock });
  }

  get isEjected(): boolean {
    const { state } = this.exporter.breaker;
    return state === 'open' || state === 'forced-open';
  }

  /** Not closed, nor switched off: what `failedEndpoints` counts. */
  get isFailed(): boolean {
    return this.isEjected || this.exporter.breaker.state === 'half-open';
  }

  /**
   * Why the endpoint is passed over without being called, if it is; asking changes nothing.
   *
   * A last resort is put to an open breaker too, which admits it when a probe is due. A half-open breaker has 5 probes
   * to give, 3 failures of which reopen it. If the endpoint swallows what is sent, calls that come all at once would
   * hang with all its probes for a whole attempt: others could have taken their spans, and nobody would see it recover.
   * So until a probe has succeeded they are a third of that time apart, and last until the breaker has decided.
   */
  refusal({ lastResort = false }: { lastResort?: boolean } = {}): EndpointFailure | undefined {
    const { state, isCallPermitted } = this.exporter.breaker;
    if (this.throttled) return this.throttled;
    if (!lastResort && !isCallPermitted) return this.refused(`its circuit breaker is ${state}`);
    if (state !== 'half-open' || this.inFlight === 0 || this.wentWell) return undefined;
    const sinceLast = this.clock.now() - (this.lastAttemptAt ?? 0);
    return sinceLast * 3 < this.timeout.millis ? this.refused('a probe of it has not been answered') : undefined;
  }

  /** `turn` counts the attempts at all endpoints of a failover; `leftMillis` is what the call has left. */
  begin(turn: number, leftMillis = Number.POSITIVE_INFINITY): OpenAttempt {
    const before = { turn: this.lastTurn, at: this.lastAttemptAt };
    const startedAt = this.clock.now();
    this.lastTurn = turn;
    this.lastAttemptAt = startedAt;
    this.attempts++;
    this.inFlight++;
    const timeoutMillis = Math.min(this.timeout.millis, leftMillis);
    return {
      timeoutMillis,
      acknowledgedLate: (spans) => {
        this.lateAcknowledgedSpans += spans;
        this.timeout.acknowledged(this.clock.now() - startedAt);
      },
      end: (outcome) => {
        this.inFlight--;
        this.count(outcome);
        if (outcome.failure === 'refused') {
          // Nobody was asked, so its turn has not come yet.
          if (this.lastTurn !== turn) return;
          this.lastTurn = before.turn;
          this.lastAttemptAt = before.at;
        } else if (outcome.failure !== 'shutdown') {
          const tookMillis = this.clock.now() - startedAt;
          this.measure(tookMillis, outcome.failure !== undefined);
          if (!outcome.remaining) this.timeout.acknowledged(tookMillis);
          else this.timeout.unanswered(tookMillis, isTimeout(outcome.error) ? timeoutMillis : tookMillis);
        }
      },
    };
  }

  status(): EndpointStatus {
    const { name, priority, weight, inFlight, ewmaMillis, rejecting, lastFailure } = this;
    const { attempts, succeeded, failed, deliveredSpans, rejectedSpans, lateAcknowledgedSpans, failovers } = this;
    return {
      name,
      state: this.exporter.breaker.state,
      priority,
      weight,
      inFlight,
      ewmaMillis,
      attemptTimeoutMillis: this.timeout.millis,
      throttledMillis: this.throttled?.retryAfterMillis ?? 0,
      rejecting,
      lastFailure,
      counts: {
        attempts,
        succeeded,
        failed: { ...failed },
        deliveredSpans,
        rejectedSpans,
        lateAcknowledgedSpans,
        failovers,
      },
    };
  }

  private count(outcome: ExportOutcome): void {
    this.deliveredSpans += outcome.delivered;
    this.rejectedSpans += outcome.rejected;
    if (outcome.delivered > 0) this.rejecting = undefined;
    if (!outcome.remaining) {
      this.succeeded++;
      this.wentWell = true;
      return;
    }
    const { failure, error } = outcome;
    this.failed[failure]++;
    if (failure === 'retryable') this.wentWell = false;
    // A refusal and a shutdown are ours, and would hide what the endpoint itself said last.
    if (failure !== 'refused' && failure !== 'shutdown') {
      this.lastFailure = { failure, message: this.describe(error), at: this.clock.wallTime() };
    }
    if (failure === 'permanent') this.reject(outcome);
    const hint = failure === 'throttled' ? boundRetryAfter(outcome.retryAfterMillis) : undefined;
    const until = this.clock.now() + (hint ?? 0);
    if (hint === undefined || until <= (this.throttle?.until ?? 0)) return;
    this.throttle = { until, error: reworded(error, `${this.name}: ${this.lastFailure!.message}`) };
  }

  private describe(error: Error): string {
    const { unansweredMillis } = this.exporter;
    const message = describeError(error);
    return unansweredMillis && isTimeout(error) ? `${message}, and ${waitedInVain(unansweredMillis)}` : message;
  }

  private reject({ delivered, remaining }: ExportOutcome & Unsettled): void {
    const { message, at } = this.lastFailure!;
    this.rejectedSpans += remaining.spanCount;
    if (delivered > 0) return;
    const { spans, since } = this.rejecting ?? { spans: 0, since: at };
    this.rejecting = { message, spans: spans + remaining.spanCount, since };
  }

  private get throttled(): EndpointFailure | undefined {
    if (!this.throttle) return undefined;
    const retryAfterMillis = this.throttle.until - this.clock.now();
    return retryAfterMillis > 0 ? { failure: 'throttled', error: this.throttle.error, retryAfterMillis } : undefined;
  }

  private refused(why: string): EndpointFailure {
    const { name, lastFailure } = this;
    const said = lastFailure && `; the last time it failed: ${lastFailure.message}`;
    return { failure: 'refused', error: new ExportError('REFUSED', `${name} was not asked: ${why}${said ?? ''}`) };
  }

  // A failure counts as a whole attempt at least, lest an endpoint that fails at once be the fastest.
  private measure(tookMillis: number, failed: boolean): void {
    const sample = failed ? Math.max(tookMillis, this.timeout.millis) : tookMillis;
    this.ewmaMillis =
      this.ewmaMillis === undefined ? sample : this.ewmaMillis + EWMA_WEIGHT * (sample - this.ewmaMillis);
  }
}
