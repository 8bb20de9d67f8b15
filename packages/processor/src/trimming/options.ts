import {
  aClock,
  boolean,
  type Clock,
  ConfigurationError,
  DEGRADATION_LEVELS,
  type DegradationLevel,
  having,
  integer,
  type LevelSource,
  levelSource,
  list,
  type OptionReader,
  optional,
  perLevel,
  rankOf,
  readOptions,
  type SpanProcessor,
} from '@otel-resilience/core';
import { keyPattern } from './attribute-rules.js';
import type { TrimLimits } from './trim-span.js';
import { VERBOSE_ATTRIBUTES } from './verbose-attributes.js';

/** The same number at every level, or one for each; levels not given have the default. */
export type NumberByLevel = number | Partial<Readonly<Record<DegradationLevel, number>>>;

/** Options of {@link AttributeTrimmingSpanProcessor}. A wrong one throws a `ConfigurationError` from the constructor. */
export interface AttributeTrimmingSpanProcessorOptions {
  /** Who gets the spans: an `AdaptiveBatchSpanProcessor`, or any other. */
  readonly next: SpanProcessor;
  /**
   * Spans are trimmed while its strategy `disableVerboseAttributes` is in force: by default from `moderate` on. It is
   * started with the first span.
   */
  readonly controller: LevelSource;
  /**
   * Attributes to remove, of spans, events and links: keys, or the beginning of keys with a `*` after it. They take the
   * place of the default, {@link VERBOSE_ATTRIBUTES}; add to it with `[...VERBOSE_ATTRIBUTES, 'app.debug.*']`.
   */
  readonly verboseAttributes?: readonly string[];
  /**
   * Attributes, in the same form, that are neither removed nor cut, besides those that semantic conventions require
   * ({@link REQUIRED_ATTRIBUTES}). Default: none.
   */
  readonly keepAttributes?: readonly string[];
  /**
   * The length to which strings are cut, in UTF-16 units, and byte arrays, in bytes; at least 1. Default 256 at
   * `moderate`, 128 at `heavy`, 64 at `emergency` (512 and 1,024 at `light` and `normal`, where the controller's
   * strategies by default do not ask for trimming).
   */
  readonly maxValueLength?: NumberByLevel;
  /**
   * Events that a span keeps, the first ones; exceptions are kept besides. Default 8 at `moderate`, 4 at `heavy`, 0 at
   * `emergency` (16 at `light`, 32 at `normal`).
   */
  readonly maxEvents?: NumberByLevel;
  /** Whether spans with status ERROR are left whole: they are what one reads traces for. Default true. */
  readonly spareErrors?: boolean;
  /** Whether to publish metrics through the global meter provider, if there is one. Default true. */
  readonly metrics?: boolean;
  readonly clock?: Clock;
}

const DEFAULT_MAX_VALUE_LENGTH = { normal: 1_024, light: 512, moderate: 256, heavy: 128, emergency: 64 };
const DEFAULT_MAX_EVENTS = { normal: 32, light: 16, moderate: 8, heavy: 4, emergency: 0 };

export interface TrimmingSettings {
  readonly next: SpanProcessor;
  readonly controller: LevelSource;
  readonly verboseAttributes: readonly string[];
  readonly keepAttributes: readonly string[];
  readonly spareErrors: boolean;
  readonly metrics: boolean;
  readonly clock: Clock | undefined;
  /** Undefined for a level that a user's own controller made up. */
  readonly limitsAt: (level: DegradationLevel) => TrimLimits | undefined;
}

export function readTrimmingOptions(options: AttributeTrimmingSpanProcessorOptions): TrimmingSettings {
  const read = readOptions('AttributeTrimmingSpanProcessor', options, {
    next: having<SpanProcessor>('a SpanProcessor', ['onStart', 'onEnd', 'forceFlush', 'shutdown']),
    controller: levelSource,
    verboseAttributes: optional(list(keyPattern)),
    keepAttributes: optional(list(keyPattern)),
    maxValueLength: byLevel({ min: 1 }, DEFAULT_MAX_VALUE_LENGTH),
    maxEvents: byLevel({ min: 0 }, DEFAULT_MAX_EVENTS),
    spareErrors: boolean({ default: true }),
    metrics: boolean({ default: true }),
    clock: optional(aClock),
  });
  const { verboseAttributes = VERBOSE_ATTRIBUTES, keepAttributes = [], maxValueLength, maxEvents } = read;
  return {
    ...read,
    verboseAttributes,
    keepAttributes,
    limitsAt: (level) =>
      rankOf(level) < 0 ? undefined : { maxValueLength: maxValueLength[level], maxEvents: maxEvents[level] },
  };
}

type ByLevel = Readonly<Record<DegradationLevel, number>>;

function byLevel({ min }: { readonly min: number }, defaults: ByLevel): OptionReader<ByLevel> {
  const read = integer({ min, default: min });
  const readLevels = perLevel(read, defaults);
  return (value, path) => {
    if (value === undefined || hasLevels(value)) return readLevels(value, path);
    if (typeof value !== 'number') {
      throw new ConfigurationError(path, `an integer of at least ${min}, or one for each level`, value);
    }
    const same = read(value, path);
    return { normal: same, light: same, moderate: same, heavy: same, emergency: same };
  };
}

function hasLevels(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return DEGRADATION_LEVELS.some((level) => Object.hasOwn(value, level));
}
