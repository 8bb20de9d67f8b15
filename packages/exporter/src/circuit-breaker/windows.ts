/** Sums over the calls that are still inside a window. */
export interface CallWindow {
  readonly calls: number;
  readonly failures: number;
  readonly slow: number;
  /** Adds `calls` results of which `failures` failed and `slow` were slow, and forgets what has left the window. */
  add(now: number, calls: number, failures: number, slow: number): void;
  /** Forgets what has left the window by `now`. */
  advance(now: number): void;
  clear(): void;
}

// A call leaves the window when its step does: at the latest after the window's length, at the earliest 1/60 before.
const STEPS = 60;
const COLUMNS = 3;

/**
 * The calls of the last `lengthMillis`. Also empties when nobody calls.
 *
 * It only ever counts up, and remembers in a ring what the counters stood at when each step of time began: what has
 * been added since the oldest step began is inside the window. So an `add` within a step touches no array.
 */
export class TimeWindow implements CallWindow {
  private readonly stepMillis: number;
  private readonly ring: Float64Array = new Float64Array(STEPS * COLUMNS);
  private step = 0;
  private stepEndsAt = Number.NEGATIVE_INFINITY;
  private totalCalls = 0;
  private totalFailures = 0;
  private totalSlow = 0;
  private callsBefore = 0;
  private failuresBefore = 0;
  private slowBefore = 0;

  constructor(lengthMillis: number) {
    this.stepMillis = lengthMillis / STEPS;
  }

  get calls(): number {
    return this.totalCalls - this.callsBefore;
  }

  get failures(): number {
    return this.totalFailures - this.failuresBefore;
  }

  get slow(): number {
    return this.totalSlow - this.slowBefore;
  }

  add(now: number, calls: number, failures: number, slow: number): void {
    if (now >= this.stepEndsAt) this.stepTo(now);
    this.totalCalls += calls;
    this.totalFailures += failures;
    this.totalSlow += slow;
  }

  advance(now: number): void {
    if (now >= this.stepEndsAt) this.stepTo(now);
  }

  clear(): void {
    for (let step = 0; step < STEPS; step++) this.remember(step);
    this.forgetBefore(0);
    this.stepEndsAt = Number.NEGATIVE_INFINITY;
  }

  private stepTo(now: number): void {
    if (now - this.stepEndsAt >= this.stepMillis * (STEPS - 1)) {
      this.clear();
      // The steps begin with the first call, so that this one stays for the whole length of the window.
      this.stepEndsAt = now + this.stepMillis;
      return;
    }
    while (now >= this.stepEndsAt) {
      this.step = (this.step + 1) % STEPS;
      this.remember(this.step);
      this.stepEndsAt += this.stepMillis;
    }
    this.forgetBefore((this.step + 1) % STEPS);
  }

  private remember(step: number): void {
    const at = step * COLUMNS;
    this.ring[at] = this.totalCalls;
    this.ring[at + 1] = this.totalFailures;
    this.ring[at + 2] = this.totalSlow;
  }

  private forgetBefore(step: number): void {
    const at = step * COLUMNS;
    this.callsBefore = this.ring[at]!;
    this.failuresBefore = this.ring[at + 1]!;
    this.slowBefore = this.ring[at + 2]!;
  }
}

const FAILED = 1;
const SLOW = 2;

/** The last `size` calls, whenever they were. */
export class CountWindow implements CallWindow {
  calls = 0;
  failures = 0;
  slow = 0;
  private readonly ring: Uint8Array;
  private next = 0;

  constructor(size: number) {
    this.ring = new Uint8Array(size);
  }

  add(_now: number, calls: number, failures: number, slow: number): void {
    const size = this.ring.length;
    if (calls <= size) this.push(calls, failures, slow);
    // Nobody knows the order within a report of many: the window takes on the report's own rates.
    else this.push(size, Math.round((failures / calls) * size), Math.round((slow / calls) * size));
  }

  advance(): void {}

  clear(): void {
    this.calls = 0;
    this.failures = 0;
    this.slow = 0;
    this.next = 0;
  }

  private push(calls: number, failures: number, slow: number): void {
    for (let i = 0; i < calls; i++) this.pushOne((i < failures ? FAILED : 0) | (i < slow ? SLOW : 0));
  }

  private pushOne(flags: number): void {
    const { ring, next } = this;
    if (this.calls < ring.length) this.calls++;
    else this.forget(ring[next]!);
    if (flags & FAILED) this.failures++;
    if (flags & SLOW) this.slow++;
    ring[next] = flags;
    this.next = next + 1 === ring.length ? 0 : next + 1;
  }

  private forget(flags: number): void {
    if (flags & FAILED) this.failures--;
    if (flags & SLOW) this.slow--;
  }
}
