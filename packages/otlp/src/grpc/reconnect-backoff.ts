const FIRST_MILLIS = 100;
const MAX_MILLIS = 500;
const GROWTH = 2;
// What jitter takes away. The least part makes sure that a breaker's probe, every 500 ms, always meets an attempt that is due.
const LEAST_CUT = 0.1;
const LARGEST_CUT = 0.5;

/**
 * From the beginning of one attempt to connect to the earliest beginning of the next, in milliseconds: 100, 200, 400 and
 * then 500, less 10 to 50 %. Measured so, an attempt that used up its own timeout is followed by the next without a wait.
 */
export function reconnectDelay(failures: number, random: () => number): number {
  const full = Math.min(FIRST_MILLIS * GROWTH ** (failures - 1), MAX_MILLIS);
  return full * (1 - LEAST_CUT - (LARGEST_CUT - LEAST_CUT) * random());
}
