import {
  aClock,
  type Clock,
  ConfigurationError,
  type Failure,
  number,
  type OptionReader,
  optional,
  positiveInteger,
  readOptions,
  systemClock,
} from '@otel-resilience/core';

export interface RetryBudgetOptions {
  /** Tokens in a full bucket, which it starts as. Default 500 (AWS SDKs), at least 1. */
  readonly capacity?: number;
  /** Tokens that a retry takes after a disconnect, a timeout or a 5xx. Default 14 (AWS SDKs), 0 to `capacity`. */
  readonly retryCost?: number;
  /**
   * Tokens that a retry takes after a throttle: less, since the server is alive and has been waited for.
   * Default 5 (AWS SDKs), 0 to `capacity`.
   */
  readonly throttledRetryCost?: number;
  /** Tokens that a batch delivered at its first attempt brings. Default 1 (AWS SDKs), at least 0. */
  readonly successRefund?: number;
  /**
   * Tokens that time brings, per second. Default 1: one retry every 14 s is no load, and an application that exports
   * rarely has its retries back minutes after an outage. 0 leaves it to successes alone (AWS SDKs).
   */
  readonly refillPerSecond?: number;
  readonly clock?: Clock;
}

/** What a retrying exporter asks of a budget. */
export interface RetryTokens {
  /** Takes what a retry after `failure` costs, and returns it; `undefined` when there are not enough tokens. */
  tryAcquire(failure: Failure): number | undefined;
  /** Gives back what a retry has cost: it succeeded, was not made, or asked nobody. */
  release(tokens: number): void;
  /** A batch was delivered at its first attempt. */
  recordSuccess(): void;
}

const SCHEMA = {
  capacity: positiveInteger({ default: 500 }),
  retryCost: number({ default: 14, min: 0 }),
  throttledRetryCost: number({ default: 5, min: 0 }),
  successRefund: number({ default: 1, min: 0 }),
  refillPerSecond: number({ default: 1, min: 0 }),
  clock: optional(aClock),
};

/**
 * Bounds the retries of all the exporters that share it: a token bucket. While most calls succeed it never runs dry;
 * when a backend fails for all, at most `capacity / retryCost` retries (35) are made in a burst and then one every
 * 14 s, instead of four calls for one.
 *
 * A retry after `refused` is free: the call before it has asked nobody, so nobody gets more calls than without it.
 *
 *     const budget = new RetryBudget();
 *     const a = new RetryingSpanExporter({ exporter: toA, budget });
 *     const b = new RetryingSpanExporter({ exporter: toB, budget });
 *
 * Throws a `ConfigurationError` for a wrong option, and for a cost above the capacity.
 */
export class RetryBudget implements RetryTokens {
  private readonly options: Required<RetryBudgetOptions>;
  private available: number;
  private countedAt: number;

  constructor(options: RetryBudgetOptions = {}) {
    const read = readBudgetOptions(options, 'RetryBudget');
    this.options = { ...read, clock: read.clock ?? systemClock };
    this.available = this.options.capacity;
    this.countedAt = this.options.clock.now();
  }

  /** Tokens in the bucket now, 0 to `capacity`. */
  get tokens(): number {
    this.refill();
    return this.available;
  }

  tryAcquire(failure: Failure): number | undefined {
    const cost = this.costAfter(failure);
    if (this.tokens < cost) return undefined;
    this.available -= cost;
    return cost;
  }

  release(tokens: number): void {
    this.available = Math.min(this.tokens + tokens, this.options.capacity);
  }

  recordSuccess(): void {
    this.release(this.options.successRefund);
  }

  private costAfter(failure: Failure): number {
    if (failure === 'refused') return 0;
    return failure === 'throttled' ? this.options.throttledRetryCost : this.options.retryCost;
  }

  private refill(): void {
    const { clock, refillPerSecond, capacity } = this.options;
    const now = clock.now();
    this.available = Math.min(this.available + ((now - this.countedAt) / 1000) * refillPerSecond, capacity);
    this.countedAt = now;
  }
}

/** A budget of the user's own, the options for one, or `false`: retries bounded by their number alone. */
export function retryBudget(): OptionReader<RetryTokens | RetryBudgetOptions | false> {
  return (value, path) => {
    if (value === undefined) return {};
    if (value === false || isRetryTokens(value)) return value;
    return readBudgetOptions(value, path);
  };
}

// Known by what it does, not by its class: there may be two copies of this module in a process.
export function isRetryTokens(value: unknown): value is RetryTokens {
  return typeof value === 'object' && value !== null && typeof (value as RetryTokens).tryAcquire === 'function';
}

function readBudgetOptions(
  value: unknown,
  path: string,
): RetryBudgetOptions & Required<Omit<RetryBudgetOptions, 'clock'>> {
  const options = readOptions(path, value, SCHEMA);
  for (const key of ['retryCost', 'throttledRetryCost'] as const) {
    if (options[key] <= options.capacity) continue;
    throw new ConfigurationError(`${path}.${key}`, `at most capacity (${options.capacity})`, options[key]);
  }
  return options;
}
