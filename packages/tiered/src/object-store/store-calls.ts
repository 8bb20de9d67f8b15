import { setMaxListeners } from 'node:events';
import {
  type Clock,
  DEFAULT_SHUTDOWN_TIMEOUT_MILLIS,
  describeError,
  isTimeout,
  LimitedLog,
  settledBy,
  suppressTracing,
} from '@otel-resilience/core';
import type { ObjectStoreStatus, StoreCallOptions } from './object-store.js';
import { isAnswer, ObjectStoreError, storeErrorCode } from './object-store-error.js';

const DEFAULT_CALL_MILLIS = 30_000;
const MAX_FOREIGN_NAMES = 10;
/** A disk that hangs does so for each call, and each holds what it was to write: with so many of them, no more is begun. */
const MAX_ABANDONED_CALLS = 16;
const SHUT_DOWN = 'the store has been shut down';

/** Of what happens within a call: `signal` aborts when nobody waits for it any more. */
export interface StoreCall {
  readonly signal: AbortSignal;
  readonly deadline: number;
}

/** What the calls of a store have in common: deadline, signal, shutdown, errors of one kind, and the status. */
export class StoreCalls {
  readonly clock: Clock;
  private readonly location: string;
  private readonly classify: (error: unknown) => ObjectStoreError;
  private readonly log: LimitedLog;
  private readonly open = new Set<Promise<unknown>>();
  private readonly end = new AbortController();
  private readonly foreignNames = new Set<string>();
  private state: ObjectStoreStatus['state'] = 'untried';
  private error: string | undefined;
  private failures = 0;
  /** Calls that go on although their time was up. */
  private abandoned = 0;
  private closed: Promise<void> | undefined;

  constructor(owner: string, location: string, clock: Clock, classify: (error: unknown) => ObjectStoreError) {
    this.clock = clock;
    this.location = location;
    this.classify = classify;
    this.log = new LimitedLog(owner, { clock, intervalMillis: 60_000 });
    setMaxListeners(0, this.end.signal);
  }

  /** Makes a call. What goes on after its time was up is waited for at shutdown. */
  async run<T>(what: string, options: StoreCallOptions, work: (call: StoreCall) => Promise<T>): Promise<T> {
    if (this.closed) throw new ObjectStoreError('SHUTDOWN', `${what}: ${SHUT_DOWN}`);
    if (this.abandoned >= MAX_ABANDONED_CALLS) throw this.failed(what, HANGING);
    const deadline = options.deadline ?? this.clock.now() + DEFAULT_CALL_MILLIS;
    const abort = new AbortController();
    const onAbort = () => abort.abort(options.signal!.reason);
    const onEnd = () => abort.abort(this.end.signal.reason);
    if (options.signal?.aborted) onAbort();
    options.signal?.addEventListener('abort', onAbort, { once: true });
    this.end.signal.addEventListener('abort', onEnd, { once: true });
    const timer = this.clock.setTimeout(() => {
      abort.abort(new ObjectStoreError('DEADLINE_EXCEEDED', 'no answer in time'));
    }, deadline - this.clock.now());
    try {
      const result = await this.orAborted(abort.signal, () => work({ signal: abort.signal, deadline }));
      this.succeeded();
      return result;
    } catch (thrown) {
      // Who has aborted knows why, and it says nothing of the store.
      if (options.signal?.aborted && !isTimeout(options.signal.reason)) throw options.signal.reason;
      throw this.failed(what, abort.signal.aborted ? abort.signal.reason : thrown);
    } finally {
      this.clock.clearTimeout(timer);
      options.signal?.removeEventListener('abort', onAbort);
      this.end.signal.removeEventListener('abort', onEnd);
    }
  }

  /** Aborted when a shutdown has done what it could. */
  get ended(): AbortSignal {
    return this.end.signal;
  }

  /** Something that is none of the store's objects. */
  foreign(name: string): void {
    if (this.foreignNames.size < 1_000) this.foreignNames.add(name);
    this.log.warn('foreign', () => `${this.location}: left alone, since it is none of its objects: ${name}`);
  }

  warn(kind: string, message: () => string): void {
    this.log.warn(kind, () => `${this.location}: ${message()}`);
  }

  status(): ObjectStoreStatus {
    const names = [...this.foreignNames];
    return {
      location: this.location,
      state: this.state,
      ...(this.error !== undefined && { error: this.error }),
      failures: this.failures,
      foreign: { count: names.length, names: names.slice(0, MAX_FOREIGN_NAMES) },
    };
  }

  shutdown(deadline = this.clock.now() + DEFAULT_SHUTDOWN_TIMEOUT_MILLIS): Promise<void> {
    this.closed ??= (async () => {
      await settledBy(this.clock, deadline, Promise.allSettled([...this.open]));
      this.end.abort(new ObjectStoreError('SHUTDOWN', SHUT_DOWN));
    })();
    return this.closed;
  }

  private orAborted<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (signal.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      let isAbandoned = false;
      const onAbort = () => {
        isAbandoned = true;
        this.abandoned++;
        reject(signal.reason);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      const working = suppressTracing(() => Promise.resolve().then(work));
      const settled: Promise<void> = working.then(resolve, reject).then(() => {
        signal.removeEventListener('abort', onAbort);
        if (isAbandoned) this.abandoned--;
        this.open.delete(settled);
      });
      this.open.add(settled);
    });
  }

  private succeeded(): void {
    this.state = 'ready';
    this.error = undefined;
    this.failures = 0;
  }

  private failed(what: string, thrown: unknown): ObjectStoreError {
    const error = this.errorOf(what, thrown);
    if (isAnswer(error)) this.succeeded();
    else if (error.failure !== 'shutdown') {
      this.state = 'failing';
      this.error = describeError(error);
      this.failures++;
      this.log.warn('failing', () => this.error!);
    }
    return error;
  }

  private errorOf(what: string, thrown: unknown): ObjectStoreError {
    const { code, message, retryAfterMillis, cause } = this.read(thrown);
    return new ObjectStoreError(code, `${what}: ${message}`, { retryAfterMillis, cause });
  }

  private read(thrown: unknown): ObjectStoreError {
    if (storeErrorCode(thrown)) return thrown as ObjectStoreError;
    return isTimeout(thrown) ? new ObjectStoreError('DEADLINE_EXCEEDED', 'no answer in time') : this.classify(thrown);
  }
}

const HANGING = new ObjectStoreError('UNAVAILABLE', 'earlier calls have not returned, though their time was up');
