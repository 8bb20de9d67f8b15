import { type Clock, LimitedLog, Listeners } from '@otel-resilience/core';
import { CIRCUIT_BREAKER_EVENTS, type CircuitBreakerEvents, type StateChangeEvent } from './events.js';
import type { ResolvedOptions } from './options.js';
import { Permit, type PermitDesk, type Verdict } from './permit.js';
import { Probes } from './probes.js';
import { RejectionRate } from './rejection-rate.js';
import { closed, type HalfOpen, type Held, halfOpen, held, type Open, open, type State } from './states.js';
import { type OpenReason, Strategy } from './strategies.js';

/**
 * The states and the ways between them. It sets no timer: what is due is done when somebody next asks, as of the time
 * at which it was due, so that a breaker nobody uses costs nothing and one that is used behaves as if timers had run.
 */
export class StateMachine implements PermitDesk {
  state: State = closed();
  admitted = 0;
  ok = 0;
  failed = 0;
  released = 0;
  rejected = 0;
  stateChanges = 0;
  readonly strategy: Strategy;
  readonly rejectionRate: RejectionRate;
  readonly listeners: Listeners<CircuitBreakerEvents>;
  private readonly clock: Clock;
  private readonly options: ResolvedOptions;
  private readonly probes: Probes = new Probes();
  private nextLastResortAt = Number.NEGATIVE_INFINITY;

  constructor(options: ResolvedOptions) {
    this.options = options;
    this.clock = options.clock;
    this.strategy = new Strategy(options);
    this.rejectionRate = new RejectionRate(options.rejectionWindowMillis, options.rejectionRateThreshold);
    this.listeners = new Listeners(
      'CircuitBreaker',
      CIRCUIT_BREAKER_EVENTS,
      new LimitedLog(options.name, { clock: options.clock }),
    );
  }

  tryAcquire(lastResort: boolean): Permit | undefined {
    const { state } = this;
    return state.name === 'closed' ? this.admit(state) : this.tryAcquireUnlessClosed(lastResort);
  }

  isCallPermitted(): boolean {
    const { state } = this;
    if (state.name !== 'open' && state.name !== 'half-open') return state.name !== 'forced-open';
    const now = this.clock.now();
    if (!this.hasSlotLeft(now)) return false;
    const until = this.openUntil(now);
    return until === undefined ? state.name === 'half-open' && this.hasProbeLeft(state) : now >= until;
  }

  /** When an open time ends, those included that probes have begun or prolonged by expiring, unseen as yet. */
  openUntil(now: number): number | undefined {
    const { state, options } = this;
    if (state.name === 'open') {
      const [last] = this.probes.expiredDeadlines(now, state).slice(-1);
      return last === undefined ? state.until : Math.max(state.until, last + options.openMillis);
    }
    if (state.name !== 'half-open') return undefined;
    const reopens = this.probes.expiredDeadlines(now, state)[this.failuresToReopen - state.failures - 1];
    return reopens === undefined ? undefined : open(reopens, state.openings + 1, options).until;
  }

  /** Whether a result without a duration would be incomplete. */
  get measuresDuration(): boolean {
    return this.strategy.slowCallMillis < Number.POSITIVE_INFINITY;
  }

  settle(permit: Permit, issuer: State, verdict: Verdict, durationMillis: number): void {
    const now = this.clock.now();
    const slow = durationMillis > this.strategy.slowCallMillis ? 1 : 0;
    if (issuer.name === 'open' || issuer.name === 'half-open') {
      this.expireProbes(now);
      if (!this.probes.remove(permit)) return; // It has expired, so it has failed already.
      this.count(now, verdict);
      if (issuer === this.state && verdict !== 'release')
        this.onProbe(issuer, now, verdict === 'success' && slow === 0);
      return;
    }
    this.count(now, verdict);
    if (issuer === this.state && verdict !== 'release') this.record(now, 1, verdict === 'failure' ? 1 : 0, slow);
  }

  /** Results of calls made without a permit. Nobody knows in which state they were made, so only a closed breaker opens. */
  report(successes: number, failures: number): void {
    const now = this.clock.now();
    const calls = successes + failures;
    this.admitted += calls;
    this.ok += successes;
    this.failed += failures;
    this.rejectionRate.admitted(now, calls);
    if (calls > 0) this.record(now, calls, failures, 0);
  }

  hold(name: Held['name']): void {
    if (this.state.name !== name) this.moveTo(held(name), 'manual');
  }

  /** A closed breaker without a past. */
  close(reason: StateChangeEvent['reason']): void {
    this.strategy.clear();
    this.moveTo(closed(), reason);
  }

  private admit(state: State): Permit {
    this.admitted++;
    return new Permit(this, state);
  }

  private tryAcquireUnlessClosed(lastResort: boolean): Permit | undefined {
    const now = this.clock.now();
    this.expireProbes(now);
    if (this.state.name === 'open' && now >= this.state.until && this.hasSlotLeft(now)) {
      this.moveTo(halfOpen(this.state.openings), 'openTimeElapsed');
    }
    // Read again: listeners have run, and may have changed it by hand.
    const { state } = this;
    switch (state.name) {
      case 'closed':
      case 'disabled':
      case 'metrics-only':
        return this.admit(state);
      case 'half-open':
        return this.hasSlotLeft(now) && this.hasProbeLeft(state) ? this.admitProbe(state, now) : this.refuse(now);
      case 'open':
        if (!lastResort || now < this.nextLastResortAt || !this.hasSlotLeft(now)) return this.refuse(now);
        this.nextLastResortAt = now + this.options.lastResortIntervalMillis;
        return this.admitProbe(state, now);
      case 'forced-open':
        return this.refuse(now);
    }
  }

  private admitProbe(issuer: Open | HalfOpen, now: number): Permit {
    const permit = this.admit(issuer);
    this.probes.admit({ permit, issuer, deadline: now + this.options.probeTimeoutMillis });
    return permit;
  }

  private refuse(now: number): undefined {
    this.rejected++;
    const event = this.rejectionRate.rejected(now);
    if (event) this.listeners.emit('rejectionRate', event);
    return undefined;
  }

  private count(now: number, verdict: Verdict): void {
    if (verdict === 'success') this.ok++;
    else if (verdict === 'failure') this.failed++;
    else this.released++;
    this.rejectionRate.admitted(now, 1);
  }

  private record(now: number, calls: number, failures: number, slow: number): void {
    const { name } = this.state;
    if (name !== 'closed' && name !== 'metrics-only') return;
    const reason = this.strategy.record(now, calls, failures, slow);
    if (reason && name === 'closed') this.open(now, 1, reason);
  }

  /** A slow probe has failed: under the composite strategy, slowness is what opened the breaker. */
  private onProbe(issuer: Open | HalfOpen, now: number, well: boolean): void {
    if (issuer.name === 'open') this.onLastResortProbe(issuer, now, well);
    else if (well) {
      issuer.successes++;
      this.closeWhenWell(issuer);
    } else {
      issuer.failures++;
      if (issuer.failures >= this.failuresToReopen) this.open(now, issuer.openings + 1, 'probesFailed');
    }
  }

  /**
   * Its success lets the others in at once. Its failure is fresh evidence: while last-resort probes run and fail, no
   * burst of ordinary ones takes all the slots, so the backend is never further than one interval from a probe.
   */
  private onLastResortProbe(issuer: Open, now: number, well: boolean): void {
    if (!well) {
      issuer.until = Math.max(issuer.until, now + this.options.openMillis);
      return;
    }
    const state = halfOpen(issuer.openings, 1);
    this.moveTo(state, 'lastResortSucceeded');
    this.closeWhenWell(state);
  }

  private closeWhenWell(state: HalfOpen): void {
    if (state === this.state && state.successes >= this.options.halfOpenSuccesses) this.close('probesSucceeded');
  }

  private expireProbes(now: number): void {
    for (let probe = this.probes.takeExpired(now); probe; probe = this.probes.takeExpired(now)) {
      this.count(probe.deadline, 'failure');
      if (probe.issuer === this.state) this.onProbe(probe.issuer as Open | HalfOpen, probe.deadline, false);
    }
  }

  private open(at: number, openings: number, reason: OpenReason | 'probesFailed'): void {
    this.moveTo(open(at, openings, this.options), reason);
  }

  private moveTo(to: State, reason: StateChangeEvent['reason']): void {
    const from = this.state.name;
    this.state = to;
    if (from === to.name) return;
    this.stateChanges++;
    this.listeners.emit('stateChange', { from, to: to.name, reason });
  }

  private get failuresToReopen(): number {
    const { reopenOnFirstFailure, halfOpenPermits, halfOpenSuccesses } = this.options;
    return reopenOnFirstFailure ? 1 : halfOpenPermits - halfOpenSuccesses + 1;
  }

  private hasSlotLeft(now: number): boolean {
    return this.probes.inFlight(now) < this.options.halfOpenPermits;
  }

  private hasProbeLeft(state: HalfOpen): boolean {
    return state.successes + state.failures + this.probes.unsettled(state) < this.options.halfOpenPermits;
  }
}
