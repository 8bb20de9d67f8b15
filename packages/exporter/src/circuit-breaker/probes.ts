import type { Permit } from './permit.js';
import type { State } from './states.js';

export interface Probe {
  readonly permit: Permit;
  readonly issuer: State;
  /** An unsettled probe has failed then. */
  readonly deadline: number;
}

/**
 * The probes in flight, those of earlier states included: what the backend still has to bear counts, not who asked
 * for it. In order of admission, so of deadline too.
 */
export class Probes {
  private readonly open: Probe[] = [];

  admit(probe: Probe): void {
    this.open.push(probe);
  }

  /** Takes a probe out; `false` when it has been taken out before. */
  remove(permit: Permit): boolean {
    const index = this.open.findIndex((probe) => probe.permit === permit);
    if (index >= 0) this.open.splice(index, 1);
    return index >= 0;
  }

  /** Takes out and returns the first probe whose deadline has come. */
  takeExpired(now: number): Probe | undefined {
    const first = this.open[0];
    return first && first.deadline <= now ? this.open.shift() : undefined;
  }

  /** How many have neither been settled nor expired. */
  inFlight(now: number): number {
    let count = 0;
    for (const { deadline } of this.open) if (deadline > now) count++;
    return count;
  }

  /** How many of one state's have not been settled, in flight or just expired: each takes up a probe of that state. */
  unsettled(issuer: State): number {
    let count = 0;
    for (const probe of this.open) if (probe.issuer === issuer) count++;
    return count;
  }

  /** The deadlines that have come for a state's unsettled probes, in order. */
  expiredDeadlines(now: number, issuer: State): number[] {
    return this.open.filter((probe) => probe.issuer === issuer && probe.deadline <= now).map((probe) => probe.deadline);
  }
}
