// What every bench shares: contenders measured in interleaved rounds, medians, and exact bounds for them.
import { cpus, loadavg, totalmem } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
// Else the collections we ask for throw away the code of whichever contender has not run for a while.
setFlagsFromString('--no-flush-bytecode');
const collectGarbage = runInNewContext('gc');

/**
 * Measures contenders side by side: every round runs each of them once, in rotated order, so that whatever else the
 * machine does hits all alike and a round's ratios are paired. A contender is `(iterations) => void | Promise<void>`;
 * iterations are chosen so that one turn takes about `millis`. Returns nanoseconds per iteration, by contender, one
 * value per round: of the wall, or with `measure: 'cpu'` of the processor, all threads of the process included, which
 * other programs disturb less. Every turn begins with a full collection, so that one contender's garbage is not the
 * next one's cost; `collect: false` leaves it out where garbage dies young anyway, because a collection also makes the
 * engine forget what it knows of objects that live only during a call.
 */
export async function interleave(
  contenders,
  { rounds = 21, warmupRounds = 3, millis = 30, measure = 'wall', collect = true } = {},
) {
  const time = measure === 'cpu' ? timeCpu : timeWall;
  const names = Object.keys(contenders);
  const iterations = {};
  for (const name of names) iterations[name] = await calibrate(contenders[name], millis, time);

  const nanos = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = -warmupRounds; round < rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(turn + round + warmupRounds) % names.length];
      if (collect) collectGarbage();
      const took = await time(contenders[name], iterations[name]);
      if (round >= 0) nanos[name].push((took / iterations[name]) * 1e6);
    }
  }
  return nanos;
}

/** Heap bytes that one iteration of a synchronous contender allocates; run long enough to drown the odd stray. */
export function allocatedBytes(contender, iterations = 20_000) {
  contender(iterations);
  contender(iterations);
  const samples = [];
  for (let i = 0; i < 11; i++) {
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    contender(iterations);
    samples.push((process.memoryUsage().heapUsed - before) / iterations);
  }
  return median(samples);
}

/** The same of one that is awaited, and allocates more: over so few iterations that nothing is collected meanwhile. */
export async function allocatedBytesAwaited(contender, iterations = 200) {
  for (let i = 0; i < 50; i++) await contender(iterations);
  const samples = [];
  for (let i = 0; i < 51; i++) {
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    await contender(iterations);
    samples.push((process.memoryUsage().heapUsed - before) / iterations);
  }
  return median(samples);
}

/** `a[i] / b[i]`, round by round. */
export const ratios = (a, b) => a.map((value, round) => value / b[round]);

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Order-statistics bounds of the median, each one-sided 90 %: the median is below `upper90` with 90 % confidence,
 * whatever the distribution. (With n values, the k-th smallest is above the median with probability P(Bin(n, ½) < k).)
 * Fewer than 4 values bound nothing.
 */
export function spreadOf(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const rank = upperRank(sorted.length);
  return {
    lower90: rank === undefined ? undefined : round(sorted[sorted.length - rank]),
    upper90: rank === undefined ? undefined : round(sorted[rank - 1]),
    min: round(sorted[0]),
    max: round(sorted.at(-1)),
    rounds: sorted.length,
  };
}

/** Medians and spreads of named samples, ready to be returned from a bench. */
export function summarize(samples) {
  const entries = Object.entries(samples);
  return {
    metrics: Object.fromEntries(entries.map(([name, values]) => [name, round(median(values))])),
    spread: Object.fromEntries(entries.map(([name, values]) => [name, spreadOf(values)])),
  };
}

export function machine() {
  const processors = cpus();
  return {
    cpu: processors[0]?.model ?? 'unknown',
    cpus: processors.length,
    memoryGiB: round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
    load1: round(loadavg()[0]),
  };
}

/** Four significant digits. */
export const round = (value) => Number(value.toPrecision(4));

async function calibrate(contender, millis, time) {
  await time(contender, 1_000);
  for (let iterations = 1_000; ; iterations *= 2) {
    const took = await time(contender, iterations);
    if (took >= millis / 4) return Math.max(1, Math.round((iterations * millis) / took));
  }
}

async function timeWall(contender, iterations) {
  const startedAt = performance.now();
  const pending = contender(iterations);
  if (pending) await pending;
  return performance.now() - startedAt;
}

async function timeCpu(contender, iterations) {
  const startedAt = process.cpuUsage();
  const pending = contender(iterations);
  if (pending) await pending;
  const { user, system } = process.cpuUsage(startedAt);
  return (user + system) / 1_000;
}

function upperRank(n) {
  let probability = 0.5 ** n;
  let cumulative = 0;
  for (let k = 1; k <= n; k++) {
    cumulative += probability; // P(Bin(n, ½) < k)
    if (cumulative >= 0.9) return k;
    probability *= (n - k + 1) / k;
  }
  return undefined;
}
