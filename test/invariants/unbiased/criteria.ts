import type { Estimates, Stratum } from './estimates.js';
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
 * of mean 8 has this skewness. It then counts in the sum over all seeds. (Spans and local traces must not be like that.)
 */
const MAX_SKEWNESS = 0.35;
const isNormal = ({ skewness }: Total) => Math.abs(skewness) <= MAX_SKEWNESS;

/** What a seed has against it, for people to read. Nothing, if the samples are unbiased. */
export function objectionsOf(estimates: Estimates): string[] {
  const tests = [...estimates.testsOfFit(), ...estimates.testsOfIndependence()];
  const significant = SIGNIFICANCE / (tests.length * SEEDS);
  return [
    ...estimates.breaches,
    ...[...estimates.totals]
      .filter(([name, total]) => / (spans|traces)$/.test(name) && !isNormal(total))
      .map(([name, { skewness }]) => `${name}: cannot be judged, with a skewness of ${skewness.toFixed(2)}`),
    ...[...estimates.totals]
      .filter(([, total]) => isNormal(total) && Math.abs(total.z) > MAX_Z)
      .map(([name, total]) => `${name}: z = ${total.z.toFixed(2)}`),
    ...tests.filter(([, p]) => p < significant).map(([name, p]) => `${name}: G-test, p = ${p.toExponential(1)}`),
    ...inexact(estimates.totals),
    ...inexactStrata(estimates.strata),
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
  const strata = new Map<string, Stratum>();
  for (const [name, { traces, kept, probability }] of campaign.flatMap((estimates) => [...estimates.strata])) {
    const all = strata.get(name) ?? { traces: 0, kept: 0, probability };
    strata.set(name, { traces: all.traces + traces, kept: all.kept + kept, probability });
  }
  return [...objections, ...inexact(pooled), ...inexactStrata(strata)];
}

/**
 * Of traces with unequal weights, 40,000 are those that say as much as 40,000 equal ones: where one stands for two
 * hundred others, it alone may be the 1 %.
 */
function inexact(totals: ReadonlyMap<string, Total>): string[] {
  return [...totals]
    .filter(([, total]) => total.effectiveTraces >= ENOUGH_TRACES && Math.abs(total.relativeError) > MAX_RELATIVE_ERROR)
    .map(([name, total]) => `${name}: off by ${(100 * total.relativeError).toFixed(2)} %`);
}

/** Where all have the same weight, traces are counted as they are. */
function inexactStrata(strata: ReadonlyMap<string, Stratum>): string[] {
  return [...strata]
    .map(([name, { traces, kept, probability }]) => ({ name, kept, error: kept / probability / traces - 1 }))
    .filter(({ kept, error }) => kept >= ENOUGH_TRACES && Math.abs(error) > MAX_RELATIVE_ERROR)
    .map(({ name, error }) => `${name}: off by ${(100 * error).toFixed(2)} %`);
}

/** One line per seed. */
export function summaryOf(seed: number, estimates: Estimates): string {
  const zs = [...estimates.totals.values()].filter(isNormal);
  const z = Math.max(...zs.map((total) => Math.abs(total.z)));
  const ps = [...estimates.testsOfFit().values(), ...estimates.testsOfIndependence().values()];
  const overall = estimates.totals.get('overall spans')!;
  return [
    `seed ${seed}: ${estimates.spans} spans, ${estimates.earlyDecisions} early decisions`,
    `spans estimated ${(100 * overall.relativeError).toFixed(2)} % off from ${overall.keptTraces} traces`,
    `${zs.length} totals with |z| ≤ ${z.toFixed(2)}, ${ps.length} G-tests with p ≥ ${Math.min(...ps).toExponential(1)}`,
  ].join('; ');
}
