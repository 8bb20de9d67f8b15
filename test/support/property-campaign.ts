import { createRequire } from 'node:module';
import type { default as FastCheck, Parameters as RunParameters } from 'fast-check';

/*
 * fast-check for a campaign: `PROPERTY_RUNS=20 npm test` tries every property so many times as often, from a new seed, but
 * no property for longer than 20 s, or `PROPERTY_MILLIS`. `vitest.config.ts` puts this module in its place.
 */
const MAX_MILLIS = Number(process.env.PROPERTY_MILLIS ?? 20_000);
const DEFAULT_RUNS = 100;

const fc = createRequire(import.meta.url)('fast-check') as typeof FastCheck;
const factor = Number(process.env.PROPERTY_RUNS);
if (!Number.isFinite(factor) || factor < 1) {
  throw new Error(
    `PROPERTY_RUNS is how many times as often a property is tried, a number from 1: got ${process.env.PROPERTY_RUNS}`,
  );
}

const more = (given: RunParameters<unknown> = {}): RunParameters<unknown> => {
  const { seed: _, path: __, ...others } = given;
  const numRuns = Math.ceil((given.numRuns ?? DEFAULT_RUNS) * factor);
  return { ...others, numRuns, interruptAfterTimeLimit: MAX_MILLIS, markInterruptAsFailure: false };
};

const campaign: typeof FastCheck = {
  ...fc,
  assert: ((property: never, given?: RunParameters<unknown>) => fc.assert(property, more(given))) as typeof fc.assert,
};

export default campaign;
