import { type Clock, suppressTracing, type Timer } from '@otel-resilience/core';
import { VirtualClock } from '@otel-resilience/testing';

/** Fires timers as the system clock does: with tracing suppressed and outside any request. */
export class SuppressingClock extends VirtualClock {
  override setTimeout(callback: () => void, delayMillis: number): Timer {
    return super.setTimeout(() => suppressTracing(callback), delayMillis);
  }
}

/** The timers of one part of a test, so that they can be told from the others'. */
export class TimerCount implements Clock {
  private readonly clock: Clock;
  private readonly pending = new Set<Timer>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  get pendingTimers(): number {
    return this.pending.size;
  }

  now(): number {
    return this.clock.now();
  }

  wallTime(): number {
    return this.clock.wallTime();
  }

  setTimeout(callback: () => void, delayMillis: number): Timer {
    const timer = this.clock.setTimeout(() => {
      this.pending.delete(timer);
      callback();
    }, delayMillis);
    this.pending.add(timer);
    return timer;
  }

  clearTimeout(timer: Timer | undefined): void {
    if (timer) this.pending.delete(timer);
    this.clock.clearTimeout(timer);
  }
}
