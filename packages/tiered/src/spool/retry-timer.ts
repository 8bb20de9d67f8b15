import type { Clock, Timer } from '@otel-resilience/core';

const MIN_MILLIS = 1_000;
const MAX_MILLIS = 60_000;

/** Calls back after 1, 2, 4 … 60 s, each time it is started, until it is reset. */
export class RetryTimer {
  private readonly clock: Clock;
  private readonly retry: () => void;
  private timer: Timer | undefined;
  private millis = MIN_MILLIS;

  constructor(clock: Clock, retry: () => void) {
    this.clock = clock;
    this.retry = retry;
  }

  /** Nothing happens while it runs. */
  start(): void {
    if (this.timer) return;
    this.timer = this.clock.setTimeout(() => {
      this.timer = undefined;
      this.retry();
    }, this.millis);
    this.millis = Math.min(this.millis * 2, MAX_MILLIS);
  }

  /** All is well: the next time it begins anew. */
  reset(): void {
    this.millis = MIN_MILLIS;
  }

  stop(): void {
    this.clock.clearTimeout(this.timer);
    this.timer = undefined;
  }
}
