import { type Clock, integer, readOptions } from '@otel-resilience/core';
import { BreakerOpenError } from './breaker-open-error.js';
import type { CircuitBreakerEventName, CircuitBreakerEvents } from './events.js';
import { type CircuitBreakerOptions, readCircuitBreakerOptions } from './options.js';
import type { BreakerPermit } from './permit.js';
import { StateMachine } from './state-machine.js';
import type { BreakerState } from './states.js';

/** Counts run over the breaker's life, rates over its window. `total = ok + failed + released + rejected + inFlight`. */
export interface CircuitBreakerMetrics {
  readonly state: BreakerState;
  /** Calls that asked for a permit, and calls reported without one. */
  readonly total: number;
  readonly ok: number;
  /** Failed calls, probes that were not settled in time included. Refused calls never count here. */
  readonly failed: number;
  /** Calls whose result said nothing about the backend. */
  readonly released: number;
  /** Calls refused by the breaker. */
  readonly rejected: number;
  /** Permits that have not been settled. */
  readonly inFlight: number;
  readonly stateChanges: number;
  /** Calls in the window that the rates below are taken over. */
  readonly windowCalls: number;
  /** 0 to 1; 0 while the window is empty. */
  readonly failureRate: number;
  /** 0 to 1; always 0 unless the strategy is `composite`. */
  readonly slowCallRate: number;
  /** Failures since the last success. */
  readonly consecutiveFailures: number;
  /** Refused calls as a share of all calls of the last `rejectionWindowMillis`. */
  readonly rejectionRate: number;
}

export interface AcquireOptions {
  /**
   * Nobody else can take the call. So a breaker that is open admits a probe when `lastResortIntervalMillis` has
   * passed since the last such one. As soon as one succeeds, the breaker is half-open and this was its first success;
   * one that fails keeps ordinary calls out for another `openMillis`, counted from then.
   */
  readonly lastResort?: boolean;
}

const BRAND: symbol = Symbol.for('otel-resilience.CircuitBreaker');

const REPORT_SCHEMA = { successes: integer({ min: 0, default: 0 }), failures: integer({ min: 0, default: 0 }) };

/**
 * Stops calling a backend that fails, and finds out when it is well again. Alone:
 *
 *     const permit = breaker.tryAcquire();
 *     if (!permit) return refused();
 *     try { await send(); permit.success(); } catch (error) { permit.failure(); throw error; }
 *
 * or `await breaker.call(send)`. It has no timers: a closed breaker reads the clock once per permit, when that is
 * settled, and what became due in between is done when somebody next asks.
 *
 *              rule broken                open time passed, or a last-resort probe succeeded
 *     closed ───────────────▶ open ─────────────────────────────────▶ half-open
 *        ▲                      ▲──────── successes out of reach ────────┤
 *        └──────────────────────────────── enough successes ─────────────┘
 */
export class CircuitBreaker {
  readonly name: string;
  private readonly machine: StateMachine;
  private readonly clock: Clock;

  /** Throws a `ConfigurationError` for a wrong option. */
  constructor(options: CircuitBreakerOptions = {}) {
    Object.defineProperty(this, BRAND, { value: true });
    const resolved = readCircuitBreakerOptions('CircuitBreaker', options);
    this.name = resolved.name;
    this.clock = resolved.clock;
    this.machine = new StateMachine(resolved);
  }

  /**
   * The state in force. Reading it changes nothing: an open breaker whose time has passed is `open` until the next
   * call makes it half-open; {@link isCallPermitted} tells.
   */
  get state(): BreakerState {
    return this.machine.state.name;
  }

  /** Whether `tryAcquire()` would return a permit now. Reading it changes nothing. */
  get isCallPermitted(): boolean {
    return this.machine.isCallPermitted();
  }

  /** When the open time ends, by the clock's `now()`; `undefined` when the breaker is not open. */
  get openUntil(): number | undefined {
    return this.machine.openUntil(this.clock.now());
  }

  /** A permit for one call, or `undefined` when the call is refused. */
  tryAcquire(options?: AcquireOptions): BreakerPermit | undefined {
    return this.machine.tryAcquire(options?.lastResort === true);
  }

  /**
   * Makes the call if the breaker permits it; it has failed when it throws or rejects. Rejects with what the call
   * threw, or with a {@link BreakerOpenError} when it was refused. Measures the duration for the slow-call rate.
   */
  async call<T>(fn: () => T | PromiseLike<T>): Promise<Awaited<T>> {
    const permit = this.tryAcquire();
    if (!permit) throw new BreakerOpenError(this.name, this.state);
    const { measuresDuration } = this.machine;
    const startedAt = measuresDuration ? this.clock.now() : 0;
    let value: Awaited<T>;
    try {
      value = await fn();
    } catch (thrown) {
      permit.failure(measuresDuration ? { durationMillis: this.clock.now() - startedAt } : undefined);
      throw thrown;
    }
    permit.success(measuresDuration ? { durationMillis: this.clock.now() - startedAt } : undefined);
    return value;
  }

  /**
   * Takes in the results of calls that were made without a permit, such as the ones of a batch. They are counted in
   * every state but can only open a closed breaker: nobody knows in which state they were made. A report with both
   * kinds ends a row of consecutive failures. Throws a `ConfigurationError` unless both are integers of at least 0.
   */
  recordBatch(results: { readonly successes?: number; readonly failures?: number }): void {
    const { successes, failures } = readOptions('CircuitBreaker.recordBatch', results, REPORT_SCHEMA);
    this.machine.report(successes, failures);
  }

  metrics(): CircuitBreakerMetrics {
    const { state, admitted, ok, failed, released, rejected, stateChanges, strategy, rejectionRate } = this.machine;
    const now = this.clock.now();
    return {
      state: state.name,
      total: admitted + rejected,
      ok,
      failed,
      released,
      rejected,
      inFlight: admitted - ok - failed - released,
      stateChanges,
      ...strategy.measured(now),
      rejectionRate: rejectionRate.rate(now),
    };
  }

  /** Refuses every call, last-resort ones too, until `reset()` or `enable()`: `forced-open`. */
  trip(): void {
    this.machine.hold('forced-open');
  }

  /** Closes the breaker and forgets its window, its row of failures and its back-off, in any state. */
  reset(): void {
    this.machine.close('manual');
  }

  /** Lets every call pass and judges none: `disabled`, until `enable()` or `reset()`. */
  disable(): void {
    this.machine.hold('disabled');
  }

  /** Lets every call pass and measures it, but never opens: `metrics-only`, until `enable()` or `reset()`. */
  metricsOnly(): void {
    this.machine.hold('metrics-only');
  }

  /** Ends `forced-open`, `disabled` and `metrics-only`: the breaker is closed and works again. Otherwise does nothing. */
  enable(): void {
    const { name } = this.machine.state;
    if (name === 'forced-open' || name === 'disabled' || name === 'metrics-only') this.machine.close('manual');
  }

  /**
   * Calls `listener` after every change of state, or when the rejection rate goes over its threshold (at most once
   * per `rejectionWindowMillis`). Returns the function that takes the listener away. What a listener throws is
   * logged. Throws a `ConfigurationError` for another event or no function.
   */
  on<N extends CircuitBreakerEventName>(event: N, listener: (event: CircuitBreakerEvents[N]) => unknown): () => void {
    return this.machine.listeners.add(event, listener);
  }
}

/** Tells a `CircuitBreaker` by its brand, whichever copy of this package made it. */
export function isCircuitBreaker(value: unknown): value is CircuitBreaker {
  return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[BRAND] === true;
}
