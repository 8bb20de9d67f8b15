import type { Clock, Timer } from '@otel-resilience/core';

interface PendingTimer {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

export interface VirtualClockOptions {
  /** Monotonic milliseconds at the start. Default 1,000. */
  readonly now?: number;
  /** Wall time at the start, in milliseconds since the epoch. Default 2026-01-01. */
  readonly wallTime?: number;
}

/** A clock that moves only when told to. */
export class VirtualClock implements Clock {
  private monotonic: number;
  private wallOffset: number;
  private order = 0;
  private readonly timers = new Set<PendingTimer>();

  constructor({ now = 1_000, wallTime = Date.UTC(2026, 0, 1) }: VirtualClockOptions = {}) {
    this.monotonic = now;
    this.wallOffset = wallTime - now;
  }

  now(): number {
    return this.monotonic;
  }

  wallTime(): number {
    return this.monotonic + this.wallOffset;
  }

  setTimeout(callback: () => void, delayMillis: number): Timer {
    const timer = { at: this.monotonic + Math.max(0, delayMillis), order: this.order++, callback };
    this.timers.add(timer);
    return timer;
  }

  clearTimeout(timer: Timer | undefined): void {
    this.timers.delete(timer as PendingTimer);
  }

  /** Timers that are set: 0 after a shutdown, or something leaks. */
  get pendingTimers(): number {
    return this.timers.size;
  }

  /** Lets wall time jump, as NTP or an operator would; monotonic time and timers are untouched. */
  jumpWallTime(byMillis: number): void {
    this.wallOffset += byMillis;
  }

  /** Moves time on, firing timers in order; promises settle between two timers, and before and after. */
  async advance(byMillis: number): Promise<void> {
    const until = this.monotonic + byMillis;
    await this.settle();
    for (let next = this.next(until); next; next = this.next(until)) {
      this.fire(next);
      await this.settle();
    }
    this.monotonic = until;
  }

  /** Moves time from timer to timer until `promise` settles; fails when it would take longer than `limitMillis`. */
  async run<T>(promise: Promise<T>, limitMillis = 600_000): Promise<T> {
    let open = true;
    const close = () => {
      open = false;
    };
    promise.then(close, close);
    const until = this.monotonic + limitMillis;
    await this.settle();
    while (open) {
      const next = this.next(until);
      if (!next) throw new Error(`VirtualClock.run: still pending, with no timer due within ${limitMillis} ms`);
      this.fire(next);
      await this.settle();
    }
    return promise;
  }

  /** Lets every promise that can settle without time passing do so. */
  async settle(): Promise<void> {
    // setImmediate runs after all microtasks; twice, since a callback of the first may start another chain.
    for (let turn = 0; turn < 2; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
  }

  private next(until: number): PendingTimer | undefined {
    let next: PendingTimer | undefined;
    for (const timer of this.timers) {
      if (timer.at > until) continue;
      if (!next || timer.at < next.at || (timer.at === next.at && timer.order < next.order)) next = timer;
    }
    return next;
  }

  private fire(timer: PendingTimer): void {
    this.timers.delete(timer);
    this.monotonic = Math.max(this.monotonic, timer.at);
    timer.callback();
  }
}
