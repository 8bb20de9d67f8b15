import { getHeapStatistics } from 'node:v8';
import {
  ALWAYS_NORMAL,
  aClock,
  boolean,
  type Clock,
  having,
  type LevelSource,
  levelSource,
  list,
  millis,
  type OptionReader,
  optional,
  positiveInteger,
  readOptions,
  type SpanProcessor,
  systemClock,
} from '@otel-resilience/core';
import { SPAN_MATCHER_SCHEMA, type SpanMatcher } from '../span-matcher.js';

/** Options of {@link TailSamplingSpanProcessor}. A wrong one throws a `ConfigurationError` from the constructor. */
export interface TailSamplingSpanProcessorOptions {
  /** Where spans go: any `SpanProcessor`, stock or ours. */
  readonly next: SpanProcessor;
  /** Whose level says when slow spans are no longer kept (strategy `errorsOnly`). Default: always at `normal`. */
  readonly controller?: LevelSource;
  /** A span that lasted longer is slow, and its local trace is kept. In milliseconds, ≥ 0, default 1,000. */
  readonly slowThresholdMillis?: number;
  /** Local traces with an ended span that fits one of these are kept too. Default: none. */
  readonly keepRules?: readonly KeepRule[];
  /**
   * Local traces that may be held at a time; one more, and the oldest is decided early. As many decisions are
   * remembered for late spans. ≥ 1, default 20,000.
   */
  readonly maxHeldTraces?: number;
  /**
   * Estimated memory of the spans that may be held: about 900 bytes for each and the size of its content. ≥ 1, default
   * 32 MiB (33,554,432), or a sixteenth of V8's heap limit if that is less. A single trace may hold 4 MiB (or half of
   * this if less, or an eighth if more).
   */
  readonly maxHeldBytes?: number;
  /** After this a trace is decided although its local root is still open. In milliseconds, ≥ 1, default 30,000. */
  readonly maxHoldMillis?: number;
  /** Whether to publish metrics through the global meter provider, if there is one. Default true. */
  readonly metrics?: boolean;
  readonly clock?: Clock;
}

/** As rules of the sampler, but seen at the end of a span: its final name and attributes. */
export type KeepRule = Omit<SpanMatcher, 'service'>;

export interface TailSamplingSettings {
  readonly next: SpanProcessor;
  readonly controller: LevelSource;
  readonly slowThresholdMillis: number;
  readonly keepRules: readonly KeepRule[];
  readonly maxHeldTraces: number;
  readonly maxHeldBytes: number;
  readonly maxHoldMillis: number;
  readonly metrics: boolean;
  readonly clock: Clock;
}

export const OWNER = 'TailSamplingSpanProcessor';

const { service: _, ...KEEP_RULE_SCHEMA } = SPAN_MATCHER_SCHEMA;
const keepRule: OptionReader<KeepRule> = (value, path) => readOptions(path, value, KEEP_RULE_SCHEMA);

export function readTailSamplingOptions(options: TailSamplingSpanProcessorOptions): TailSamplingSettings {
  const read = readOptions(OWNER, options, {
    next: having<SpanProcessor>('a SpanProcessor', ['onStart', 'onEnd', 'forceFlush', 'shutdown']),
    controller: optional(levelSource),
    slowThresholdMillis: millis({ default: 1_000 }),
    keepRules: optional(list(keepRule)),
    maxHeldTraces: positiveInteger({ default: 20_000 }),
    maxHeldBytes: positiveInteger({ default: defaultHeldBytes() }),
    maxHoldMillis: millis({ default: 30_000, min: 1 }),
    metrics: boolean({ default: true }),
    clock: optional(aClock),
  });
  const { controller = ALWAYS_NORMAL, keepRules = [], clock = systemClock } = read;
  return { ...read, controller, keepRules, clock };
}

/** A process with a small heap must not spend it on what it may keep. */
function defaultHeldBytes(): number {
  return Math.min(32 * 1024 * 1024, Math.floor(getHeapStatistics().heap_size_limit / 16));
}
