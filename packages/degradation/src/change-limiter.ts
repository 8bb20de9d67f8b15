import type { Clock, Timer } from '@otel-resilience/core';

/** After the level has risen, the next look is this much later. */
const AFTER_RISE_MILLIS = 1_000;
/** A look that found nothing costs a few microseconds, and changes come with every batch. */
const AFTER_LOOK_MILLIS = 20;

/** Looks at once when something has changed, but not too often; the last change is never overlooked. */
export class ChangeLimiter {
  private readonly clock: Clock;
  private readonly look: () => void;
  private lookedAt = 0;
  private pauseMillis = 0;
  private timer: Timer | undefined;

  constructor(clock: Clock, look: () => void) {
    this.clock = clock;
    this.look = look;
  }

  readonly changed = (): void => {
    if (this.timer) return;
    const passed = this.clock.now() - this.lookedAt;
    if (passed < 0 || passed >= this.pauseMillis) this.lookNow();
    else this.timer = this.clock.setTimeout(() => this.lookNow(), this.pauseMillis - passed);
  };

  /** The level has risen because of a change. */
  raised(): void {
    this.lookedAt = this.clock.now();
    this.pauseMillis = AFTER_RISE_MILLIS;
  }

  stop(): void {
    this.clock.clearTimeout(this.timer);
    this.timer = undefined;
    this.pauseMillis = 0;
  }

  private lookNow(): void {
    this.timer = undefined;
    this.lookedAt = this.clock.now();
    this.pauseMillis = AFTER_LOOK_MILLIS;
    this.look();
  }
}
