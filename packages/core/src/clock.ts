import { suppressTracing } from './suppress-tracing.js';

/** What `setTimeout` of a {@link Clock} returns; only good for `clearTimeout` of the same clock. */
export type Timer = object;

/** Time as a dependency: components take a clock, tests hand them a virtual one. */
export interface Clock {
  /** Monotonic milliseconds, for every interval and deadline. Never compared with wall time. */
  now(): number;
  /** Milliseconds since the Unix epoch, only for what is stored or shown. */
  wallTime(): number;
  /**
   * Calls `callback` once, with tracing suppressed and outside the context of any request.
   * The timer does not keep the process alive unless `keepAlive` is set; that is for waits which the application
   * itself has asked for and which have a deadline (flush, shutdown): a program that ends with
   * `await sdk.shutdown()` must not be ended by Node in the middle of it.
   */
  setTimeout(callback: () => void, delayMillis: number, options?: { keepAlive?: boolean }): Timer;
  clearTimeout(timer: Timer | undefined): void;
}

// setTimeout takes a 32-bit delay and fires at once above it.
const MAX_DELAY_MILLIS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  setTimeout: (callback, delayMillis, options) =>
    suppressTracing(() => {
      const timer = setTimeout(callback, Math.min(Math.max(0, delayMillis), MAX_DELAY_MILLIS));
      // In jsdom and in renderers of Electron a timer is a number.
      return options?.keepAlive || typeof timer === 'number' ? timer : timer.unref();
    }),
  clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout | undefined),
};

/** Resolves after `delayMillis`, or at once when one of `signals` aborts: `true` when the whole time has passed. */
export function sleep(clock: Clock, delayMillis: number, ...signals: readonly AbortSignal[]): Promise<boolean> {
  if (signals.some(({ aborted }) => aborted)) return Promise.resolve(false);
  return new Promise((resolve) => {
    const end = (passed: boolean) => {
      clock.clearTimeout(timer);
      for (const signal of signals) signal.removeEventListener('abort', onAbort);
      resolve(passed);
    };
    const onAbort = () => end(false);
    const timer = clock.setTimeout(() => end(true), delayMillis);
    for (const signal of signals) signal.addEventListener('abort', onAbort);
  });
}

/**
 * Waits for `promise` until `deadline` (by `clock.now()`): `true` when it settled in time, whatever its result.
 * The wait keeps the process alive, since every caller is a flush or a shutdown that the application awaits.
 */
export function settledBy(clock: Clock, deadline: number, promise: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = clock.setTimeout(() => resolve(false), deadline - clock.now(), { keepAlive: true });
    const done = () => {
      clock.clearTimeout(timer);
      resolve(true);
    };
    promise.then(done, done);
  });
}
