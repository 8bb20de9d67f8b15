import {
  ALWAYS_NORMAL,
  aClock,
  boolean,
  type Clock,
  ConfigurationError,
  DEGRADATION_LEVELS,
  type DegradationLevel,
  integer,
  type LevelSource,
  levelSource,
  list,
  number,
  type OptionReader,
  oneOf,
  optional,
  perLevel,
  type Resource,
  ratio,
  readOptions,
  systemClock,
  text,
  textPattern,
} from '@otel-resilience/core';
import { type ComposableSampler, delegateOption, type Sampler } from './delegate.js';
import { type Pattern, SPAN_MATCHER_SCHEMA, type SpanMatcher } from './span-matcher.js';
import { DEFAULT_PRECISION } from './threshold.js';

/** Which spans a rule is for, as they are at their start, and what it does with them. */
export interface SamplingRule extends SpanMatcher {
  /** 0–1. The level, and the rate target, make less of it. */
  readonly ratio: number;
  /** `false`: what the rule does not sample is not recorded either, even if it fails. Default: as the level has it. */
  readonly keepErrors?: boolean;
}

/**
 * What is recorded of traces that are not sampled, for the tail to judge. `all`: everything (2 to 4 times the cost of
 * a span that is not recorded); `localRoots`: the local root alone; `off`: nothing.
 */
export type KeepErrors = 'all' | 'localRoots' | 'off';

export interface DegradationSamplerOptions {
  /** Whose level to follow: a `DegradationController`. Default: always normal. */
  readonly controller?: LevelSource;
  /** A sampler that is asked first; the level thins what it keeps. Default: all roots, and the parent's decision. */
  readonly delegate?: Sampler | ComposableSampler;
  /**
   * Of roots that no rule is for. A remote parent's decision has been through such a ratio already, so it is followed.
   * Default 1.
   */
  readonly ratio?: number;
  /** By which the ratio is multiplied at each level. Default 1, 0.5, 0.1, 0.01, 0.001. */
  readonly ratios?: Readonly<Partial<Record<DegradationLevel, number>>>;
  /** The first one that fits a local root's name, kind and attributes, as they are at its start. Default: none. */
  readonly rules?: readonly SamplingRule[];
  /** For the `service` of rules and {@link criticalServices}. Default: of `resource`, else of the environment. */
  readonly serviceName?: string;
  /** That of the tracer provider: `shouldSample` is not told. */
  readonly resource?: Resource;
  /** Holds the sampled spans of this process at this rate, within ratios from 0.01 to 1. Default: no target. */
  readonly targetSpansPerSecond?: number;
  /** Whether the target is for all spans of the process, or for those of every operation (name of the local root). */
  readonly targetPer?: 'service' | 'operation';
  /** Services that keep their full ratio through {@link criticalUntil}. Default: none. */
  readonly criticalServices?: readonly string[];
  /** Routes that do; `*` stands for any characters. Default: none. */
  readonly criticalRoutes?: Pattern;
  /** Default `moderate`. */
  readonly criticalUntil?: DegradationLevel;
  /** One value for all levels, or one for each. Default `all`, at emergency `localRoots`. */
  readonly keepErrors?: KeepErrors | Readonly<Partial<Record<DegradationLevel, KeepErrors>>>;
  /** `consistent`: the level thins what a remote parent has sampled, too. `false`: its flag decides. */
  readonly degradeRemoteParents?: false | 'consistent';
  /** Hex digits of a written threshold, counted after leading f's. 1–14, default 4. */
  readonly precision?: number;
  /** Default true. */
  readonly metrics?: boolean;
  readonly clock?: Clock;
}

const LEVEL_RATIOS: Readonly<Record<DegradationLevel, number>> = {
  normal: 1,
  light: 0.5,
  moderate: 0.1,
  heavy: 0.01,
  emergency: 0.001,
};

const KEEP_ERRORS = ['all', 'localRoots', 'off'] as const;
const KEEP_ERRORS_BY_LEVEL: Readonly<Record<DegradationLevel, KeepErrors>> = {
  normal: 'all',
  light: 'all',
  moderate: 'all',
  heavy: 'all',
  emergency: 'localRoots',
};

const keepErrors: OptionReader<Readonly<Record<DegradationLevel, KeepErrors>>> = (value, path) => {
  const one = oneOf(KEEP_ERRORS, { default: 'all' });
  if (typeof value !== 'string') return perLevel(one, KEEP_ERRORS_BY_LEVEL)(value, path);
  const all = one(value, path);
  return perLevel(one, KEEP_ERRORS_BY_LEVEL)(Object.fromEntries(DEGRADATION_LEVELS.map((level) => [level, all])), path);
};

const required =
  <T>(read: OptionReader<T>, expected: string): OptionReader<T> =>
  (value, path) => {
    if (value === undefined) throw new ConfigurationError(path, expected, value);
    return read(value, path);
  };

const RULE_SCHEMA = {
  ...SPAN_MATCHER_SCHEMA,
  ratio: required(ratio({ default: 1 }), 'a number from 0 to 1'),
  keepErrors: boolean({ default: true }),
};

const rule: OptionReader<SamplingRule> = (value, path) => readOptions(path, value, RULE_SCHEMA);

const resource: OptionReader<Resource> = (value, path) => {
  const attributes = typeof value === 'object' && value !== null && 'attributes' in value;
  if (attributes) return value as Resource;
  throw new ConfigurationError(path, 'a Resource (with attributes)', value);
};

const degradeRemoteParents: OptionReader<false | 'consistent'> = (value, path) => {
  if (value === undefined || value === 'consistent') return 'consistent';
  if (value === false) return false;
  throw new ConfigurationError(path, `false or 'consistent'`, value);
};

const SCHEMA = {
  controller: (value: unknown, path: string): LevelSource =>
    value === undefined ? ALWAYS_NORMAL : levelSource(value, path),
  delegate: optional(delegateOption),
  ratio: ratio({ default: 1 }),
  ratios: perLevel(ratio({ default: 1 }), LEVEL_RATIOS),
  rules: (value: unknown, path: string) => list(rule)(value ?? [], path),
  serviceName: optional(text()),
  resource: optional(resource),
  targetSpansPerSecond: optional(number({ default: 0, min: Number.MIN_VALUE })),
  targetPer: oneOf(['service', 'operation'], { default: 'service' }),
  criticalServices: (value: unknown, path: string) => list(text())(value ?? [], path),
  criticalRoutes: optional(textPattern),
  criticalUntil: oneOf(DEGRADATION_LEVELS, { default: 'moderate' }),
  keepErrors,
  degradeRemoteParents,
  precision: integer({ default: DEFAULT_PRECISION, min: 1, max: 14 }),
  metrics: boolean({ default: true }),
  clock: (value: unknown, path: string): Clock => (value === undefined ? systemClock : aClock(value, path)),
};

export type ReadSamplerOptions = ReturnType<typeof readSamplerOptions>;

/** Throws a `ConfigurationError` for what is wrong, unknown, or out of range. */
export function readSamplerOptions(options: DegradationSamplerOptions) {
  return readOptions('DegradationSampler', options, SCHEMA);
}
