// Invariant 3: half-open probes in flight never exceed the permits; a result from an earlier state never moves the
// current one; a call refused here is never a backend failure.
import { type BreakerPermit, type BreakerState, CircuitBreaker } from '@otel-resilience/exporter';
import { VirtualClock } from '@otel-resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const PROBE_MILLIS = 10_000;
const LAST_RESORT_MILLIS = 500;
const IN_A_ROW = 5;
const WINDOW_SIZE = 20;
const MINIMUM_CALLS = 10;

type Verdict = 'success' | 'failure' | 'release';
type Control = 'trip' | 'reset' | 'disable' | 'enable' | 'metricsOnly';
type Step =
  | { readonly do: 'wait'; readonly millis: number }
  | { readonly do: 'acquire'; readonly lastResort: boolean }
  | { readonly do: 'settle'; readonly pick: number; readonly verdict: Verdict }
  | { readonly do: 'report'; readonly successes: number; readonly failures: number }
  | { readonly do: 'control'; readonly control: Control };

const verdict = fc.constantFrom<Verdict>('success', 'failure', 'failure', 'release');
const acquire = fc.record({ do: fc.constant('acquire' as const), lastResort: fc.boolean() });
// A pick above the number of permits in flight settles an old one a second time.
const settle = fc.record({ do: fc.constant('settle' as const), pick: fc.nat(30), verdict });
const wait = fc.record({
  do: fc.constant('wait' as const),
  millis: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(100, 400, 500) },
    { weight: 1, arbitrary: fc.constantFrom(2_000, 4_000, 8_000, 9_999, 10_000, 30_000, 60_000, 120_000) },
    { weight: 1, arbitrary: fc.nat(150_000) },
  ),
});
const report = fc.record({ do: fc.constant('report' as const), successes: fc.nat(12), failures: fc.nat(12) });
const control = fc.record({
  do: fc.constant('control' as const),
  control: fc.constantFrom<Control>('trip', 'reset', 'disable', 'enable', 'metricsOnly'),
});
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 10, arbitrary: acquire },
    { weight: 6, arbitrary: settle },
    { weight: 5, arbitrary: wait },
    { weight: 1, arbitrary: report },
    { weight: 1, arbitrary: control },
  ),
  { minLength: 1, maxLength: 150, size: 'max' },
);

interface Issued {
  readonly id: number;
  /** The generation of the state that issued it. */
  readonly generation: number;
  readonly probe: boolean;
  readonly deadline: number;
  open: boolean;
}

interface Settings {
  readonly halfOpenPermits: number;
  readonly halfOpenSuccesses: number;
  readonly reopenOnFirstFailure: boolean;
  readonly openMillis: number;
}

const settings: fc.Arbitrary<Settings> = fc
  .record({
    halfOpenPermits: fc.integer({ min: 1, max: 6 }),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
    reopenOnFirstFailure: fc.boolean(),
    // Shorter than the probe timeout, too: probes of one half-open state then outlive it into the next.
    openMillis: fc.constantFrom(400, 2_000, 30_000),
  })
  .map(({ share, ...rest }) => ({ ...rest, halfOpenSuccesses: 1 + Math.floor(share * (rest.halfOpenPermits - 1)) }));

/** What the breaker should do, told the naive way: everything happens at its time, as if timers ran. */
class Model {
  state: BreakerState = 'closed';
  ok = 0;
  failed = 0;
  released = 0;
  rejected = 0;
  private now: number;
  private generation = 0;
  private openings = 0;
  private until = 0;
  private good = 0;
  private bad = 0;
  private nextLastResort = Number.NEGATIVE_INFINITY;
  private window: boolean[] = [];
  private row = 0;
  private readonly issued: Issued[] = [];
  private readonly settings: Settings;

  constructor(now: number, settings: Settings) {
    this.now = now;
    this.settings = settings;
  }

  wait(millis: number) {
    const until = this.now + millis;
    for (const permit of this.issued) {
      if (!permit.probe || !permit.open || permit.deadline > until) continue;
      this.now = permit.deadline;
      this.settle(permit, 'failure');
    }
    this.now = until;
  }

  get openUntil() {
    return this.state === 'open' ? this.until : undefined;
  }

  get probesInFlight() {
    return this.issued.filter(({ probe, open }) => probe && open).length;
  }

  admits(lastResort = false): boolean {
    if (this.state === 'forced-open') return false;
    if (this.state !== 'open' && this.state !== 'half-open') return true;
    const { halfOpenPermits } = this.settings;
    if (this.probesInFlight >= halfOpenPermits) return false;
    if (this.state === 'open') return this.now >= this.until || (lastResort && this.now >= this.nextLastResort);
    const own = this.issued.filter(({ open, generation }) => open && generation === this.generation).length;
    return this.good + this.bad + own < halfOpenPermits;
  }

  acquire(lastResort: boolean, id: number): Issued | undefined {
    if (!this.admits(lastResort)) {
      this.rejected++;
      return undefined;
    }
    if (this.state === 'open') {
      if (this.now >= this.until) this.halfOpen(0);
      else this.nextLastResort = this.now + LAST_RESORT_MILLIS;
    }
    const probe = this.state === 'open' || this.state === 'half-open';
    const permit = { id, generation: this.generation, probe, deadline: this.now + PROBE_MILLIS, open: true };
    this.issued.push(permit);
    return permit;
  }

  settle(permit: Issued, verdict: Verdict) {
    if (!permit.open) return;
    permit.open = false;
    this[verdict === 'success' ? 'ok' : verdict === 'failure' ? 'failed' : 'released']++;
    if (permit.generation !== this.generation || verdict === 'release') return;
    const well = verdict === 'success';
    if (this.state === 'open') {
      if (well) this.halfOpen(1);
      else this.until = Math.max(this.until, this.now + this.settings.openMillis);
    } else if (this.state === 'half-open') {
      if (well) this.good++;
      else this.bad++;
      this.judgeProbes();
    } else this.record([!well]);
  }

  report(successes: number, failures: number) {
    this.ok += successes;
    this.failed += failures;
    const calls = successes + failures;
    if (calls === 0) return;
    const kept = Math.min(calls, WINDOW_SIZE);
    const bad = calls > WINDOW_SIZE ? Math.round((failures / calls) * WINDOW_SIZE) : failures;
    this.record(
      Array.from({ length: kept }, (_, i) => i < bad),
      successes > 0 ? 0 : this.row + failures,
    );
  }

  control(control: Control) {
    const manual = { trip: 'forced-open', disable: 'disabled', metricsOnly: 'metrics-only' } as const;
    if (control === 'reset') this.close();
    else if (control === 'enable') {
      if (this.state === 'forced-open' || this.state === 'disabled' || this.state === 'metrics-only') this.close();
    } else if (this.state !== manual[control]) this.enter(manual[control]);
  }

  private record(failures: boolean[], row?: number) {
    if (this.state !== 'closed' && this.state !== 'metrics-only') return;
    this.row = row ?? (failures[0] ? this.row + 1 : 0);
    this.window = [...this.window, ...failures].slice(-WINDOW_SIZE);
    if (this.state === 'metrics-only') return;
    const bad = this.window.filter(Boolean).length;
    const rate = this.window.length >= MINIMUM_CALLS && bad / this.window.length >= 0.5;
    if (rate || this.row >= IN_A_ROW) this.open(1);
  }

  private open(openings: number) {
    this.openings = openings;
    const { openMillis } = this.settings;
    this.until = this.now + Math.min(4 * openMillis, openMillis * 2 ** (openings - 1));
    this.enter('open');
  }

  private halfOpen(good: number) {
    this.good = good;
    this.bad = 0;
    this.enter('half-open');
    this.judgeProbes();
  }

  private judgeProbes() {
    const { halfOpenPermits, halfOpenSuccesses, reopenOnFirstFailure } = this.settings;
    if (this.good >= halfOpenSuccesses) this.close();
    else if (this.bad > (reopenOnFirstFailure ? 0 : halfOpenPermits - halfOpenSuccesses)) this.open(this.openings + 1);
  }

  private close() {
    this.window = [];
    this.row = 0;
    this.enter('closed');
  }

  private enter(state: BreakerState) {
    this.state = state;
    this.generation++;
  }
}

describe('CircuitBreaker', () => {
  it('does what a breaker with timers would do, whatever is done to it, in any order', async () => {
    await fc.assert(
      fc.asyncProperty(steps, settings, async (script, options) => {
        const clock = new VirtualClock();
        const breaker = new CircuitBreaker({ clock, window: 'count', windowSize: WINDOW_SIZE, ...options });
        const model = new Model(clock.now(), options);
        const held: { permit: BreakerPermit; issued: Issued }[] = [];

        for (const step of script) {
          if (step.do === 'wait') {
            await clock.advance(step.millis);
            model.wait(step.millis);
          } else if (step.do === 'acquire') {
            const permit = breaker.tryAcquire(step);
            const issued = model.acquire(step.lastResort, held.length);
            expect(permit !== undefined).toBe(issued !== undefined);
            if (permit && issued) held.push({ permit, issued });
            // Whatever was due has been done now, so the states themselves are the same.
            expect(breaker.state).toBe(model.state);
          } else if (step.do === 'settle' && held.length > 0) {
            const { permit, issued } = held[held.length - 1 - (step.pick % held.length)]!;
            permit[step.verdict]();
            model.settle(issued, step.verdict);
          } else if (step.do === 'report') {
            breaker.recordBatch({ successes: step.successes, failures: step.failures });
            model.report(step.successes, step.failures);
          } else if (step.do === 'control') {
            breaker[step.control]();
            model.control(step.control);
          }
          expect(breaker.isCallPermitted).toBe(model.admits());
          expect(breaker.openUntil).toBe(model.openUntil);
          expect(model.probesInFlight).toBeLessThanOrEqual(options.halfOpenPermits);
        }
        breaker.reset();
        for (const { permit, issued } of held) {
          permit.release();
          model.settle(issued, 'release');
        }
        const { ok, failed, released, rejected } = model;
        expect(breaker.metrics()).toMatchObject({ ok, failed, released, rejected, inFlight: 0, state: 'closed' });
        expect(clock.pendingTimers).toBe(0);
      }),
      { numRuns: 500 },
    );
  });
});
