import type { Clock, Timer } from '@otel-resilience/core';

/** A clock that moves in the simulation's steps, within one turn of the event loop. */
export class SimClock implements Clock {
  private millis = 0;
  private readonly timers = new Set<{ at: number; callback: () => void }>();

  now = (): number => this.millis;
  wallTime = (): number => this.millis;

  setTimeout(callback: () => void, delayMillis: number): Timer {
    const timer = { at: this.millis + delayMillis, callback };
    this.timers.add(timer);
    return timer;
  }

  clearTimeout(timer: Timer | undefined): void {
    this.timers.delete(timer as never);
  }

  moveTo(millis: number): void {
    this.millis = millis;
    for (const timer of this.timers) {
      if (timer.at > millis || !this.timers.delete(timer)) continue;
      timer.callback();
    }
  }
}
