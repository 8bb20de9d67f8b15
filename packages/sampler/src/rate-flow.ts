import type { Clock } from '@otel-resilience/core';

/**
 * One stream of local traces that is held at a target of sampled spans/s: what it offers, and the ratio that follows.
 *
 * The ratio is computed from what is offered, not from what was sampled last: a controller without feedback cannot
 * oscillate. Every trace comes with the ratio up to which another rule lets it through, so that the cap `c` solves
 *
 *     target × seconds = spansPerRoot × (fixed + Σ weight × min(bound, c))
 *
 * over a sliding window of 20 s: after a step of the load the ratio moves monotonically and has arrived when the window
 * has passed. (An exponential average is still 10 % off after 4.5 time constants when the load falls tenfold.)
 *
 * Spans start after their root. So the size of a trace is taken from all local spans in the window, sampled or not,
 * which does not depend on the ratio. A slow correction accounts for sampled traces that are larger or smaller than
 * others; of a remote parent that did not sample, children are seen here that cost nothing.
 */
export class RateFlow {
  /** The cap in force. One of about 100 values, so that the thresholds computed from it are few. */
  ratio = 1;
  /** When traffic was last seen here, by a clock that is read now and then. */
  lastSeen = Number.NaN;

  private readonly targetPerMilli: number;
  private readonly minRatio: number;
  private readonly clock: Clock;
  private readonly seesAllSpans: boolean;
  private readonly window: Slot[] = [];
  private windowMillis = 0;
  private slot = new Slot();
  private openedAt = Number.NaN;
  private decisionsUntilRead = 1;
  private readEvery = 1;
  /** Evidence for the correction: sampled spans, and as many as there would have been if all traces were alike. */
  private sampledSpans = 0;
  private expectedSpans = 0;

  constructor({ targetSpansPerSecond, minRatio, clock, seesAllSpans }: RateFlowOptions) {
    this.seesAllSpans = seesAllSpans;
    this.targetPerMilli = targetSpansPerSecond / 1_000;
    this.minRatio = minRatio;
    this.clock = clock;
  }

  /** A local trace begins; `bound` and `weight` are those of `RateCap.onRoot`. */
  offer(bound: number, weight: number): void {
    const { slot } = this;
    slot.roots++;
    if (bound > 1) {
      slot.fixed++;
    } else {
      const index = classOf(bound);
      slot.weights[index]! += weight;
      slot.allowed[index]! += weight * bound;
    }
    if (--this.decisionsUntilRead <= 0) this.readClock();
  }

  countSampledRoot(): void {
    this.slot.sampledRoots++;
    this.slot.sampledSpans++;
  }

  countSampledChild(): void {
    this.slot.sampledSpans++;
  }

  countUnsampledChild(): void {
    this.slot.unsampledChildren++;
  }

  // Under load only every 16th decision reads the clock, which costs more than all the rest of it. None waits longer
  // than that, so that a rate that collapses is noticed.
  private readClock(): void {
    const now = this.clock.now();
    this.readEvery = now - this.lastSeen < READ_MILLIS ? Math.min(this.readEvery * 2, MAX_READ_EVERY) : 1;
    this.decisionsUntilRead = this.readEvery;
    this.lastSeen = now;
    const elapsed = now - this.openedAt;
    // The first slots are short: until there is an estimate, everything is sampled.
    const slotMillis = Math.min(Math.max(MIN_SLOT_MILLIS, this.windowMillis), MAX_SLOT_MILLIS);
    if (elapsed >= 0 && elapsed < slotMillis) return;
    // What was counted before the first read, or before the clock jumped back, has no known duration.
    if (elapsed > 0) this.close(elapsed);
    this.openedAt = now;
    this.slot = new Slot();
  }

  private close(elapsed: number): void {
    // Nothing for hours, or a clock that jumped, are the same to us: half of what was known is kept.
    this.slot.millis = Math.min(elapsed, MAX_GAP_MILLIS);
    this.window.push(this.slot);
    this.windowMillis += this.slot.millis;
    while (this.windowMillis - this.window[0]!.millis >= WINDOW_MILLIS) {
      this.windowMillis -= this.window.shift()!.millis;
    }
    const rootsWanted = (this.targetPerMilli * this.windowMillis) / this.spansPerSampledRoot();
    this.ratio = quantised(Math.max(this.solve(rootsWanted), this.minRatio), this.ratio, this.minRatio);
  }

  private spansPerSampledRoot(): number {
    const { slot } = this;
    const perRoot = this.seesAllSpans ? spansPerRoot(this.window) : 1;
    const enough = ENOUGH_ROOTS * perRoot;
    const kept = Math.max(Math.exp(-slot.millis / CORRECTION_MILLIS), Math.min(1, enough / this.expectedSpans));
    this.sampledSpans = this.sampledSpans * kept + slot.sampledSpans;
    this.expectedSpans = this.expectedSpans * kept + slot.sampledRoots * (this.seesAllSpans ? spansPerRoot([slot]) : 1);
    if (this.expectedSpans === 0) return perRoot;
    return Math.max(1, (perRoot * this.sampledSpans) / this.expectedSpans);
  }

  /** The cap under which the window would have had `wanted` sampled local roots. */
  private solve(wanted: number): number {
    let left = wanted;
    let uncapped = 0;
    for (const { fixed, weights } of this.window) {
      left -= fixed;
      for (const weight of weights) uncapped += weight;
    }
    if (left <= 0) return 0;
    // From the tightest bound on: those below the cap take what they may, the others share what is left.
    for (let index = 0; index < CLASSES; index++) {
      let weight = 0;
      let allowed = 0;
      for (const slot of this.window) {
        weight += slot.weights[index]!;
        allowed += slot.allowed[index]!;
      }
      if (weight === 0) continue;
      const cap = left / uncapped;
      if (cap < allowed / weight) return cap;
      left -= allowed;
      uncapped -= weight;
    }
    return 1;
  }
}

export interface RateFlowOptions {
  readonly targetSpansPerSecond: number;
  readonly minRatio: number;
  readonly clock: Clock;
  /** Whether children are counted that are not sampled. */
  readonly seesAllSpans: boolean;
}

/** What was offered between two reads of the clock. */
class Slot {
  millis = 0;
  roots = 0;
  fixed = 0;
  sampledRoots = 0;
  sampledSpans = 0;
  unsampledChildren = 0;
  /** By class of bound. */
  readonly weights = new Float64Array(CLASSES);
  readonly allowed = new Float64Array(CLASSES);
}

function spansPerRoot(slots: readonly Slot[]): number {
  let roots = 0;
  let children = 0;
  for (const slot of slots) {
    roots += slot.roots;
    children += slot.sampledSpans - slot.sampledRoots + slot.unsampledChildren;
  }
  return 1 + children / roots;
}

/** Bounds share a class when they are within a factor of two, from `(0, 2^-8)` to `[1, 1]`. */
const CLASSES = 9;
const classOf = (bound: number): number => 31 - Math.clz32((bound * (1 << (CLASSES - 1))) | 1);

const WINDOW_MILLIS = 20_000;
const MIN_SLOT_MILLIS = 100;
const MAX_SLOT_MILLIS = 1_000;
const MAX_GAP_MILLIS = 10_000;
const READ_MILLIS = 5;
const MAX_READ_EVERY = 16;
const CORRECTION_MILLIS = 60_000;
/** The correction remembers at least this many sampled traces, however old: few of them say little. */
const ENOUGH_ROOTS = 100;

const STEPS_PER_OCTAVE = 16;
/** A step is 4.4 %. The ratio in force stays until the exact one is three quarters of a step away. */
const HYSTERESIS_STEPS = 0.75;

function quantised(exact: number, inForce: number, min: number): number {
  if (exact >= 1 || exact <= min) return exact;
  const steps = -Math.log2(exact) * STEPS_PER_OCTAVE;
  if (Math.abs(steps + Math.log2(inForce) * STEPS_PER_OCTAVE) < HYSTERESIS_STEPS) return inForce;
  return Math.max(2 ** (-Math.round(steps) / STEPS_PER_OCTAVE), min);
}
