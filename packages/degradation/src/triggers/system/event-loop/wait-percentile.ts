/** Ticks of a timer that came about this late. */
export interface LateTicks {
  readonly count: number;
  readonly lateMillis: number;
}

/**
 * How long what arrives at a random instant has to wait for the event loop: the wait that a share of `1 − exceeded` of
 * all instants in `windowMillis` does not exceed.
 *
 * Counted by time, not by ticks. A block of 2 s is a single tick, and lost among the 1,500 of a window of 30 s; but of
 * what arrives in that window, 7 % has to wait, and 1 % for more than 1.7 s. (Gil Tene: "coordinated omission".)
 */
export function waitPercentile(ticks: readonly LateTicks[], windowMillis: number, exceeded: number): number {
  const target = exceeded * windowMillis;
  const latestFirst = [...ticks].filter(({ lateMillis }) => lateMillis > 0).sort((a, b) => b.lateMillis - a.lateMillis);
  // During a block of L, the wait exceeds w for the first L − w of it: Σ (L − w) over all blocks above w is the time in
  // question, which falls as w grows.
  let count = 0;
  let sum = 0;
  for (const [index, tick] of latestFirst.entries()) {
    count += tick.count;
    sum += tick.count * tick.lateMillis;
    const next = latestFirst[index + 1]?.lateMillis ?? 0;
    if (sum - count * next >= target) return Math.max(0, (sum - target) / count);
  }
  return 0;
}

// Shorter ones may as well be those of a thread that the kernel was slow to wake.
const SHORTEST_STOP_MILLIS = 1_000;

/**
 * Without those that came late because the process was stopped while its loop was idle: a frozen function or container,
 * SIGSTOP. The loop counts that time as idle, but a block as active; so ticks that are late for longer than the loop was
 * active were not late because of it, the latest most likely. A stop in the middle of a busy phase is taken for a block.
 */
export function withoutStops(ticks: readonly LateTicks[], activeMillis: number): readonly LateTicks[] {
  const long = ticks.filter(({ lateMillis }) => lateMillis >= SHORTEST_STOP_MILLIS);
  let unexplained = long.reduce((sum, { count, lateMillis }) => sum + count * lateMillis, 0) - activeMillis;
  const stops = new Set<LateTicks>();
  for (const tick of long.sort((a, b) => b.lateMillis - a.lateMillis)) {
    const millis = tick.count * tick.lateMillis;
    if (unexplained <= millis / 2) continue;
    unexplained -= millis;
    stops.add(tick);
  }
  return ticks.filter((tick) => !stops.has(tick));
}
