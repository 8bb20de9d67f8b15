import type { Clock, Timer } from '@otel-resilience/core';

const AGAIN_MILLIS = 3_600_000;

/**
 * Keeps the process alive until the function is called that it returns: for work that the application awaits, in the
 * pauses of which there is nothing but timers that do not.
 */
export function keepAlive(clock: Clock): () => void {
  let timer: Timer | undefined;
  const arm = () => {
    timer = clock.setTimeout(arm, AGAIN_MILLIS, { keepAlive: true });
  };
  arm();
  return () => clock.clearTimeout(timer);
}
