import type { Estimates } from './estimates.js';
import { Total } from './total.js';

const SEEDS = 30;
const MAX_Z = 4.5;
const MAX_MEAN_Z = 3;
/** Of the whole campaign, over all its tests. */
const SIGNIFICANCE = 0.001;
const MAX_RELATIVE_ERROR = 0.01;
const ENOUGH_TRACES = 40_000;
/**
 * Beyond, a total rests on so few traces that stand for so many that it is not normally distributed: a Poisson number
 * of mean 8 has this skewness. It then counts in the sum over all seeds.
 */
const MAX_SKEWNESS = 0.35;

/** What a seed has against it, for people to read. Nothing, if the samples are unbiased. */
export function objectionsOf(estimates: Estimates): string[] {
  const tests = [...estimates.testsOfFit(), ...estimates.testsOfIndependence()];
  const significant = SIGNIFICANCE / (tests.length * SEEDS);
  return [
    ...estimates.breaches,
    ...[...estimates.totals]
      .filter(([, total]) => Math.abs(total.skewness) <= MAX_SKEWNESS && Math.abs(total.z) > MAX_Z)
      .map(([name, total]) => `${name}: z = ${total.z.toFixed(2)}`),
    ...tests.filter(([, p]) => p < significant).map(([name, p]) => `${name}: G-test, p = ${p.toExponential(1)}`),
    ...inexact(estimates.totals),
  ];
}

/** What all seeds together have. */
export function objectionsOfAll(campaign: readonly Estimates[]): string[] {
  const pooled = new Map<string, Total>();
  const objections: string[] = [];
  for (const name of campaign[0]!.totals.keys()) {
    const totals = campaign.map((estimates) => estimates.totals.get(name)!);
    const meanZ = totals.reduce((sum, { z }) => sum + z, 0) / Math.sqrt(totals.length);
    if (Math.abs(meanZ) > MAX_MEAN_Z) objections.push(`${name}: mean z × √${totals.length} = ${meanZ.toFixed(2)}`);
    const all = new Total();
    for (const total of totals) all.merge(total);
    pooled.set(name, all);
    if (Math.abs(all.z) > MAX_Z) objections.push(`${name}: z of all seeds = ${all.z.toFixed(2)}`);
  }
  return [...objections, ...inexact(pooled)];
}

/** Traces are counted by what they say: one that stands for a hundred says no more than any other. */
function inexact(totals: ReadonlyMap<string, Total>): string[] {
  return [...totals]
    .filter(([, total]) => total.effectiveTraces >= ENOUGH_TRACES && Math.abs(total.relativeError) > MAX_RELATIVE_ERROR)
    .map(([name, total]) => `${name}: off by ${(100 * total.relativeError).toFixed(2)} %`);
}

/** One line per seed. */
export function summaryOf(seed: number, estimates: Estimates): string {
  const zs = [...estimates.totals.values()].filter(({ skewness }) => Math.abs(skewness) <= MAX_SKEWNESS);
  const z = Math.max(...zs.map((total) => Math.abs(total.z)));
  const ps = [...estimates.testsOfFit().values(), ...estimates.testsOfIndependence().values()];
  const overall = estimates.totals.get('overall spans')!;
  return [
    `seed ${seed}: ${estimates.spans} spans, ${estimates.earlyDecisions} early decisions`,
    `spans estimated ${(100 * overall.relativeError).toFixed(2)} % off from ${overall.keptTraces} traces`,
    `${zs.length} totals with |z| ≤ ${z.toFixed(2)}, ${ps.length} G-tests with p ≥ ${Math.min(...ps).toExponential(1)}`,
  ].join('; ');
}
