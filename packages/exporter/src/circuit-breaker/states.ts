/** What a breaker does with a call. */
export type BreakerState =
  /** Every call passes and its result is judged. */
  | 'closed'
  /** Calls are refused until the open time has passed; a last-resort call may probe earlier. */
  | 'open'
  /** A few calls pass as probes; their results close or reopen the breaker. */
  | 'half-open'
  /** Every call is refused until `reset()` or `enable()`: an operator has isolated the backend. */
  | 'forced-open'
  /** Every call passes, no result is judged. */
  | 'disabled'
  /** Every call passes and is measured, but the breaker never opens. */
  | 'metrics-only';

/** The state in force. Every transition makes a new object, so its identity is the generation of a permit. */
export type State = Closed | Open | HalfOpen | Held;

export interface Closed {
  readonly name: 'closed';
}

export interface Open {
  readonly name: 'open';
  /** By the clock's `now()`. */
  until: number;
  /** How often the breaker has opened since it was last closed, this time included; the back-off grows with it. */
  readonly openings: number;
}

export interface HalfOpen {
  readonly name: 'half-open';
  readonly openings: number;
  successes: number;
  failures: number;
}

/** Left by hand only. */
export interface Held {
  readonly name: 'forced-open' | 'disabled' | 'metrics-only';
}

export interface OpenTimes {
  readonly openMillis: number;
  readonly openMultiplier: number;
  readonly maxOpenMillis: number;
}

export const closed = (): Closed => ({ name: 'closed' });

export const held = (name: Held['name']): Held => ({ name });

export const halfOpen = (openings: number, successes = 0): HalfOpen => ({
  name: 'half-open',
  openings,
  successes,
  failures: 0,
});

/** The `openings`-th open state in a row: each lasts `openMultiplier` times as long as the one before, up to the cap. */
export function open(at: number, openings: number, { openMillis, openMultiplier, maxOpenMillis }: OpenTimes): Open {
  return { name: 'open', until: at + Math.min(maxOpenMillis, openMillis * openMultiplier ** (openings - 1)), openings };
}
