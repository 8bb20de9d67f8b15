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

export const CIRCUIT_BREAKER_EVENTS: readonly CircuitBreakerEventName[] = ['stateChange', 'rejectionRate'];
