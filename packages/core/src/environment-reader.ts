import { diag } from '@opentelemetry/api';
import { systemClock } from './clock.js';
import { ConfigurationError } from './options.js';

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads environment variables. A value that makes no sense is logged and ignored, since a typing error in a deployment
 * must not stop the application (see {@link warnSoon}); with `OTEL_RESILIENCE_STRICT=true` it throws a `ConfigurationError`.
 */
export class EnvironmentReader {
  private readonly env: Environment;
  private readonly strict: boolean;

  constructor(env: Environment) {
    this.env = env;
    this.strict = this.isTrue('OTEL_RESILIENCE_STRICT');
  }

  /** Without white space around it; empty is the same as unset, says the specification. */
  text(name: string): string | undefined {
    return this.env[name]?.trim() || undefined;
  }

  /** Any value but `true`, in any case, is false, says the specification. */
  isTrue(name: string): boolean {
    return this.text(name)?.toLowerCase() === 'true';
  }

  integer(name: string, min: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = Number(text);
    if (Number.isSafeInteger(value) && value >= min) return value;
    return this.ignore(name, `an integer of at least ${min}`, text);
  }

  ratio(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = Number(text);
    if (value >= 0 && value <= 1) return value;
    return this.ignore(name, 'a ratio from 0 to 1', text);
  }

  oneOf<const T extends string>(name: string, values: readonly T[]): T | undefined {
    const text = this.text(name);
    if (text === undefined || values.includes(text as T)) return text as T | undefined;
    return this.ignore(name, `one of ${values.join(', ')}`, text);
  }

  /** What to do about a value that is wrong. `got` is shown, so it is never a secret. */
  ignore(name: string, expected: string, got: unknown): undefined {
    const error = new ConfigurationError(name, expected, got);
    if (this.strict) throw error;
    warnSoon(`${error.message}; ignored`);
  }
}

/**
 * Logs what is wrong with a configuration when the present turn of the event loop has ended: options are read before
 * `new NodeSDK()` has set a logger, mostly in the line before.
 */
export function warnSoon(message: string): void {
  const warn = () => {
    try {
      diag.warn(`otel-resilience: ${message}`);
    } catch {
      // Nobody is there to catch what a logger throws.
    }
  };
  systemClock.setTimeout(warn, 0, { keepAlive: true });
}
