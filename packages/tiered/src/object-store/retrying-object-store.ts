import {
  aClock,
  type Clock,
  ConfigurationError,
  callback,
  type Failure,
  having,
  integer,
  millis,
  optional,
  readOptions,
  sleep,
  systemClock,
} from '@otel-resilience/core';
import {
  anObjectStore,
  type GetOptions,
  type HeadOptions,
  type ListedObject,
  type ListOptions,
  type ObjectHead,
  type ObjectStore,
  type ObjectStoreStatus,
  type PutOptions,
  type RestoreOptions,
  type RestoreStatus,
  type StorageClass,
  type StoreCallOptions,
} from './object-store.js';
import { isAnswer, ObjectStoreError, storeErrorCode } from './object-store-error.js';

/** What a `CircuitBreaker` of `@otel-resilience/exporter` is, as far as a store needs one. */
export interface StoreBreaker {
  tryAcquire(): { success(): void; failure(): void; release(): void } | undefined;
}

export interface RetryingObjectStoreOptions {
  readonly store: ObjectStore;
  /** Asked before every attempt and told of its result. Default: none. */
  readonly breaker?: StoreBreaker;
  /** After the first attempt; default 3. */
  readonly maxRetries?: number;
  /** How long one attempt may take, in milliseconds; default 10,000. */
  readonly attemptTimeoutMillis?: number;
  /** Before the first retry, in milliseconds; default 100. Doubled for each further one, of which half is left to chance. */
  readonly initialDelayMillis?: number;
  /** Default 10,000. */
  readonly maxDelayMillis?: number;
  readonly clock?: Clock;
  /** Default `Math.random`. */
  readonly random?: () => number;
}

const RETRYING = Symbol.for('otel-resilience.RetryingObjectStore');
const OWNER = 'RetryingObjectStore';
const SCHEMA = {
  store: anObjectStore,
  breaker: optional(having<StoreBreaker>('a circuit breaker', ['tryAcquire'])),
  maxRetries: integer({ min: 0, max: 100, default: 3 }),
  attemptTimeoutMillis: millis({ min: 1, default: 10_000 }),
  initialDelayMillis: millis({ min: 1, default: 100 }),
  maxDelayMillis: millis({ min: 1, default: 10_000 }),
  clock: optional(aClock),
  random: optional(callback<() => number>()),
};
const DEFAULT_CALL_MILLIS = 60_000;
const WORTH_RETRYING: readonly Failure[] = ['retryable', 'throttled', 'refused'];

/**
 * Tries again what a store did not do, through a breaker if there is one: for those who call a store themselves, as the
 * lifecycle does. An `ArchiveWriter` is a span exporter and takes the layers that all exporters take.
 *
 * A retry is safe: `put`, `remove` and the others mean the same when repeated. But of a `put` with `ifNoneMatch` whose
 * answer was lost, the retry says `EXISTS`: ask `head` what is there.
 */
export class RetryingObjectStore implements ObjectStore {
  private readonly store: ObjectStore;
  private readonly clock: Clock;
  private readonly options: ReturnType<typeof read>;
  private readonly end = new AbortController();

  /** @throws ConfigurationError naming the option, what was expected and what came. */
  constructor(options: RetryingObjectStoreOptions) {
    // Known by this, whichever copy of the package it comes from.
    Object.defineProperty(this, RETRYING, { value: true });
    this.options = read(options);
    this.store = this.options.store;
    this.clock = this.options.clock ?? systemClock;
  }

  open(options?: StoreCallOptions): Promise<void> {
    return this.store.open(options);
  }

  put(key: string, chunks: readonly Uint8Array[], options: PutOptions = {}): Promise<void> {
    return this.attempts(options, (attempt) => this.store.put(key, chunks, { ...options, ...attempt }));
  }

  get(key: string, options: GetOptions): Promise<Uint8Array> {
    return this.attempts(options, (attempt) => this.store.get(key, { ...options, ...attempt }));
  }

  head(key: string, options: HeadOptions = {}): Promise<ObjectHead | undefined> {
    return this.attempts(options, (attempt) => this.store.head(key, { ...options, ...attempt }));
  }

  /** One that fails in the middle is gone on with after the last key that was seen. */
  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ListedObject> {
    const { pageSize = 1_000 } = options;
    for (let startAfter = options.startAfter ?? ''; ; ) {
      const page = await this.attempts(options, async (attempt) => {
        const found: ListedObject[] = [];
        for await (const object of this.store.list(prefix, { ...options, ...attempt, startAfter, pageSize })) {
          if (found.push(object) === pageSize) break;
        }
        return found;
      });
      yield* page;
      if (page.length < pageSize) return;
      startAfter = page.at(-1)!.key;
    }
  }

  remove(key: string, options: StoreCallOptions = {}): Promise<void> {
    return this.attempts(options, (attempt) => this.store.remove(key, { ...options, ...attempt }));
  }

  changeStorageClass(key: string, storageClass: StorageClass, options: StoreCallOptions = {}): Promise<ObjectHead> {
    return this.attempts(options, (attempt) =>
      this.store.changeStorageClass(key, storageClass, { ...options, ...attempt }),
    );
  }

  requestRestore(key: string, options: RestoreOptions = {}): Promise<RestoreStatus> {
    return this.attempts(options, (attempt) => this.store.requestRestore(key, { ...options, ...attempt }));
  }

  status(): ObjectStoreStatus {
    return this.store.status();
  }

  /** Ends the waits, and shuts the wrapped store down. */
  shutdown(options?: { readonly deadline?: number }): Promise<void> {
    this.end.abort(new ObjectStoreError('SHUTDOWN', 'the store has been shut down'));
    return this.store.shutdown(options);
  }

  private async attempts<T>(
    { deadline = this.clock.now() + DEFAULT_CALL_MILLIS, signal }: StoreCallOptions,
    call: (attempt: StoreCallOptions) => Promise<T>,
  ): Promise<T> {
    const { maxRetries, attemptTimeoutMillis } = this.options;
    for (let retries = 0; ; retries++) {
      try {
        return await this.attempt(() =>
          call({ deadline: Math.min(deadline, this.clock.now() + attemptTimeoutMillis), signal }),
        );
      } catch (thrown) {
        const { failure, retryAfterMillis = 0 } = thrown as Partial<ObjectStoreError>;
        if (!storeErrorCode(thrown) || !WORTH_RETRYING.includes(failure!) || retries === maxRetries) throw thrown;
        const waitMillis = Math.max(this.delay(retries), retryAfterMillis);
        if (this.clock.now() + waitMillis >= deadline) throw thrown;
        if (!(await this.wait(waitMillis, signal))) throw signal?.aborted ? signal.reason : thrown;
      }
    }
  }

  private async attempt<T>(call: () => Promise<T>): Promise<T> {
    const { breaker } = this.options;
    const permit = breaker?.tryAcquire();
    if (breaker && !permit) {
      throw new ObjectStoreError('REFUSED', `${this.store.status().location}: the circuit breaker is open`);
    }
    try {
      const result = await call();
      permit?.success();
      return result;
    } catch (thrown) {
      const { failure } = thrown as Partial<ObjectStoreError>;
      if (isAnswer(thrown)) permit?.success();
      else if (storeErrorCode(thrown) && failure === 'retryable') permit?.failure();
      else permit?.release();
      throw thrown;
    }
  }

  /** Equal jitter: between half of it and all. */
  private delay(retries: number): number {
    const { initialDelayMillis, maxDelayMillis, random = Math.random } = this.options;
    return Math.min(initialDelayMillis * 2 ** retries, maxDelayMillis) * (0.5 + random() / 2);
  }

  private async wait(millis: number, signal: AbortSignal | undefined): Promise<boolean> {
    const abort = new AbortController();
    const onAbort = () => abort.abort();
    const signals = signal ? [signal, this.end.signal] : [this.end.signal];
    for (const each of signals) {
      if (each.aborted) onAbort();
      each.addEventListener('abort', onAbort, { once: true });
    }
    try {
      return await sleep(this.clock, millis, abort.signal);
    } finally {
      for (const each of signals) each.removeEventListener('abort', onAbort);
    }
  }
}

/** A store that tries again, which is the given one if it is such: retries of retries would multiply. */
export const withRetries = (options: RetryingObjectStoreOptions): ObjectStore =>
  RETRYING in options.store ? options.store : new RetryingObjectStore(options);

function read(options: RetryingObjectStoreOptions) {
  const resolved = readOptions(OWNER, options, SCHEMA);
  if (resolved.maxDelayMillis < resolved.initialDelayMillis) {
    const expected = `at least initialDelayMillis (${resolved.initialDelayMillis})`;
    throw new ConfigurationError(`${OWNER}.maxDelayMillis`, expected, resolved.maxDelayMillis);
  }
  return resolved;
}
