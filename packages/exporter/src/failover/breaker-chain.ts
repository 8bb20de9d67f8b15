import {
  anyExporter,
  type Clock,
  having,
  isSpanBatchExporter,
  list,
  type OptionReader,
  optional,
  readOptions,
  type SpanBatchExporter,
  type SpanExporter,
} from '@otel-resilience/core';
import type { CircuitBreaker } from '../circuit-breaker/circuit-breaker.js';
import {
  CircuitBreakerSpanExporter,
  type CircuitBreakerSpanExporterOptions,
} from '../circuit-breaker/circuit-breaker-span-exporter.js';
import { CIRCUIT_BREAKER_SCHEMA } from '../circuit-breaker/options.js';
import type { BreakerState } from '../circuit-breaker/states.js';
import { FailoverSpanExporter } from './failover-span-exporter.js';
import { COMMON_SCHEMA, type FailoverSpanExporterOptions, requireOwnNames } from './options.js';

/**
 * An exporter, or an exporter with a name and the options of its breaker. Without any of those options the breaker
 * opens after 3 consecutive failures, as that of every bare endpoint does.
 */
export type BreakerChainLevel = SpanExporter | SpanBatchExporter | CircuitBreakerSpanExporterOptions;

export interface BreakerChainOptions extends Omit<FailoverSpanExporterOptions, 'endpoints' | 'strategy' | 'random'> {
  /** In order of preference; at least one. Those without a name are `primary`, `secondary`, `tertiary`, `level-4`, … */
  readonly levels: readonly BreakerChainLevel[];
}

/**
 * Exporters in order of preference, each behind a breaker of its own: while one's breaker is open, the next is asked.
 *
 *     breakerChain({ levels: [collector, gateway, vendor] }).states() // { primary: 'open', secondary: 'closed', … }
 *
 * It is a {@link FailoverSpanExporter} with the strategy `priority`. Throws `ConfigurationError` for a wrong option.
 */
export function breakerChain(options: BreakerChainOptions): BreakerChain {
  return new BreakerChain(options);
}

export class BreakerChain extends FailoverSpanExporter {
  constructor(options: BreakerChainOptions) {
    const { levels, ...common } = readOptions('breakerChain', options, SCHEMA);
    const endpoints = levels.map((level) => ({ name: level.name, exporter: guarded(level, common.clock) }));
    super({ ...common, endpoints });
  }

  /** The state of each level's breaker, by name, in order. */
  states(): Record<string, BreakerState> {
    return Object.fromEntries(this.endpoints().map(({ name, state }) => [name, state]));
  }
}

interface NamedLevel extends CircuitBreakerSpanExporterOptions {
  readonly name: string;
}

const NAMES = ['primary', 'secondary', 'tertiary'];
const LEVEL_SCHEMA = {
  ...CIRCUIT_BREAKER_SCHEMA,
  exporter: anyExporter(),
  breaker: optional(having<CircuitBreaker>('a CircuitBreaker', ['tryAcquire'])),
};

const levels: OptionReader<readonly NamedLevel[]> = (value, path) => {
  const read = list(level, { min: 1 })(value, path);
  const named = read.map((one, index) => ({ ...one, name: one.name ?? NAMES[index] ?? `level-${index + 1}` }));
  requireOwnNames(named, path);
  return named;
};

const SCHEMA = { ...COMMON_SCHEMA, levels };

/** Checked here, so that a wrong option is named by its level; the breaker reads what was given, not our defaults. */
function level(value: unknown, path: string): CircuitBreakerSpanExporterOptions {
  const isOptions = typeof value === 'object' && value !== null && 'exporter' in value && !('export' in value);
  if (!isOptions || isSpanBatchExporter(value)) return { exporter: anyExporter()(value, path) };
  readOptions(path, value, LEVEL_SCHEMA);
  return { ...(value as CircuitBreakerSpanExporterOptions) };
}

/** A bare exporter is left for the failover to guard. */
function guarded(
  { name, exporter, ...breaker }: NamedLevel,
  clock: Clock | undefined,
): SpanExporter | SpanBatchExporter {
  const { breaker: shared, clock: own = clock, ...options } = breaker;
  if (shared) return new CircuitBreakerSpanExporter({ ...options, exporter, breaker: shared, clock: own });
  if (Object.values(options).every((option) => option === undefined)) return exporter;
  return new CircuitBreakerSpanExporter({ ...options, name, exporter, clock: own });
}
