import {
  type Clock,
  DEGRADATION_LEVELS,
  type DegradationLevel,
  millis,
  oneOf,
  optional,
  readOptions,
  type Timer,
} from '@otel-resilience/core';

export interface ForceOptions {
  /** The force ends by itself after this many milliseconds, 1 to 2,147,483,647. Default: not before `release()`. */
  readonly ttlMillis?: number;
}

export interface ForcedLevelStatus {
  readonly level: DegradationLevel;
  /** Wall time, in milliseconds since the epoch; absent when it does not end by itself. */
  readonly expiresAt?: number;
}

const SCHEMA = { ttlMillis: optional(millis({ default: 0, min: 1, max: 2 ** 31 - 1 })) };
const aLevel = oneOf(DEGRADATION_LEVELS, { default: 'normal' });

/** Throws a `ConfigurationError` unless the arguments of `force()` are right. */
export function readForce(owner: string, level: unknown, options: unknown): ForceOptions {
  // `undefined` is no default here, but a mistake.
  aLevel(level ?? null, `${owner}.level`);
  return readOptions(owner, options, SCHEMA);
}

/** The level that somebody has set by hand, and its end. */
export class ForcedLevel {
  private readonly clock: Clock;
  private current: ForcedLevelStatus | undefined;
  private timer: Timer | undefined;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  get status(): ForcedLevelStatus | undefined {
    return this.current;
  }

  set(level: DegradationLevel, { ttlMillis }: ForceOptions, onExpiry: () => void): void {
    this.clear();
    if (ttlMillis === undefined) {
      this.current = Object.freeze({ level });
      return;
    }
    this.current = Object.freeze({ level, expiresAt: this.clock.wallTime() + ttlMillis });
    this.timer = this.clock.setTimeout(() => {
      this.clear();
      onExpiry();
    }, ttlMillis);
  }

  clear(): void {
    this.clock.clearTimeout(this.timer);
    this.timer = undefined;
    this.current = undefined;
  }
}
