import type { Clock } from '@otel-resilience/core';

const HOUR_MILLIS = 3_600_000;
/** What the wall clock may gain or lose against the monotonic one in an hour: NTP slews by 2 s. */
const ALLOWED_MILLIS_PER_HOUR = 60_000;
/** Until then somebody may have seen it, and set the clock right. */
const HOLD_MILLIS = HOUR_MILLIS;

/**
 * Whether the wall clock, by which ages are counted, is to be trusted: not for an hour after it was seen to have jumped
 * against the monotonic one. It cannot know about a clock that was wrong from the beginning.
 */
export class ClockWatch {
  private readonly clock: Clock;
  private seen: { readonly wall: number; readonly monotonic: number };
  private jump: { readonly millis: number; readonly trustedAt: number } | undefined;

  constructor(clock: Clock) {
    this.clock = clock;
    this.seen = this.read();
  }

  /** `undefined` when all is well, or else what is the matter. */
  look(): string | undefined {
    const now = this.read();
    const elapsedMillis = now.monotonic - this.seen.monotonic;
    const jumpMillis = now.wall - this.seen.wall - elapsedMillis;
    this.seen = now;
    if (Math.abs(jumpMillis) > ALLOWED_MILLIS_PER_HOUR * Math.max(1, elapsedMillis / HOUR_MILLIS)) {
      this.jump = { millis: jumpMillis, trustedAt: now.monotonic + HOLD_MILLIS };
    }
    if (!this.jump || now.monotonic >= this.jump.trustedAt) return undefined;
    const { millis } = this.jump;
    return `the wall clock has jumped ${millis > 0 ? 'ahead' : 'back'} by ${Math.round(Math.abs(millis) / 1_000)} s`;
  }

  private read() {
    return { wall: this.clock.wallTime(), monotonic: this.clock.now() };
  }
}
