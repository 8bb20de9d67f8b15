import {
  aClock,
  anyExporter,
  type Clock,
  ConfigurationError,
  callback,
  integer,
  millis,
  number,
  oneOf,
  optional,
  ratio,
  readOptions,
  type SpanBatchExporter,
  type SpanExporter,
} from '@otel-resilience/core';
import { BACKOFF_STRATEGIES, type BackoffStrategy } from './backoff.js';
import { type RetryBudgetOptions, type RetryTokens, retryBudget } from './retry-budget.js';

export interface RetryingSpanExporterOptions {
  /** Whose failures are retried. A third-party exporter gets one export at a time; see `adaptSpanExporter`. */
  readonly exporter: SpanExporter | SpanBatchExporter;
  /** Attempts after the first one. Default 3, from 0 to 100. */
  readonly maxRetries?: number;
  /** The first wait, in milliseconds. Default 100, from 1 to `maxDelayMillis`. */
  readonly initialDelayMillis?: number;
  /** By what the wait grows with every retry (`exponential`, `equalJitter`, `fullJitter`). Default 2, from 1 to 100. */
  readonly multiplier?: number;
  /** The longest wait that is ours to choose, in milliseconds. Default 10,000. A server's hint may be longer. */
  readonly maxDelayMillis?: number;
  /**
   * By what share a wait may be shorter or longer (`fixed`, `exponential`), and by what share a server's hint may be
   * exceeded, so that clients throttled together do not return together. Default 0.1, from 0 to 1.
   */
  readonly randomizationFactor?: number;
  /** Default `exponential`. See {@link BackoffStrategy}. */
  readonly strategy?: BackoffStrategy;
  /**
   * Bounds the retries of all batches together: a {@link RetryBudget} (which exporters may share), the options for
   * one, or `false`. Default: a budget of this exporter's own.
   */
  readonly budget?: RetryTokens | RetryBudgetOptions | false;
  /**
   * Ends an attempt as `retryable` when it has not answered by then, in milliseconds, at least 1. Default: an attempt
   * may take until the export's deadline. A retry after such an attempt may deliver spans twice.
   */
  readonly attemptTimeoutMillis?: number;
  readonly clock?: Clock;
  /** From 0 to 1, as `Math.random`, which is the default. */
  readonly random?: () => number;
}

const SCHEMA = {
  exporter: anyExporter(),
  maxRetries: integer({ default: 3, min: 0, max: 100 }),
  initialDelayMillis: millis({ default: 100, min: 1 }),
  multiplier: number({ default: 2, min: 1, max: 100 }),
  maxDelayMillis: millis({ default: 10_000, min: 1 }),
  randomizationFactor: ratio({ default: 0.1 }),
  strategy: oneOf(BACKOFF_STRATEGIES, { default: 'exponential' }),
  budget: retryBudget(),
  attemptTimeoutMillis: optional(millis({ default: Number.POSITIVE_INFINITY, min: 1 })),
  clock: optional(aClock),
  random: optional(callback<() => number>()),
};

type Defaulted = Omit<RetryingSpanExporterOptions, 'attemptTimeoutMillis' | 'clock' | 'random'>;
export type ReadRetryOptions = RetryingSpanExporterOptions & Required<Defaulted>;

export function readRetryOptions(options: RetryingSpanExporterOptions): ReadRetryOptions {
  const read = readOptions('RetryingSpanExporter', options, SCHEMA);
  const { initialDelayMillis, maxDelayMillis } = read;
  if (initialDelayMillis > maxDelayMillis) {
    const expected = `at most maxDelayMillis (${maxDelayMillis})`;
    throw new ConfigurationError('RetryingSpanExporter.initialDelayMillis', expected, initialDelayMillis);
  }
  return read;
}
