import type { Clock, Timer } from '@otel-resilience/core';

/**
 * When a batch leaves although it is not full: after its wait, or at the end of a pause.
 *
 * There is one timer at most, none while nothing is queued, and none once the wait is over: a batch that is due leaves
 * with the next free slot, and while an exporter hangs there is nothing to wake up for.
 */
export class BatchTimer {
  private readonly clock: Clock;
  private readonly onDue: () => void;
  private timer: Timer | undefined;
  private pausedUntil = Number.NEGATIVE_INFINITY;
  private waited = false;

  constructor(clock: Clock, onDue: () => void) {
    this.clock = clock;
    this.onDue = onDue;
  }

  /** The open batch has waited long enough. */
  get due(): boolean {
    return this.waited;
  }

  /** Nothing to do for `arm`. */
  get isArmed(): boolean {
    return this.timer !== undefined;
  }

  isPaused(now: number): boolean {
    return now < this.pausedUntil;
  }

  /** Something is queued: starts the wait, unless it runs or is over. A pause takes its place. */
  arm(waitMillis: number): void {
    if (this.timer) return;
    const pauseMillis = this.pausedUntil - this.clock.now();
    if (pauseMillis > 0) this.timer = this.clock.setTimeout(this.fire, pauseMillis);
    else if (!this.waited) this.timer = this.clock.setTimeout(this.fire, waitMillis);
  }

  /** No batch leaves for this long, due or not. */
  pause(millis: number): void {
    this.pausedUntil = this.clock.now() + millis;
    this.clearTimer();
  }

  /** What was due has left. */
  restart(): void {
    this.waited = false;
  }

  /** Nothing is queued. */
  stop(): void {
    this.waited = false;
    this.clearTimer();
  }

  private clearTimer(): void {
    this.clock.clearTimeout(this.timer);
    this.timer = undefined;
  }

  private readonly fire = (): void => {
    this.timer = undefined;
    this.waited = true;
    this.onDue();
  };
}
