import { ConfigurationError, type LimitedLog } from '@otel-resilience/core';
import type { BreakerState } from './states.js';
import type { OpenReason } from './strategies.js';

/** The breaker has changed its state. */
export interface StateChangeEvent {
  readonly from: BreakerState;
  readonly to: BreakerState;
  /**
   * The rule that opened it, how the probes ended (`probesFailed`, `probesSucceeded`), what let probes in
   * (`openTimeElapsed`, `lastResortSucceeded`), or `manual`.
   */
  readonly reason:
    | OpenReason
    | 'probesFailed'
    | 'probesSucceeded'
    | 'openTimeElapsed'
    | 'lastResortSucceeded'
    | 'manual';
}

/** The share of refused calls has gone over the threshold. At most one such event per window. */
export interface RejectionRateEvent {
  /** Refused calls as a share of all calls of the window, 0 to 1. */
  readonly rejectionRate: number;
  readonly rejected: number;
  /** Calls of the window: refused ones and settled ones. */
  readonly calls: number;
  readonly windowMillis: number;
}

export interface CircuitBreakerEvents {
  readonly stateChange: StateChangeEvent;
  readonly rejectionRate: RejectionRateEvent;
}

export type CircuitBreakerEventName = keyof CircuitBreakerEvents;

type Listener<E> = (event: E) => unknown;

/** Calls listeners one event after the other, even when a listener causes the next event; what they throw is logged. */
export class Listeners {
  private readonly owner: string;
  private readonly log: LimitedLog;
  private readonly listeners: {
    [N in CircuitBreakerEventName]: Set<{ readonly call: Listener<CircuitBreakerEvents[N]> }>;
  } = { stateChange: new Set(), rejectionRate: new Set() };
  private readonly waiting: Array<() => void> = [];
  private emitting = false;

  constructor(owner: string, log: LimitedLog) {
    this.owner = owner;
    this.log = log;
  }

  add<N extends CircuitBreakerEventName>(name: N, listener: Listener<CircuitBreakerEvents[N]>): () => void {
    if (!Object.hasOwn(this.listeners, name)) {
      throw new ConfigurationError(`${this.owner}.on`, `one of ${Object.keys(this.listeners).join(', ')}`, name);
    }
    if (typeof listener !== 'function') throw new ConfigurationError(`${this.owner}.on`, 'a function', listener);
    // An entry of its own: the same function added twice is called twice, and each is taken away alone.
    const entry = { call: listener };
    this.listeners[name].add(entry);
    return () => {
      this.listeners[name].delete(entry);
    };
  }

  emit<N extends CircuitBreakerEventName>(name: N, event: CircuitBreakerEvents[N]): void {
    if (this.listeners[name].size === 0) return;
    for (const { call } of this.listeners[name]) this.waiting.push(() => this.callOne(name, call, event));
    if (this.emitting) return;
    this.emitting = true;
    for (let next = this.waiting.shift(); next; next = this.waiting.shift()) next();
    this.emitting = false;
  }

  private callOne<E>(name: string, call: Listener<E>, event: E): void {
    const warn = (thrown: unknown) => this.warn(name, thrown);
    try {
      const returned = call(event);
      // An async listener that fails must not end the process with an unhandled rejection.
      if (isThenable(returned)) returned.then(undefined, warn);
    } catch (thrown) {
      warn(thrown);
    }
  }

  private warn(name: string, thrown: unknown): void {
    this.log.warn('listener', () => `a ${name} listener failed: ${String(thrown)}`);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}
