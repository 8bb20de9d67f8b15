import type { Clock } from './clock.js';
import type { PipelineSignals } from './pipeline-signals.js';
import type { SpanExporter } from './sdk-types.js';
import { isSpanBatchExporter, type SpanBatchExporter } from './span-batch-exporter.js';

/** A wrong option, found when the component was constructed. */
export class ConfigurationError extends Error {
  /** Where: the component and the option, such as `AdaptiveBatchSpanProcessor.maxQueueSize`. */
  readonly path: string;
  readonly expected: string;
  /** What came, shortened. */
  readonly got: string;

  constructor(path: string, expected: string, got: unknown) {
    const shown = show(got);
    super(`${path}: expected ${expected}, got ${shown}`);
    this.name = 'ConfigurationError';
    this.path = path;
    this.expected = expected;
    this.got = shown;
  }
}

/** Returns the value an option has, its default for `undefined`, or throws a {@link ConfigurationError}. */
export type OptionReader<T> = (value: unknown, path: string) => T;

// biome-ignore lint/suspicious/noExplicitAny: the schema's own types are inferred from it
export type OptionsSchema = Record<string, OptionReader<any>>;
export type OptionsOf<S extends OptionsSchema> = { readonly [K in keyof S]: ReturnType<S[K]> };

/** Reads an options object by its schema into a frozen copy. Unknown keys are errors: most are misspelt ones. */
export function readOptions<S extends OptionsSchema>(owner: string, options: unknown, schema: S): OptionsOf<S> {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new ConfigurationError(owner, 'an options object', options);
  }
  if (Object.hasOwn(schema, 'exporter') && isSpanExporter(options)) {
    // As the processor of SDK 2.x takes it.
    throw new ConfigurationError(owner, `an options object: new ${owner}({ exporter })`, options);
  }
  for (const key of Object.keys(options)) {
    if (!Object.hasOwn(schema, key)) {
      throw new ConfigurationError(
        `${owner}.${key}`,
        `one of ${Object.keys(schema).join(', ')}`,
        `the unknown key ${key}`,
      );
    }
  }
  const read: Record<string, unknown> = {};
  for (const key of Object.keys(schema)) {
    read[key] = schema[key]!((options as Record<string, unknown>)[key], `${owner}.${key}`);
  }
  return Object.freeze(read) as OptionsOf<S>;
}

interface NumberRule {
  readonly default: number;
  /** Inclusive. */
  readonly min?: number;
  /** Inclusive. */
  readonly max?: number;
}

export function number({
  min = Number.NEGATIVE_INFINITY,
  max = Number.POSITIVE_INFINITY,
  ...rule
}: NumberRule): OptionReader<number> {
  return (value, path) => {
    if (value === undefined) return rule.default;
    if (typeof value === 'number' && Number.isFinite(value) && value >= min && value <= max) return value;
    throw new ConfigurationError(path, `a number${bounds(min, max)}`, value);
  };
}

export function integer({
  min = Number.NEGATIVE_INFINITY,
  max = Number.MAX_SAFE_INTEGER,
  ...rule
}: NumberRule): OptionReader<number> {
  return (value, path) => {
    if (value === undefined) return rule.default;
    if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) return value as number;
    throw new ConfigurationError(path, `an integer${bounds(min, max)}`, value);
  };
}

export const positiveInteger = (rule: { default: number; max?: number }): OptionReader<number> =>
  integer({ min: 1, ...rule });

/** A duration in milliseconds: a finite number, at least `min` (default 0). */
export const millis = (rule: NumberRule): OptionReader<number> => number({ min: 0, ...rule });

/** A share of a whole, from 0 to 1. */
export const ratio = (rule: NumberRule): OptionReader<number> => number({ min: 0, max: 1, ...rule });

export function boolean(rule: { default: boolean }): OptionReader<boolean> {
  return (value, path) => {
    if (value === undefined) return rule.default;
    if (typeof value === 'boolean') return value;
    throw new ConfigurationError(path, 'true or false', value);
  };
}

/** Without a `default` it has to be given. */
export function oneOf<const T extends string>(values: readonly T[], rule: { default?: T } = {}): OptionReader<T> {
  return (value, path) => {
    if (value === undefined && rule.default !== undefined) return rule.default;
    if (values.includes(value as T)) return value as T;
    throw new ConfigurationError(path, `one of ${values.join(', ')}`, value);
  };
}

export function text(): OptionReader<string> {
  return (value, path) => {
    if (typeof value === 'string' && value !== '') return value;
    throw new ConfigurationError(path, 'a non-empty string', value);
  };
}

/** `undefined`, or what `read` takes. */
export function optional<T>(read: OptionReader<T>): OptionReader<T | undefined> {
  return (value, path) => (value === undefined ? undefined : read(value, path));
}

/** An object that has these methods: a dependency that comes in through the constructor. */
export function having<T extends object>(what: string, methods: readonly (keyof T & string)[]): OptionReader<T> {
  return (value, path) => {
    const candidate = value as Record<string, unknown> | null | undefined;
    const isObject = typeof candidate === 'object' && candidate !== null;
    if (isObject && methods.every((method) => typeof candidate[method] === 'function')) return value as T;
    throw new ConfigurationError(path, `${what} (an object with ${methods.join(', ')})`, value);
  };
}

export const aClock: OptionReader<Clock> = having('a Clock', ['now', 'wallTime', 'setTimeout', 'clearTimeout']);

export const pipelineSignals: OptionReader<PipelineSignals> = having('PipelineSignals', [
  'publish',
  'read',
  'changed',
  'onChange',
]);

export function callback<F extends (...args: never[]) => unknown>(): OptionReader<F> {
  return (value, path) => {
    if (typeof value === 'function') return value as F;
    throw new ConfigurationError(path, 'a function', value);
  };
}

/** A list of at least `min` (default 0) items, each read by `read` at `path[index]`. */
export function list<T>(read: OptionReader<T>, { min = 0 }: { min?: number } = {}): OptionReader<readonly T[]> {
  return (value, path) => {
    if (!Array.isArray(value) || value.length < min) {
      throw new ConfigurationError(path, min > 0 ? `a list of at least ${min}` : 'a list', value);
    }
    return Object.freeze(Array.from(value, (item, index) => read(item, `${path}[${index}]`)));
  };
}

/** A nested options object. */
export function shape<S extends OptionsSchema>(schema: S): OptionReader<OptionsOf<S>> {
  return (value, path) => readOptions(path, value, schema);
}

/** A stock `SpanExporter` or one of ours. */
export function anyExporter(): OptionReader<SpanExporter | SpanBatchExporter> {
  return (value, path) => {
    if (isSpanBatchExporter(value) || isSpanExporter(value)) return value;
    throw new ConfigurationError(path, 'a SpanExporter (with export and shutdown) or a SpanBatchExporter', value);
  };
}

function isSpanExporter(value: unknown): value is SpanExporter {
  if (typeof value !== 'object' || value === null) return false;
  const { export: exporting, shutdown } = value as Record<string, unknown>;
  return typeof exporting === 'function' && typeof shutdown === 'function';
}

function bounds(min: number, max: number): string {
  const atMost = max < Number.MAX_SAFE_INTEGER;
  if (Number.isFinite(min) && atMost) return ` from ${min} to ${max}`;
  if (Number.isFinite(min)) return ` of at least ${min}`;
  return atMost ? ` of at most ${max}` : '';
}

function show(value: unknown): string {
  if (typeof value === 'string') return value.length > 60 ? `'${value.slice(0, 60)}…'` : `'${value}'`;
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object' && value !== null)
    return `an object with ${Object.keys(value).slice(0, 5).join(', ') || 'no keys'}`;
  return String(value);
}
