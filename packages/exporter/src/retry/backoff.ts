/**
 * How the wait before a retry is chosen. `e` is `initialDelayMillis × multiplier ^ n`, at most `maxDelayMillis`; `n`
 * is 0 before the first retry.
 *
 * | strategy | wait |
 * |---|---|
 * | `fixed` | `initialDelayMillis` ± `randomizationFactor` |
 * | `exponential` | `e` ± `randomizationFactor` |
 * | `equalJitter` | between `e / 2` and `e` |
 * | `fullJitter` | between 0 and `e` |
 * | `decorrelatedJitter` | between `initialDelayMillis` and 3 × the wait before, at most `maxDelayMillis` |
 *
 * The three jitters are those of "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015). Every wait is at
 * least 1 ms and at most `maxDelayMillis`.
 */
export type BackoffStrategy = (typeof BACKOFF_STRATEGIES)[number];

export const BACKOFF_STRATEGIES = [
  'fixed',
  'exponential',
  'equalJitter',
  'fullJitter',
  'decorrelatedJitter',
] as const satisfies readonly string[];

export interface BackoffRule {
  readonly strategy: BackoffStrategy;
  readonly initialDelayMillis: number;
  readonly multiplier: number;
  readonly maxDelayMillis: number;
  readonly randomizationFactor: number;
}

const MIN_DELAY_MILLIS = 1;
const DECORRELATED_GROWTH = 3;

/** A function that returns the next wait of one batch, in milliseconds. `random` is from 0 to 1, as `Math.random`. */
export function createBackoff(rule: BackoffRule, random: () => number): () => number {
  const { strategy, initialDelayMillis, multiplier, maxDelayMillis, randomizationFactor } = rule;
  let retry = 0;
  let previous = initialDelayMillis;

  const between = (low: number, high: number) => low + random() * (high - low);
  const around = (delay: number) => between(delay * (1 - randomizationFactor), delay * (1 + randomizationFactor));

  const choose = (exponential: number) => {
    switch (strategy) {
      case 'fixed':
        return around(initialDelayMillis);
      case 'exponential':
        return around(exponential);
      case 'equalJitter':
        return between(exponential / 2, exponential);
      case 'fullJitter':
        return between(0, exponential);
      case 'decorrelatedJitter':
        return between(initialDelayMillis, previous * DECORRELATED_GROWTH);
    }
  };

  return () => {
    const exponential = Math.min(initialDelayMillis * multiplier ** retry++, maxDelayMillis);
    previous = Math.min(Math.max(choose(exponential), MIN_DELAY_MILLIS), maxDelayMillis);
    return previous;
  };
}
