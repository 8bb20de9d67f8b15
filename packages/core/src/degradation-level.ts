import { ConfigurationError, type OptionReader, readOptions } from './options.js';

/** From all is well to survival. Each one has consequences: see {@link DegradationStrategy}. */
export const DEGRADATION_LEVELS = ['normal', 'light', 'moderate', 'heavy', 'emergency'] as const;

export type DegradationLevel = (typeof DEGRADATION_LEVELS)[number];

/** What a level changes. Each is in force from some level on. */
export type DegradationStrategy = keyof typeof DEFAULT_STRATEGIES;

/** The level from which each strategy is in force, unless the controller says otherwise. */
export const DEFAULT_STRATEGIES = {
  /** The sampler multiplies its ratios by that of the level. */
  reduceSamplingRate: 'light',
  /** … but not those of critical services and routes, through `criticalUntil`. */
  disableNonCritical: 'light',
  increaseBatchSize: 'light',
  increaseBatchWait: 'light',
  disableVerboseAttributes: 'moderate',
  /** Of the traces that were not sampled only those with an error are kept, no longer slow ones. */
  errorsOnly: 'emergency',
} as const satisfies Record<string, DegradationLevel>;

/** What the `controller` option of samplers and processors takes: anything with a `level`. */
export interface LevelSource {
  /** The level in force; read for every span, so it must be cheap. */
  readonly level: DegradationLevel;
  /** Whether a strategy is in force at the present level. Default: by {@link DEFAULT_STRATEGIES}. */
  isActive?(strategy: DegradationStrategy): boolean;
  /** Called with the first span, and maybe again. */
  start?(): void;
}

/** The rank of a level, from 0 for `normal` to 4 for `emergency`. */
export function rankOf(level: DegradationLevel): number {
  return DEGRADATION_LEVELS.indexOf(level);
}

export function isActive(source: LevelSource, strategy: DegradationStrategy): boolean {
  return source.isActive?.(strategy) ?? rankOf(source.level) >= rankOf(DEFAULT_STRATEGIES[strategy]);
}

/** Starts a controller that can be started. It may be a user's own: `failed` gets what it throws or rejects with. */
export function startLevelSource(source: LevelSource, failed: (thrown: unknown) => void): void {
  try {
    const returned: unknown = source.start?.();
    Promise.resolve(returned).catch(failed);
  } catch (thrown) {
    failed(thrown);
  }
}

/** For components that nobody gave a controller. */
export const ALWAYS_NORMAL: LevelSource = Object.freeze({ level: 'normal' });

export const levelSource: OptionReader<LevelSource> = (value, path) => {
  const level = (value as Partial<LevelSource> | null | undefined)?.level;
  if (level !== undefined && DEGRADATION_LEVELS.includes(level)) return value as LevelSource;
  throw new ConfigurationError(path, `an object with a level, one of ${DEGRADATION_LEVELS.join(', ')}`, value);
};

/** A value for every level. Those not given have the default. */
export function perLevel<T>(
  read: OptionReader<T>,
  defaults: Readonly<Record<DegradationLevel, T>>,
): OptionReader<Readonly<Record<DegradationLevel, T>>> {
  const schema = Object.fromEntries(
    DEGRADATION_LEVELS.map((level) => [
      level,
      (value: unknown, path: string) => (value === undefined ? defaults[level] : read(value, path)),
    ]),
  );
  return (value, path) =>
    value === undefined ? defaults : (readOptions(path, value, schema) as Record<DegradationLevel, T>);
}
