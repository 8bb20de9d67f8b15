import { setMaxListeners } from 'node:events';
import type { Clock, Timer } from '@otel-resilience/core';

const REARM_MILLIS = 3_600_000;

/**
 * What a run holds while it goes on: a signal of its own, that ends with the one it was given, and the process. All other
 * timers are unref'd, and somebody waits for this.
 */
export class RunHold {
  readonly signal: AbortSignal;
  private readonly end = new AbortController();
  private readonly clock: Clock;
  private readonly given: AbortSignal | undefined;
  private timer: Timer | undefined;

  constructor(clock: Clock, given: AbortSignal | undefined) {
    this.clock = clock;
    this.given = given;
    this.signal = this.end.signal;
    // One listener for each open call is no leak.
    setMaxListeners(0, this.signal);
  }

  begin(): void {
    if (this.given?.aborted) this.onAbort();
    this.given?.addEventListener('abort', this.onAbort, { once: true });
    this.arm();
  }

  /** What is still open is ended. */
  release(): void {
    this.clock.clearTimeout(this.timer);
    this.given?.removeEventListener('abort', this.onAbort);
    this.end.abort(new Error('the run is over'));
  }

  private readonly onAbort = (): void => this.end.abort(this.given?.reason);
  private readonly arm = (): void => {
    this.timer = this.clock.setTimeout(this.arm, REARM_MILLIS, { keepAlive: true });
  };
}
