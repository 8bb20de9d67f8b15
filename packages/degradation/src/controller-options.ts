import {
  aClock,
  boolean,
  type Clock,
  ConfigurationError,
  DEFAULT_STRATEGIES,
  DEGRADATION_LEVELS,
  type DegradationLevel,
  type DegradationStrategy,
  having,
  list,
  millis,
  type OptionReader,
  oneOf,
  optional,
  type PipelineSignals,
  readOptions,
  systemClock,
  text,
} from '@otel-resilience/core';
import { type Features, features } from './feature-gates.js';
import type { RaisedLevel, Trigger } from './trigger.js';
import { readRecoveryThreshold, readThresholds } from './trigger-options.js';
import type { WatchedTrigger } from './trigger-watch.js';

export interface DegradationControllerOptions {
  /** What is watched. Names are unique. May be empty: then only `force()` moves the level. */
  readonly triggers: readonly Trigger[];
  /** How often every trigger is read, in milliseconds, 1 to 86,400,000. Default 30,000. */
  readonly evaluationIntervalMillis?: number;
  /** Shortest time between two steps down, in milliseconds, 1 to 86,400,000. Default 30,000. */
  readonly recoveryIntervalMillis?: number;
  /** How long a trigger that answers with a promise is waited for, in milliseconds, 1 to 60,000, and at most one interval. Default 1,000. */
  readonly triggerTimeoutMillis?: number;
  /**
   * `reference`: calm is a load below 60 %, an error rate below 1 %, an export latency below 100 ms, for triggers of
   * ours without a `recoveryThreshold` of their own. Default `default`: each trigger's, 0.8 × light.
   */
  readonly recoveryProfile?: 'default' | 'reference';
  /** False: the level is `normal`, always, and nothing is watched. Default true. */
  readonly enabled?: boolean;
  /** Watches, and records what it would have done; `level` stays `normal` unless forced. Default false. */
  readonly monitorOnly?: boolean;
  /** The level from which each strategy is in force, or `off`. Default: `DEFAULT_STRATEGIES` of core. */
  readonly strategies?: Readonly<Partial<Record<DegradationStrategy, DegradationLevel | 'off'>>>;
  /**
   * Features of your own: the level from which each is gone, so `heavy` is available up to moderate. Default:
   * analytics and nonEssential light, detailedLogs moderate, caching heavy; core always stays.
   */
  readonly features?: Readonly<Record<string, RaisedLevel>>;
  /** Where changes make immediate triggers read at once, besides the signals that such triggers have themselves. */
  readonly signals?: Pick<PipelineSignals, 'onChange'>;
  /** Whether to publish metrics. Default true. */
  readonly metrics?: boolean;
  /** Default: the system's. */
  readonly clock?: Clock;
}

export interface ControllerSettings {
  readonly triggers: readonly WatchedTrigger[];
  readonly evaluationIntervalMillis: number;
  readonly recoveryIntervalMillis: number;
  readonly triggerTimeoutMillis: number;
  readonly enabled: boolean;
  readonly monitorOnly: boolean;
  readonly strategies: Readonly<Record<DegradationStrategy, DegradationLevel | 'off'>>;
  readonly features: Features;
  readonly signals: ReadonlySet<Pick<PipelineSignals, 'onChange'>>;
  readonly metrics: boolean;
  readonly clock: Clock;
}

const DAY_MILLIS = 86_400_000;

const aTrigger: OptionReader<Trigger> = having('a Trigger', ['read']);
const changing = having<Pick<PipelineSignals, 'onChange'>>('PipelineSignals', ['onChange']);

const SCHEMA = {
  triggers: list(aTrigger),
  evaluationIntervalMillis: millis({ default: 30_000, min: 1, max: DAY_MILLIS }),
  recoveryIntervalMillis: millis({ default: 30_000, min: 1, max: DAY_MILLIS }),
  triggerTimeoutMillis: millis({ default: 1_000, min: 1, max: 60_000 }),
  recoveryProfile: oneOf(['default', 'reference'], { default: 'default' }),
  enabled: boolean({ default: true }),
  monitorOnly: boolean({ default: false }),
  strategies,
  features,
  signals: optional(changing),
  metrics: boolean({ default: true }),
  clock: optional(aClock),
};

/** Throws a `ConfigurationError` for what is wrong. */
export function readControllerOptions(owner: string, options: unknown): ControllerSettings {
  const { recoveryProfile, signals, clock = systemClock, ...read } = readOptions(owner, options, SCHEMA);
  const triggers = read.triggers.map((trigger, index) =>
    watched(trigger, `${owner}.triggers[${index}]`, recoveryProfile === 'reference'),
  );
  const names = new Set<string>();
  triggers.forEach(({ name }, index) => {
    if (names.has(name)) throw new ConfigurationError(`${owner}.triggers[${index}].name`, 'a unique name', name);
    names.add(name);
  });
  const own = triggers.filter(({ immediate }) => immediate).map(({ trigger }) => trigger.signals);
  const all = new Set([signals, ...own].filter((source) => source !== undefined));
  return { ...read, triggers, signals: all, clock };
}

function watched(trigger: Trigger, path: string, reference: boolean): WatchedTrigger {
  const thresholds = readThresholds(trigger.thresholds, `${path}.thresholds`, {
    above: Number.NEGATIVE_INFINITY,
    max: Number.POSITIVE_INFINITY,
  });
  const own = readRecoveryThreshold(trigger.recoveryThreshold, `${path}.recoveryThreshold`, {
    above: Number.NEGATIVE_INFINITY,
    light: thresholds.light,
  });
  const ofReference = number(trigger.referenceRecoveryThreshold, `${path}.referenceRecoveryThreshold`);
  const follows = reference && ofReference !== undefined && ofReference <= thresholds.light;
  for (const method of ['start', 'stop', 'recordOutcome'] as const) {
    const given = trigger[method];
    if (given !== undefined && typeof given !== 'function') {
      throw new ConfigurationError(`${path}.${method}`, 'a function', given);
    }
  }
  if (trigger.signals !== undefined) changing(trigger.signals, `${path}.signals`);
  return Object.freeze({
    trigger,
    name: text()(trigger.name, `${path}.name`),
    thresholds,
    recoveryThreshold: follows ? ofReference : own,
    holdForMillis: millis({ default: 0 })(trigger.holdForMillis, `${path}.holdForMillis`),
    immediate: boolean({ default: false })(trigger.immediate, `${path}.immediate`),
  });
}

function strategies(value: unknown, path: string): Readonly<Record<DegradationStrategy, DegradationLevel | 'off'>> {
  if (value === undefined) return DEFAULT_STRATEGIES;
  const schema = Object.fromEntries(
    Object.entries(DEFAULT_STRATEGIES).map(([strategy, level]) => [
      strategy,
      oneOf([...DEGRADATION_LEVELS, 'off'], { default: level }),
    ]),
  );
  return readOptions(path, value, schema) as Record<DegradationStrategy, DegradationLevel | 'off'>;
}

function number(value: unknown, path: string): number | undefined {
  if (value === undefined || (typeof value === 'number' && Number.isFinite(value))) return value;
  throw new ConfigurationError(path, 'a number', value);
}
