import type { RejectionRateEvent } from './events.js';
import { TimeWindow } from './windows.js';

/** The share of calls that were refused in the last `windowMillis`, and when to say that it is too high. */
export class RejectionRate {
  private readonly windowMillis: number;
  private readonly threshold: number;
  private readonly window: TimeWindow;
  private quietUntil = Number.NEGATIVE_INFINITY;

  constructor(windowMillis: number, threshold: number) {
    this.windowMillis = windowMillis;
    this.threshold = threshold;
    this.window = new TimeWindow(windowMillis);
  }

  admitted(now: number, calls: number): void {
    this.window.add(now, calls, 0, 0);
  }

  /** Counts one refused call; returns the event when it is due: at most one per window. */
  rejected(now: number): RejectionRateEvent | undefined {
    this.window.add(now, 1, 1, 0);
    const { calls, failures: rejected } = this.window;
    if (rejected <= this.threshold * calls || now < this.quietUntil) return undefined;
    this.quietUntil = now + this.windowMillis;
    return { rejectionRate: rejected / calls, rejected, calls, windowMillis: this.windowMillis };
  }

  rate(now: number): number {
    this.window.advance(now);
    return this.window.calls === 0 ? 0 : this.window.failures / this.window.calls;
  }
}
