import { type Clock, type ConfigurationError, ExportError, suppressTracing, type Timer } from '@otel-resilience/core';
import { type Headers, type HeadersInput, readHeaders } from './headers.js';

export type HeadersFunction = () => HeadersInput | Promise<HeadersInput>;

/** Headers of one version: who was refused with them asks for others. */
export interface IssuedHeaders {
  readonly values: Headers;
  readonly version: number;
}

/** Who waits for headers, and for how long. */
export interface Waiting {
  readonly signal: AbortSignal;
  readonly deadline: number;
}

export interface HeaderSourceOptions {
  /** Of the environment; those of the user come before them, name by name. */
  readonly base: Headers;
  readonly headers: Headers | HeadersFunction;
  /** How long one call of the function may take. */
  readonly timeoutMillis: number;
  readonly clock: Clock;
}

/**
 * The headers of every request. Those of a function are asked for when the first request needs them, and kept until a
 * server refuses them; requests that need them at the same time share one call.
 *
 * A function that throws, hangs or returns nonsense fails the requests that wait for it, as `retryable`: perhaps it can
 * do it later. Its error says what kind of thing it threw, but not the message: that may hold what it was to keep.
 *
 * While nothing that it gives is of use it is called less and less, since a spool tries twice a second: who issues tokens
 * has not asked for that, and may bar us for it.
 */
export class HeaderSource {
  /** Whether asking again can make a difference. */
  readonly canRefresh: boolean;
  private readonly options: HeaderSourceOptions;
  private issued: IssuedHeaders | undefined;
  private calling: Promise<IssuedHeaders> | undefined;
  private calls = 0;
  /** Since a server has last taken any. */
  private callsInVain = 0;
  private nextCallAt = Number.NEGATIVE_INFINITY;
  private lastError: unknown;

  constructor(options: HeaderSourceOptions) {
    this.options = options;
    const { base, headers } = options;
    this.canRefresh = typeof headers === 'function';
    if (typeof headers !== 'function') this.issued = { values: { ...base, ...headers }, version: 0 };
  }

  /** Without a promise when they are at hand, as they are for all but a few requests. */
  current(waiting: Waiting): IssuedHeaders | Promise<IssuedHeaders> {
    return this.issued ?? this.wait(waiting);
  }

  /**
   * Others than these, which a server has refused; those that somebody has got meanwhile, if somebody has. `undefined`
   * while it is too early to ask for any.
   */
  otherThan({ version }: IssuedHeaders, waiting: Waiting): IssuedHeaders | Promise<IssuedHeaders> | undefined {
    if (this.issued?.version === version) {
      if (this.isTooEarly) return undefined;
      this.issued = undefined;
    }
    return this.current(waiting);
  }

  /** A server has taken what came with some of them. */
  accepted(): void {
    this.callsInVain = 0;
    this.nextCallAt = Number.NEGATIVE_INFINITY;
  }

  private get isTooEarly(): boolean {
    return !this.calling && this.options.clock.now() < this.nextCallAt;
  }

  private wait({ signal, deadline }: Waiting): Promise<IssuedHeaders> {
    if (this.isTooEarly) return Promise.reject(this.lastError);
    const { clock } = this.options;
    this.calling ??= this.call().finally(() => {
      this.calling = undefined;
    });
    const { calling } = this;
    return new Promise((resolve, reject) => {
      const onAbort = () => settle(() => reject(signal.reason));
      const settle = (how: () => void) => {
        clock.clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
        how();
      };
      signal.addEventListener('abort', onAbort, { once: true });
      const timer = clock.setTimeout(
        () => settle(() => reject(new ExportError('DEADLINE_EXCEEDED', 'headers() has not answered in time'))),
        deadline - clock.now(),
      );
      calling.then(
        (issued) => settle(() => resolve(issued)),
        (error) => settle(() => reject(error)),
      );
    });
  }

  /** Calls the function once. Its answer counts for nobody when it comes too late. */
  private async call(): Promise<IssuedHeaders> {
    const { base, headers, timeoutMillis, clock } = this.options;
    this.nextCallAt = clock.now() + pauseAfter(++this.callsInVain);
    let timer: Timer | undefined;
    const late = new Promise<never>((_, reject) => {
      const error = new Error(`headers() has not answered within ${timeoutMillis} ms`);
      timer = clock.setTimeout(() => reject(error), timeoutMillis);
    });
    try {
      const answered = await Promise.race([answerOf(headers as HeadersFunction), late]);
      this.issued = { values: { ...base, ...checked(answered) }, version: ++this.calls };
      return this.issued;
    } catch (error) {
      this.lastError = error;
      throw error;
    } finally {
      clock.clearTimeout(timer);
    }
  }
}

const CALLS_AT_ONCE = 3;
const FIRST_PAUSE_MILLIS = 1_000;
const MAX_PAUSE_MILLIS = 30_000;

/** 0, 0, 1, 2, 4 … 30 s, from the beginning of a call to that of the next. */
function pauseAfter(callsInVain: number): number {
  if (callsInVain < CALLS_AT_ONCE) return 0;
  return Math.min(FIRST_PAUSE_MILLIS * 2 ** (callsInVain - CALLS_AT_ONCE), MAX_PAUSE_MILLIS);
}

/** What is asked of an identity provider is none of the traces, and none of any request of the application's. */
async function answerOf(headers: HeadersFunction): Promise<unknown> {
  try {
    return await suppressTracing(headers);
  } catch (thrown) {
    throw new Error(`headers() ${thrown instanceof Error ? `threw ${kindOf(thrown)}` : 'threw what is no error'}`);
  }
}

function checked(answered: unknown): Headers {
  try {
    return readHeaders(answered, 'headers()');
  } catch (thrown) {
    // Not even the name of what is no header's name: it may be the secret, in the wrong place.
    const { expected = 'what can be read' } = thrown as Partial<ConfigurationError>;
    throw new Error(`headers() has returned something else than headers: expected ${expected}`);
  }
}

/** A class and a code: both come out of source code, not out of data. */
function kindOf(error: Error): string {
  const { name, code } = error as { name?: unknown; code?: unknown };
  const shown = typeof name === 'string' && /^\w{1,64}$/.test(name) ? name : 'an Error';
  return typeof code === 'string' && /^\w{1,64}$/.test(code) ? `${shown} (${code})` : shown;
}
