import {
  ConfigurationError,
  DEGRADATION_LEVELS,
  type LimitedLog,
  type OptionReader,
  rankOf,
} from '@otel-resilience/core';
import type { RaisedLevel } from './trigger.js';
import { RAISED_LEVELS } from './trigger-options.js';

/** The features that every controller knows, and the level from which each is gone. `core` always stays. */
export const DEFAULT_FEATURES = {
  analytics: 'light',
  nonEssential: 'light',
  detailedLogs: 'moderate',
  caching: 'heavy',
} as const satisfies Record<string, RaisedLevel>;

const CORE = 'core';

/** Feature → the level from which it is gone. */
export type Features = Readonly<Record<string, RaisedLevel>>;

export const features: OptionReader<Features> = (value, path) => {
  if (value === undefined) return DEFAULT_FEATURES;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ConfigurationError(path, 'an object with a level for each feature', value);
  }
  if (Object.hasOwn(value, CORE)) throw new ConfigurationError(`${path}.${CORE}`, 'no level: it always stays', value);
  for (const [feature, level] of Object.entries(value)) {
    if (RAISED_LEVELS.includes(level)) continue;
    throw new ConfigurationError(`${path}.${feature}`, `one of ${RAISED_LEVELS.join(', ')}`, level);
  }
  return Object.freeze({ ...DEFAULT_FEATURES, ...value });
};

/** Which features are available at which level. */
export class FeatureGates {
  private readonly goneFrom = new Map<string, number>([[CORE, DEGRADATION_LEVELS.length]]);
  private readonly log: LimitedLog;

  constructor(known: Features, log: LimitedLog) {
    for (const [feature, level] of Object.entries(known)) this.goneFrom.set(feature, rankOf(level));
    this.log = log;
  }

  isAvailable(feature: string, rank: number): boolean {
    // No closure in here: it would cost an allocation even when it is not made.
    const goneFrom = this.goneFrom.get(feature);
    if (goneFrom !== undefined) return rank < goneFrom;
    return this.refuse(feature);
  }

  private refuse(feature: unknown): false {
    this.log.warn('feature', () => `the feature ${String(feature)} is not known, and so not available`);
    return false;
  }

  at(rank: number): Readonly<Record<string, boolean>> {
    return Object.fromEntries([...this.goneFrom].map(([feature, goneFrom]) => [feature, rank < goneFrom]));
  }
}
