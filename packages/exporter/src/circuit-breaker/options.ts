import {
  aClock,
  boolean,
  type Clock,
  ConfigurationError,
  integer,
  millis,
  number,
  type OptionReader,
  oneOf,
  optional,
  positiveInteger,
  ratio,
  readOptions,
  systemClock,
  text,
} from '@otel-resilience/core';

/** Which rules open the breaker; any of them does. */
export type CircuitBreakerStrategy =
  /** Failure rate or consecutive failures. */
  | 'default'
  | 'failureRate'
  | 'consecutive'
  /** Failure rate or slow-call rate. */
  | 'composite';

/** A set of defaults; options given beside it win. */
export type CircuitBreakerPreset =
  /** The defaults named below. */
  | 'standard'
  /** Opens later and stays open longer: failure rate of 0.7 of 5 calls in 30 s, open 60 s, 3 probes, 2 successes. */
  | 'patient';

export interface CircuitBreakerOptions {
  /** Appears in errors and log lines. Default `circuit breaker`. */
  readonly name?: string;
  /** Default `standard`. */
  readonly preset?: CircuitBreakerPreset;
  /** Default `default`, in the preset `patient` `failureRate`. */
  readonly strategy?: CircuitBreakerStrategy;

  /**
   * Failed calls as a share of the window that opens the breaker, above 0 to 1. Default 0.5.
   * As `failureRateThreshold` of resilience4j, which counts in percent.
   */
  readonly failureRateThreshold?: number;
  /** Calls a window must hold before a rate is judged, at least 1. Default 10. */
  readonly minimumCalls?: number;
  /** What the rates are taken over: the last `windowMillis` or the last `windowSize` calls. Default `time`. */
  readonly window?: 'time' | 'count';
  /** Length of a time window in milliseconds, at least 1. Default 60,000. It is kept in 60 steps. */
  readonly windowMillis?: number;
  /** Calls of a count window, 1 to 100,000. Default 100, as in resilience4j. */
  readonly windowSize?: number;
  /** Failures in a row that open the breaker, at least 1. Default 5, as in Envoy. Successes and closing end the row. */
  readonly consecutiveFailures?: number;
  /** Slow calls as a share of the window that opens the breaker (strategy `composite`), above 0 to 1. Default 0.8. */
  readonly slowCallRateThreshold?: number;
  /** A call is slow when it takes longer, in milliseconds (strategy `composite`). Default 1,000. */
  readonly slowCallDurationMillis?: number;

  /** How long the breaker stays open the first time, in milliseconds, at least 1. Default 30,000. */
  readonly openMillis?: number;
  /** Every opening without a closing in between lasts this many times as long as the one before. Default 2. */
  readonly openMultiplier?: number;
  /** No opening lasts longer, in milliseconds, at least `openMillis`. Default 4 × `openMillis`. */
  readonly maxOpenMillis?: number;

  /** Probes of one half-open state, and the most that may be in flight at any time, at least 1. Default 5. */
  readonly halfOpenPermits?: number;
  /** Successful probes that close the breaker, 1 to `halfOpenPermits`. Default 3. */
  readonly halfOpenSuccesses?: number;
  /** Reopen on the first failed probe, not only when `halfOpenSuccesses` is out of reach. Default false. */
  readonly reopenOnFirstFailure?: boolean;
  /** A probe not settled within this time has failed, in milliseconds, at least 1. Default 10,000. */
  readonly probeTimeoutMillis?: number;
  /** Shortest time between two last-resort probes of an open breaker, in milliseconds. Default 500. */
  readonly lastResortIntervalMillis?: number;

  /** Share of refused calls above which `rejectionRate` is emitted, 0 to 1. Default 0.1. */
  readonly rejectionRateThreshold?: number;
  /** What the rejection rate is taken over, and the least time between two such events, in milliseconds. Default 60,000. */
  readonly rejectionWindowMillis?: number;

  /** Default: the system's monotonic clock. */
  readonly clock?: Clock;
}

export type ResolvedOptions = Required<CircuitBreakerOptions>;

type PresetDefaults = Required<
  Pick<
    CircuitBreakerOptions,
    | 'strategy'
    | 'failureRateThreshold'
    | 'minimumCalls'
    | 'windowMillis'
    | 'openMillis'
    | 'halfOpenPermits'
    | 'halfOpenSuccesses'
  >
>;

const PRESETS: Readonly<Record<CircuitBreakerPreset, PresetDefaults>> = {
  standard: {
    strategy: 'default',
    failureRateThreshold: 0.5,
    minimumCalls: 10,
    windowMillis: 60_000,
    openMillis: 30_000,
    halfOpenPermits: 5,
    halfOpenSuccesses: 3,
  },
  patient: {
    strategy: 'failureRate',
    failureRateThreshold: 0.7,
    minimumCalls: 5,
    windowMillis: 30_000,
    openMillis: 60_000,
    halfOpenPermits: 3,
    halfOpenSuccesses: 2,
  },
};

const MAX_OPEN_FACTOR = 4;

type Schema = { readonly [K in keyof CircuitBreakerOptions]-?: OptionReader<CircuitBreakerOptions[K]> };

/** One reader per option; those whose default hangs on another option leave it out. */
export const CIRCUIT_BREAKER_SCHEMA: Schema = {
  name: optional(text()),
  preset: oneOf(['standard', 'patient'], { default: 'standard' }),
  strategy: optional(oneOf(['default', 'failureRate', 'consecutive', 'composite'], { default: 'default' })),
  failureRateThreshold: optional(share()),
  minimumCalls: optional(positiveInteger({ default: 1 })),
  window: oneOf(['time', 'count'], { default: 'time' }),
  windowMillis: optional(millis({ min: 1, default: 1 })),
  windowSize: positiveInteger({ default: 100, max: 100_000 }),
  consecutiveFailures: positiveInteger({ default: 5 }),
  slowCallRateThreshold: optional(share()),
  slowCallDurationMillis: millis({ default: 1_000 }),
  openMillis: optional(millis({ min: 1, default: 1 })),
  openMultiplier: number({ min: 1, default: 2 }),
  maxOpenMillis: optional(millis({ default: 1 })),
  halfOpenPermits: optional(integer({ min: 1, max: 1_000, default: 1 })),
  halfOpenSuccesses: optional(positiveInteger({ default: 1 })),
  reopenOnFirstFailure: boolean({ default: false }),
  probeTimeoutMillis: millis({ min: 1, default: 10_000 }),
  lastResortIntervalMillis: millis({ default: 500 }),
  rejectionRateThreshold: ratio({ default: 0.1 }),
  rejectionWindowMillis: millis({ min: 1, default: 60_000 }),
  clock: optional(aClock),
};

/** Reads and checks the options. Throws a `ConfigurationError` that names the option. */
export function readCircuitBreakerOptions(owner: string, options: unknown): ResolvedOptions {
  const given = readOptions(owner, options, CIRCUIT_BREAKER_SCHEMA) as CircuitBreakerOptions;
  const preset = PRESETS[given.preset ?? 'standard'];
  const openMillis = given.openMillis ?? preset.openMillis;
  const halfOpenPermits = given.halfOpenPermits ?? preset.halfOpenPermits;
  const mostCalls = given.window === 'count' ? given.windowSize! : Number.POSITIVE_INFINITY;
  const resolved = {
    ...given,
    name: given.name ?? 'circuit breaker',
    strategy: given.strategy ?? preset.strategy,
    failureRateThreshold: given.failureRateThreshold ?? preset.failureRateThreshold,
    slowCallRateThreshold: given.slowCallRateThreshold ?? 0.8,
    minimumCalls: given.minimumCalls ?? Math.min(preset.minimumCalls, mostCalls),
    windowMillis: given.windowMillis ?? preset.windowMillis,
    openMillis,
    maxOpenMillis: given.maxOpenMillis ?? MAX_OPEN_FACTOR * openMillis,
    halfOpenPermits,
    halfOpenSuccesses: given.halfOpenSuccesses ?? Math.min(preset.halfOpenSuccesses, halfOpenPermits),
    clock: given.clock ?? systemClock,
  } as ResolvedOptions;

  atMost(owner, 'minimumCalls', resolved.minimumCalls, 'windowSize', mostCalls);
  atMost(owner, 'halfOpenSuccesses', resolved.halfOpenSuccesses, 'halfOpenPermits', halfOpenPermits);
  if (resolved.maxOpenMillis < openMillis) {
    throw new ConfigurationError(
      `${owner}.maxOpenMillis`,
      `at least openMillis (${openMillis})`,
      resolved.maxOpenMillis,
    );
  }
  return Object.freeze(resolved);
}

/** A share above 0: a threshold of 0 would open the breaker on its first call. */
function share(): OptionReader<number> {
  const read = ratio({ default: 1 });
  return (value, path) => {
    if (value === 0) throw new ConfigurationError(path, 'a number above 0, up to 1', value);
    return read(value, path);
  };
}

function atMost(owner: string, option: string, value: number, limitOption: string, limit: number): void {
  if (value > limit) throw new ConfigurationError(`${owner}.${option}`, `at most ${limitOption} (${limit})`, value);
}
