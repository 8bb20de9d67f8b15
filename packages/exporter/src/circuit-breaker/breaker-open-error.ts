import type { BreakerState } from './states.js';

/** A call was refused by the breaker; it has not been made. */
export class BreakerOpenError extends Error {
  readonly code = 'BREAKER_OPEN';
  /** The state that refused it: `open`, `forced-open`, or `half-open` with all its probes in flight. */
  readonly state: BreakerState;

  constructor(breaker: string, state: BreakerState) {
    super(`${breaker} is ${state}`);
    this.name = 'BreakerOpenError';
    this.state = state;
  }
}
