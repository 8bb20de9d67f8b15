import { median, round, spreadOf } from '../harness.mjs';

/** The figures of a bench, as they come. `metrics` and `spread` are what it returns. */
export class Figures {
  metrics = {};
  spread = {};

  /** Adds a figure made of one value per round, by default their median. */
  add(name, values, statistic = roundedMedian) {
    this.metrics[name] = statistic(values);
    this.spread[name] = spreadOf(values);
  }

  /** Likewise, with the upper bound of the median beside it, when there are rounds enough for one. */
  addBounded(name, values) {
    this.add(name, values);
    const { upper90 } = this.spread[name];
    if (upper90 !== undefined) this.metrics[`${name}Upper90`] = upper90;
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
