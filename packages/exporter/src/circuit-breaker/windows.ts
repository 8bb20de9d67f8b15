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

// A call leaves the window when its bucket does: at the latest after the window's length, at the earliest 1/60 before.
const BUCKETS = 60;
const COLUMNS = 3;

/** The calls of the last `lengthMillis`, in a ring of buckets. Also empties when nobody calls. */
export class TimeWindow implements CallWindow {
  calls = 0;
  failures = 0;
  slow = 0;
  private readonly bucketMillis: number;
  private readonly ring: Float64Array = new Float64Array(BUCKETS * COLUMNS);
  private bucket = 0;
  private bucketEndsAt = Number.NEGATIVE_INFINITY;

  constructor(lengthMillis: number) {
    this.bucketMillis = lengthMillis / BUCKETS;
  }

  add(now: number, calls: number, failures: number, slow: number): void {
    if (now >= this.bucketEndsAt) this.rotate(now);
    const { ring, bucket } = this;
    ring[bucket]! += calls;
    this.calls += calls;
    if (failures > 0) {
      ring[bucket + 1]! += failures;
      this.failures += failures;
    }
    if (slow > 0) {
      ring[bucket + 2]! += slow;
      this.slow += slow;
    }
  }

  advance(now: number): void {
    if (now >= this.bucketEndsAt) this.rotate(now);
  }

  clear(): void {
    this.ring.fill(0);
    this.calls = 0;
    this.failures = 0;
    this.slow = 0;
    this.bucketEndsAt = Number.NEGATIVE_INFINITY;
  }

  private rotate(now: number): void {
    if (this.calls === 0 || now - this.bucketEndsAt >= this.bucketMillis * (BUCKETS - 1)) {
      this.clear();
      this.bucketEndsAt = now + this.bucketMillis;
      return;
    }
    while (now >= this.bucketEndsAt) {
      const { ring } = this;
      this.bucket = (this.bucket + COLUMNS) % ring.length;
      this.calls -= ring[this.bucket]!;
      this.failures -= ring[this.bucket + 1]!;
      this.slow -= ring[this.bucket + 2]!;
      ring.fill(0, this.bucket, this.bucket + COLUMNS);
      this.bucketEndsAt += this.bucketMillis;
    }
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
