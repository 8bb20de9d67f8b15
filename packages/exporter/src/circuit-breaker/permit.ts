import type { State } from './states.js';

/** What is known about a finished call. */
export interface CallResult {
  /** How long the call took. Without it the call never counts as slow. */
  readonly durationMillis?: number;
}

/**
 * Leave to make one call. Settle it exactly once, whatever happens to the call; a second settlement is ignored.
 * The result of a permit that an earlier state of the breaker has issued is counted, and changes no state.
 */
export interface BreakerPermit {
  /** The backend is well: it answered, even if with a refusal of what was sent. */
  success(result?: CallResult): void;
  /** The backend failed, or did not answer in time. */
  failure(result?: CallResult): void;
  /** The call says nothing about the backend: cancelled, throttled, or never made. */
  release(): void;
}

export type Verdict = 'success' | 'failure' | 'release';

/** Where a permit is handed back. */
export interface PermitDesk {
  settle(permit: Permit, issuer: State, verdict: Verdict, durationMillis: number): void;
}

/**
 * Never reused: the holder of a settled permit may settle it again at any time, and only an object of its own keeps
 * that from settling somebody else's call.
 */
export class Permit implements BreakerPermit {
  private readonly desk: PermitDesk;
  private issuer: State | undefined;

  constructor(desk: PermitDesk, issuer: State) {
    this.desk = desk;
    this.issuer = issuer;
  }

  success(result?: CallResult): void {
    this.settle('success', result);
  }

  failure(result?: CallResult): void {
    this.settle('failure', result);
  }

  release(): void {
    this.settle('release', undefined);
  }

  private settle(verdict: Verdict, result: CallResult | undefined): void {
    const { issuer } = this;
    if (issuer === undefined) return;
    this.issuer = undefined;
    this.desk.settle(this, issuer, verdict, result?.durationMillis ?? 0);
  }
}
