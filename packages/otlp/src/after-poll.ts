import type { Clock } from '@otel-resilience/core';

/**
 * Calls `onTimeout` when `millis` have passed and what has arrived by then has been read; returns what calls it off.
 *
 * In a turn of the event loop timers come before I/O: after a turn that took longer than the timeout, a bare timer
 * would condemn a peer whose bytes have long been there. So the verdict waits for two polls; the second is for a step
 * that the first one only begins, such as connecting once the name has been found.
 */
export function afterPoll(clock: Clock, millis: number, onTimeout: () => void): () => void {
  let immediate: NodeJS.Immediate | undefined;
  const timer = clock.setTimeout(() => {
    immediate = setImmediate(() => {
      immediate = setImmediate(onTimeout);
    });
  }, millis);
  return () => {
    clock.clearTimeout(timer);
    clearImmediate(immediate);
  };
}
