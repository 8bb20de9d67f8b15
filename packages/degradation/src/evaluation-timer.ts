import type { Clock, Timer } from '@otel-resilience/core';

/** When the next evaluation is: every `intervalMillis`, and exactly when a recovery step may be due. */
export class EvaluationTimer {
  private readonly clock: Clock;
  private readonly intervalMillis: number;
  /**
   * What is due so close together is one evaluation: timers fire a little too late, or up to 1 ms too early, and a
   * second evaluation right after the first would find averages over next to no time.
   */
  private readonly slackMillis: number;
  private readonly onDue: () => void;
  private nextAt = 0;
  private timer: Timer | undefined;

  constructor(clock: Clock, intervalMillis: number, onDue: () => void) {
    this.clock = clock;
    this.intervalMillis = intervalMillis;
    this.slackMillis = Math.min(20, intervalMillis / 20);
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
    const recoversFirst = recoveryDueAt > now && recoveryDueAt <= this.nextAt + this.slackMillis;
    this.timer = this.clock.setTimeout(
      () => {
        this.timer = undefined;
        this.keepPace();
        this.onDue();
      },
      Math.ceil((recoversFirst ? recoveryDueAt : this.nextAt) - now), // Node would round down
    );
  }

  stop(): void {
    this.clock.clearTimeout(this.timer);
    this.timer = undefined;
  }

  /** Unless evaluations come so late that it has to begin anew. */
  private keepPace(): void {
    const now = this.clock.now();
    if (this.nextAt > now + this.slackMillis) return;
    this.nextAt += this.intervalMillis;
    if (this.nextAt <= now) this.nextAt = now + this.intervalMillis;
  }
}
