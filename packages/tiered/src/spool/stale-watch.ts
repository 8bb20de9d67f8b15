import type { Clock } from '@otel-resilience/core';

/** How often an owner renews its lock. */
export const HEARTBEAT_MILLIS = 5_000;

/** How many heartbeats in a row an observer must miss before it takes a lock that it cannot judge by the pid. */
const MISSED_HEARTBEATS = 6;

/**
 * Finds out which owners have stopped renewing. Only whether a heartbeat changes counts, and only the observer's own
 * monotonic clock: no clocks are compared, so a clock that jumps, here or there, makes nobody stale. Observations are
 * counted beside the time, so that a pause of the whole machine, which stops both sides, is one missed heartbeat.
 */
export class StaleWatch {
  private readonly clock: Clock;
  private readonly seen = new Map<string, { heartbeat: string; since: number; observedAt: number; missed: number }>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Notes what was read of `owner` just now: `true` once it has been the same for long enough. */
  observe(owner: string, heartbeat: string): boolean {
    const now = this.clock.now();
    const seen = this.seen.get(owner);
    if (seen?.heartbeat !== heartbeat) {
      this.forgetOld(now);
      this.seen.set(owner, { heartbeat, since: now, observedAt: now, missed: 0 });
      return false;
    }
    if (now - seen.observedAt >= HEARTBEAT_MILLIS) {
      seen.observedAt = now;
      seen.missed++;
    }
    return seen.missed >= MISSED_HEARTBEATS && now - seen.since >= MISSED_HEARTBEATS * HEARTBEAT_MILLIS;
  }

  get size(): number {
    return this.seen.size;
  }

  /** Owners that are observed no more are gone. */
  private forgetOld(now: number): void {
    for (const [owner, { observedAt }] of this.seen) {
      if (now - observedAt > 10 * MISSED_HEARTBEATS * HEARTBEAT_MILLIS) this.seen.delete(owner);
    }
  }
}
