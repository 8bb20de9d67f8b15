import type { Clock, Timer } from '@otel-resilience/core';

// Node's timers may fire up to this much too early.
const EARLY_MILLIS = 1;

/** When the next evaluation is: every `intervalMillis`, and exactly when a recovery step may be due. */
export class EvaluationTimer {
  private readonly clock: Clock;
  private readonly intervalMillis: number;
  private readonly onDue: () => void;
  private nextAt = 0;
  private timer: Timer | undefined;

  constructor(clock: Clock, intervalMillis: number, onDue: () => void) {
    this.clock = clock;
    this.intervalMillis = intervalMillis;
    this.onDue = onDue;
  }

  start(): void {
    this.nextAt = this.clock.now() + this.intervalMillis;
    this.arm(Number.POSITIVE_INFINITY);
  }

  /** After an evaluation, or when the level has moved. */
  arm(recoveryDueAt: number): void {
    this.stop();
    const now = this.clock.now();
    // Never farther away than one interval, even when the clock has gone back.
    this.nextAt = Math.min(this.nextAt, now + this.intervalMillis);
    const dueAt = recoveryDueAt > now ? Math.min(this.nextAt, recoveryDueAt) : this.nextAt;
    this.timer = this.clock.setTimeout(() => {
      this.timer = undefined;
      this.keepPace();
      this.onDue();
    }, dueAt - now);
  }

  stop(): void {
    this.clock.clearTimeout(this.timer);
    this.timer = undefined;
  }

  /** Unless evaluations come so late that it has to begin anew. */
  private keepPace(): void {
    const now = this.clock.now();
    if (this.nextAt > now + EARLY_MILLIS) return;
    this.nextAt += this.intervalMillis;
    if (this.nextAt <= now) this.nextAt = now + this.intervalMillis;
  }
}
