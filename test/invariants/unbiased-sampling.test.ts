import { afterAll, describe, expect, it } from 'vitest';
import { runCampaign } from './unbiased/campaign.js';
import { objectionsOf, objectionsOfAll, summaryOf } from './unbiased/criteria.js';
import type { Estimates } from './unbiased/estimates.js';
import { evictOnlyUnsampled, holdOnlyUnsampled } from './unbiased/mutants.js';

/*
 * Invariant 4: estimates from adjusted counts are unbiased. Five services with the real sampler and the real tail, a
 * foreign one before them, levels and rules that change in the middle of traces, bounds of every kind that are met and
 * that are not, flushes, errors and slow spans kept. `SEEDS=31-60 SPANS=4000000` goes on.
 */
const SEEDS = seedsOf(process.env.SEEDS ?? '1-30');
const SPANS = Number(process.env.SPANS ?? 1_000_000);
const TIMEOUT_MILLIS = 120_000 * Math.ceil(SPANS / 1_000_000);

describe('samples are unbiased, whatever the levels, rules, parents and bounds', () => {
  const campaign: Estimates[] = [];
  const summaries: string[] = [];
  afterAll(() => console.log(summaries.join('\n')));

  it.each(SEEDS)(
    'seed %i',
    async (seed) => {
      const estimates = await runCampaign({ seed, spans: SPANS });
      campaign.push(estimates);
      summaries.push(summaryOf(seed, estimates));
      expect(objectionsOf(estimates)).toEqual([]);
      expect(estimates.spans).toBeGreaterThanOrEqual(SPANS);
    },
    TIMEOUT_MILLIS,
  );

  it('nor is there a bias too small for one seed', () => {
    expect(campaign.length).toBe(SEEDS.length);
    expect(objectionsOfAll(campaign)).toEqual([]);
  });
});

describe('a bias would be found', () => {
  it.each([
    ['hold only unsampled traces', holdOnlyUnsampled],
    ['evict only unsampled traces', evictOnlyUnsampled],
  ])(
    '%s',
    async (_, wrap) => {
      for (const seed of [1, 4]) {
        expect(statistical(objectionsOf(await runCampaign({ seed, spans: SPANS, wrap })))).not.toEqual([]);
      }
    },
    TIMEOUT_MILLIS,
  );
});

/** By the numbers alone, without what is checked of every single span. */
function statistical(objections: string[]): string[] {
  return objections.filter((objection) => /z = |G-test|off by/.test(objection));
}

function seedsOf(range: string): number[] {
  const [first, last = first] = range.split('-').map(Number);
  return Array.from({ length: last! - first! + 1 }, (_, index) => first! + index);
}
