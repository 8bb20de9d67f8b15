import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { median, round, spreadOf } from '../harness.mjs';

/** The figures of a bench, as they come. `metrics` and `spread` are what it returns. */
export class Figures {
  metrics = {};
  spread = {};

  /** Adds a figure made of one value per round, by default their median. Its least and most are not rounded. */
  add(name, values, statistic = roundedMedian) {
    this.metrics[name] = statistic(values);
    this.spread[name] = { ...spreadOf(values), min: Math.min(...values), max: Math.max(...values) };
  }

  /** Likewise, with the upper bound of the median beside it, when there are rounds enough for one. */
  addBounded(name, values) {
    this.add(name, values);
    const { upper90 } = this.spread[name];
    if (upper90 !== undefined) this.metrics[`${name}Upper90`] = upper90;
  }

  /** Adds what ours adds ÷ what the reference adds, each one value per round; see {@link ratioOfMedians}. */
  addRatio(name, ours, reference) {
    const { value, lower90, upper90 } = ratioOfMedians(ours, reference);
    const rounded = (number) => (Number.isFinite(number) ? round(number) : undefined);
    this.metrics[name] = rounded(value);
    this.metrics[`${name}Upper90`] = rounded(upper90);
    this.spread[name] = { lower90: rounded(lower90), upper90: rounded(upper90), rounds: ours.length };
  }

  /** Of figures of which less is better, hands on the worst under one name. One of which nothing can be said is it. */
  addWorst(name, candidates) {
    if (candidates.length === 0) return;
    const rank = (candidate) => this.metrics[candidate] ?? Number.POSITIVE_INFINITY;
    const worst = candidates.reduce((a, b) => (rank(b) > rank(a) ? b : a));
    this.metrics[name] = this.metrics[worst];
    this.metrics[`${name}Upper90`] = this.metrics[`${worst}Upper90`];
    this.spread[name] = this.spread[worst];
  }
}

export const roundedMedian = (values) => round(median(values));

/** For fractions received: not rounded, so that one span lost in a million shows. */
export const least = (values) => Math.min(...values);

export const most = (values) => round(Math.max(...values));

/** Never rounded up: what is lost must show. */
export const percent = (share) => Math.floor(share * 1e6) / 1e4;

/** `camelCase` of parts, of which empty ones are left out. */
export function nameOf(...parts) {
  const joined = parts.filter(Boolean).join('');
  return joined.charAt(0).toLowerCase() + joined.slice(1);
}

const DRAWS = 2_000;

/**
 * The ratio of the medians of two paired samples, where each may be small beside its noise: a round in which the
 * denominator comes out near zero, or below, would make any ratio of its own. Bounds by drawing rounds again and again,
 * pairs together (bootstrap); infinite where the denominator is not clearly above zero, and no value where
 * its median is not: nothing can be said then.
 */
export function ratioOfMedians(numerators, denominators) {
  const value = median(numerators) / median(denominators);
  const random = xoroshiro128plus(numerators.length);
  const drawn = Array.from({ length: DRAWS }, () => {
    const rounds = numerators.map(() => Math.floor(((random.next() >>> 0) / 2 ** 32) * numerators.length));
    const denominator = median(rounds.map((round) => denominators[round]));
    return denominator > 0 ? median(rounds.map((round) => numerators[round])) / denominator : Number.POSITIVE_INFINITY;
  }).sort((a, b) => a - b);
  const [lower90, upper90] = [drawn[Math.floor(0.1 * DRAWS)], drawn[Math.floor(0.9 * DRAWS)]];
  const isKnown = median(denominators) > 0;
  return { value: isKnown ? value : undefined, lower90, upper90 };
}
