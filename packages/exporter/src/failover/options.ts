import {
  aClock,
  anyExporter,
  boolean,
  type Clock,
  ConfigurationError,
  callback,
  type Failure,
  integer,
  list,
  millis,
  type OptionReader,
  oneOf,
  optional,
  type PipelineSignals,
  pipelineSignals,
  ratio,
  type SpanBatchExporter,
  type SpanExporter,
  shape,
  text,
} from '@otel-resilience/core';
import { FAILOVER_STRATEGIES, type FailoverStrategy } from './strategies.js';

/** One of several exporters that can take the same spans. */
export interface FailoverEndpointOptions {
  /** Shown in status, logs and metrics; must differ from the names of the others. */
  readonly name: string;
  /**
   * Any exporter. Unless it is a `CircuitBreakerSpanExporter` already, it is put behind a breaker that opens after 3
   * consecutive failures.
   */
  readonly exporter: SpanExporter | SpanBatchExporter;
  /** For `priority`: an integer of at least 0, lower is preferred. Default 0; equals keep the order of the list. */
  readonly priority?: number;
  /** For `weighted`: a number above 0, relative to the weights of the others. Default 1. */
  readonly weight?: number;
}

/** Spans that one endpoint did not take were handed to another. */
export interface FailoverEvent {
  readonly from: string;
  readonly to: string;
  readonly failure: Failure;
  readonly error: Error;
  readonly spanCount: number;
}

export interface FailoverSpanExporterOptions {
  /** At least one. */
  readonly endpoints: readonly FailoverEndpointOptions[];
  /**
   * Who is asked first; default `priority`. The others follow in the order of the same strategy.
   *
   * - `priority`: the lowest `priority` number.
   * - `roundRobin`: each in turn.
   * - `weighted`: at random, in proportion to `weight`.
   * - `random`: at random.
   * - `fastest`: the lowest moving average of export latency; a failure counts as at least `attemptTimeoutMillis`, and
   *   the average of an endpoint that is left alone fades, so that it is tried again.
   * - `leastInFlight`: the one with the fewest exports open.
   */
  readonly strategy?: FailoverStrategy;
  /**
   * How long one endpoint may take, in milliseconds, before its attempt counts as `retryable` and what remains goes to
   * the next. Never beyond the deadline of the call. At least 1, default 2,000.
   *
   * An endpoint that acknowledges spans later than this gets twice the time it took, up to 10,000 (the default timeout of
   * OTLP exporters) or, if it took longer than that, 30,000, until it answers faster, or not at all. So that one can be
   * heard of whose exporter cancels what is given up, one call per endpoint goes on while attempts run out of time, for as
   * long as the exporter itself lets it.
   */
  readonly attemptTimeoutMillis?: number;
  /**
   * The share of endpoints, 0 to 1, that their breakers may eject. The count is rounded up; default 0.5, Envoy's panic
   * threshold. While more than that are ejected, what the others do not take is offered to the ejected ones as a
   * last resort; 1 keeps that for when all are ejected, which it always does.
   */
  readonly maxEjectionRatio?: number;
  /** Called at every failover. What it throws is logged and changes nothing. */
  readonly onFailover?: (event: FailoverEvent) => void;
  /** Where the share of failed endpoints is published, as `failedEndpoints`. */
  readonly signals?: PipelineSignals;
  /** Whether to publish metrics through the global meter provider, if there is one. Default true. */
  readonly metrics?: boolean;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Returns numbers from 0 (inclusive) to 1 (exclusive). Default `Math.random`. */
  readonly random?: () => number;
}

const weight: OptionReader<number> = (value, path) => {
  if (value === undefined) return 1;
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
  throw new ConfigurationError(path, 'a number above 0', value);
};

const endpoint = shape({
  name: text(),
  exporter: anyExporter(),
  priority: integer({ default: 0, min: 0 }),
  weight,
});

const endpoints: OptionReader<readonly Required<FailoverEndpointOptions>[]> = (value, path) => {
  const read = list(endpoint, { min: 1 })(value, path);
  requireOwnNames(read, path);
  return read;
};

/** Throws unless every item of the list at `path` has a name of its own. */
export function requireOwnNames(items: readonly { readonly name: string }[], path: string): void {
  const seen = new Set<string>();
  items.forEach(({ name }, index) => {
    if (seen.has(name)) throw new ConfigurationError(`${path}[${index}].name`, 'a name that no other has', name);
    seen.add(name);
  });
}

type SchemaOf<O> = { readonly [K in keyof Required<O>]: OptionReader<O[K]> };
type CommonOptions = Omit<FailoverSpanExporterOptions, 'endpoints' | 'strategy' | 'random'> &
  Required<Pick<FailoverSpanExporterOptions, 'attemptTimeoutMillis' | 'maxEjectionRatio'>>;
type FailoverOptions = CommonOptions & {
  readonly endpoints: readonly Required<FailoverEndpointOptions>[];
  readonly strategy: FailoverStrategy;
  readonly random?: () => number;
};

/** What a failover and a breaker chain have in common. */
export const COMMON_SCHEMA: SchemaOf<CommonOptions> = {
  attemptTimeoutMillis: millis({ default: 2_000, min: 1 }),
  maxEjectionRatio: ratio({ default: 0.5 }),
  onFailover: optional(callback<(event: FailoverEvent) => void>()),
  signals: optional(pipelineSignals),
  metrics: boolean({ default: true }),
  clock: optional(aClock),
};

export const FAILOVER_SCHEMA: SchemaOf<FailoverOptions> = {
  ...COMMON_SCHEMA,
  endpoints,
  strategy: oneOf(FAILOVER_STRATEGIES, { default: 'priority' }),
  random: optional(callback<() => number>()),
};
