import {
  ConfigurationError,
  DEGRADATION_LEVELS,
  millis,
  type OptionReader,
  type OptionsOf,
  type OptionsSchema,
  optional,
  readOptions,
  text,
} from '@otel-resilience/core';
import type { RaisedLevel, Trigger, TriggerThresholds } from './trigger.js';

/** What every trigger of ours takes. */
export interface TriggerOptions {
  /** Unique within a controller. Default: each trigger's own. */
  readonly name?: string;
  /** Those not given have the trigger's defaults. `light` is finite, each one at least the one before. */
  readonly thresholds?: Partial<TriggerThresholds>;
  /** Calm is below this: above 0 and below `thresholds.light`. Default: 0.8 × `thresholds.light`. */
  readonly recoveryThreshold?: number;
  /** How long the trigger must have asked without a break before it counts, in milliseconds. Default 0. */
  readonly holdForMillis?: number;
}

/** The defaults of one trigger and the range of its values. */
export interface TriggerRule {
  readonly name: string;
  readonly thresholds: TriggerThresholds;
  /** Inclusive: 1 for a share, 100 for percent. Default: no limit. */
  readonly max?: number;
  /** See {@link Trigger.referenceRecoveryThreshold}. */
  readonly referenceRecoveryThreshold?: number;
}

/** The part of a {@link Trigger} that is configured, complete. */
export interface TriggerSettings {
  readonly name: string;
  readonly thresholds: TriggerThresholds;
  readonly recoveryThreshold: number;
  readonly referenceRecoveryThreshold: number | undefined;
  readonly holdForMillis: number;
}

/** Light to emergency. */
export const RAISED_LEVELS = DEGRADATION_LEVELS.slice(1) as readonly RaisedLevel[];

const DEFAULT_RECOVERY_SHARE = 0.8;

const COMMON = {
  name: optional(text()),
  thresholds: (value: unknown) => value,
  recoveryThreshold: (value: unknown) => value,
  holdForMillis: millis({ default: 0 }),
};

/**
 * Reads the options of a trigger: those of {@link TriggerOptions} and those of `schema`. `rule` may depend on the
 * latter. Throws a `ConfigurationError` with the option's path.
 */
export function readTriggerOptions<S extends OptionsSchema>(
  owner: string,
  options: unknown,
  schema: S,
  rule: TriggerRule | ((own: OptionsOf<S>) => TriggerRule),
): { readonly trigger: TriggerSettings; readonly own: OptionsOf<S> } {
  const read = readOptions(owner, options, { ...COMMON, ...schema }) as OptionsOf<typeof COMMON> & OptionsOf<S>;
  const { name, max = Number.POSITIVE_INFINITY, ...defaults } = typeof rule === 'function' ? rule(read) : rule;
  const thresholds = readThresholds(read.thresholds, `${owner}.thresholds`, { above: 0, max }, defaults.thresholds);
  const range = { above: 0, light: thresholds.light };
  const trigger = {
    name: read.name ?? name,
    thresholds,
    recoveryThreshold: readRecoveryThreshold(read.recoveryThreshold, `${owner}.recoveryThreshold`, range),
    // Who says a threshold of their own means that one, whatever the profile.
    referenceRecoveryThreshold: read.recoveryThreshold === undefined ? defaults.referenceRecoveryThreshold : undefined,
    holdForMillis: read.holdForMillis,
  };
  return { trigger: Object.freeze(trigger), own: read };
}

/** Without `defaults` every level must be given. */
export function readThresholds(
  value: unknown,
  path: string,
  { above, max }: { readonly above: number; readonly max: number },
  defaults?: TriggerThresholds,
): TriggerThresholds {
  if (value === undefined && defaults) return defaults;
  const given = readOptions(path, value, ANY_THRESHOLDS);
  const thresholds: Partial<Record<RaisedLevel, number>> = {};
  let previous: RaisedLevel | undefined;
  for (const level of RAISED_LEVELS) {
    const threshold = given[level] === undefined ? defaults?.[level] : given[level];
    const inRange = typeof threshold === 'number' && threshold > above && threshold <= max;
    const never = threshold === Number.POSITIVE_INFINITY && previous !== undefined;
    if (!(inRange && threshold < Number.POSITIVE_INFINITY) && !never) {
      throw new ConfigurationError(
        `${path}.${level}`,
        `a number${rangeOf(above, max)}${previous ? ', or Infinity' : ''}`,
        threshold,
      );
    }
    if (previous && threshold < thresholds[previous]!) {
      throw new ConfigurationError(`${path}.${level}`, `at least ${previous} (${thresholds[previous]})`, threshold);
    }
    thresholds[level] = threshold;
    previous = level;
  }
  return Object.freeze(thresholds as Record<RaisedLevel, number>);
}

export function readRecoveryThreshold(
  value: unknown,
  path: string,
  { above, light }: { readonly above: number; readonly light: number },
): number {
  const threshold = value === undefined ? DEFAULT_RECOVERY_SHARE * light : value;
  if (typeof threshold === 'number' && threshold > above && threshold < light && Number.isFinite(threshold)) {
    return threshold;
  }
  throw new ConfigurationError(
    path,
    `a number${rangeOf(above, Number.POSITIVE_INFINITY)} below light (${light})`,
    threshold,
  );
}

const anything: OptionReader<unknown> = (value) => value;
const ANY_THRESHOLDS = { light: anything, moderate: anything, heavy: anything, emergency: anything };

function rangeOf(above: number, max: number): string {
  const lower = above === Number.NEGATIVE_INFINITY ? '' : ` above ${above}`;
  return max === Number.POSITIVE_INFINITY ? lower : `${lower} up to ${max}`;
}
