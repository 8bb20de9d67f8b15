import { systemClock } from './clock.js';
import { toError } from './export-error.js';
import type { Failure } from './export-outcome.js';
import { boundRetryAfter, parseRetryAfter } from './retry-after.js';
import { readRetryInfo } from './retry-info.js';

export interface ClassifiedFailure {
  readonly failure: Failure;
  readonly error: Error;
  /** The server's hint, in milliseconds: bounded and positive. */
  readonly retryAfterMillis?: number;
}

/**
 * Reads what to do next from whatever an exporter failed with, by OTLP's tables. Never throws.
 *
 * | what came | failure |
 * |---|---|
 * | HTTP status (`code`, `statusCode`, `status`) 429 | `throttled` |
 * | 502, 503, 504 | `retryable`; `throttled` with a Retry-After |
 * | any other 3xx, 4xx, 5xx | `permanent` |
 * | gRPC status (`code` 1–16) CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS | `retryable`; `throttled` with a RetryInfo |
 * | RESOURCE_EXHAUSTED | `throttled` with a RetryInfo, otherwise `permanent`: the message is too large |
 * | any other gRPC status | `permanent` |
 * | our own refusal (breaker, limiter, slot), the stock exporter's concurrency limit | `refused` |
 * | our own shutdown | `shutdown` |
 * | everything else | `retryable`; `throttled` if it names a wait |
 *
 * Everything else is a refused, reset or timed-out connection, a name that does not resolve, TLS that fails, or an
 * error nobody has heard of. TLS failures count as disconnects: no server has refused the spans, and certificates get
 * renewed. An unknown error keeps the spans, because giving them up is the one thing that cannot be taken back.
 *
 * The hint is RetryInfo in `metadata`, a number `retryAfterMillis`, or a Retry-After (seconds or HTTP-date) in
 * `retryAfter` or `headers`. An error that says nothing itself is read by its `cause`; an AggregateError is as hopeful
 * as the most hopeful of its errors.
 */
export function classifyFailure(thrown: unknown): ClassifiedFailure {
  try {
    const error = toError(thrown);
    const { failure, retryAfterMillis } = judgeChain(error) ?? RETRYABLE;
    return { failure, error, ...(retryAfterMillis !== undefined && { retryAfterMillis }) };
  } catch (cause) {
    // A getter or a `toString` of the thrown value threw. Whoever reads the error must not run into it again.
    return { failure: 'retryable', error: new Error('export failed with an unreadable error', { cause }) };
  }
}

type Verdict = Pick<ClassifiedFailure, 'failure' | 'retryAfterMillis'>;
type Properties = Readonly<Record<string, unknown>>;

const RETRYABLE: Verdict = { failure: 'retryable' };
const HOPE: readonly Failure[] = ['retryable', 'throttled', 'refused', 'permanent', 'shutdown'];
// Bounds what a cyclic or endless chain can cost.
const MAX_CAUSES = 8;
const MAX_PARTS = 16;

function judgeChain(value: unknown, nested = false): Verdict | undefined {
  let current = value;
  for (let depth = 0; depth < MAX_CAUSES && isObject(current); depth++) {
    const verdict = judge(current);
    if (verdict) return verdict;
    if (!nested && Array.isArray(current.errors) && current.errors.length > 0) {
      const parts = current.errors.slice(0, MAX_PARTS).map((part) => judgeChain(part, true) ?? RETRYABLE);
      return parts.reduce((best, part) => (HOPE.indexOf(part.failure) < HOPE.indexOf(best.failure) ? part : best));
    }
    current = current.cause;
  }
  return undefined;
}

/** What one error says itself; `undefined` when it says nothing that we know. */
function judge(error: Properties): Verdict | undefined {
  const retryAfterMillis = hintOf(error);
  if (error.code === 'SHUTDOWN') return { failure: 'shutdown' };
  if (error.code === 'REFUSED' || error.message === 'Concurrent export limit reached') {
    return { failure: 'refused', retryAfterMillis };
  }
  const failure = judgeHttp(error) ?? judgeGrpc(error, retryAfterMillis !== undefined);
  if (failure === 'permanent') return { failure };
  if (retryAfterMillis !== undefined) return { failure: 'throttled', retryAfterMillis };
  return failure && { failure };
}

/** OTLP: 429, 502, 503 and 504 "SHOULD be retried. All other 4xx or 5xx […] MUST NOT be retried." */
function judgeHttp(error: Properties): Failure | undefined {
  const response = isObject(error.response) ? error.response : {};
  const status = [error.code, error.statusCode, error.status, response.status].find(isHttpStatus);
  if (status === undefined) return undefined;
  if (status === 429) return 'throttled';
  return status === 502 || status === 503 || status === 504 ? 'retryable' : 'permanent';
}

// A "failure" with 1xx or 2xx is no answer we could act on.
const isHttpStatus = (value: unknown): value is number => Number.isInteger(value) && inRange(value as number, 300, 599);

const RESOURCE_EXHAUSTED = 8;
const INTERNAL = 13;
// CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS
const RETRYABLE_GRPC: ReadonlySet<unknown> = new Set([1, 4, 10, 11, 14, 15]);

function judgeGrpc(error: Properties, hasHint: boolean): Failure | undefined {
  const { code, details } = error;
  if (!Number.isInteger(code) || !inRange(code as number, 1, 16) || isDomException(error)) return undefined;
  if (RETRYABLE_GRPC.has(code)) return 'retryable';
  // OTLP: "If no such status is returned, then the RESOURCE_EXHAUSTED code SHOULD be treated as non-retryable."
  if (code === RESOURCE_EXHAUSTED && hasHint) return 'retryable';
  // grpc-js makes this up when a stream breaks before any status has come: a disconnect, not an answer.
  if (code === INTERNAL && typeof details === 'string' && details.startsWith('Received RST_STREAM')) return 'retryable';
  return 'permanent';
}

// Its `code` is a number of its own: 12 is a syntax error there.
const isDomException = (error: Properties): boolean =>
  Object.prototype.toString.call(error) === '[object DOMException]';

function hintOf(error: Properties): number | undefined {
  const response = isObject(error.response) ? error.response : {};
  const wallNow = systemClock.wallTime();
  return (
    retryInfoOf(error.metadata) ??
    boundRetryAfter(error.retryAfterMillis) ??
    parseRetryAfter(error.retryAfter, wallNow) ??
    parseRetryAfter(header(error.headers) ?? header(response.headers), wallNow)
  );
}

/** `metadata` is that of grpc-js, whose `-bin` entries are Buffers. */
function retryInfoOf(metadata: unknown): number | undefined {
  if (!isObject(metadata) || typeof metadata.get !== 'function') return undefined;
  const entries: unknown = metadata.get('grpc-status-details-bin');
  for (const entry of Array.isArray(entries) ? entries.slice(0, MAX_PARTS) : [entries]) {
    const millis = entry instanceof Uint8Array ? readRetryInfo(entry) : undefined;
    if (millis !== undefined) return millis;
  }
  return undefined;
}

/** From `fetch`'s Headers, or an object whose keys may be of any case. */
function header(headers: unknown): unknown {
  if (!isObject(headers)) return undefined;
  if (typeof headers.get === 'function') return headers.get('retry-after');
  const key = Object.keys(headers).find((name) => name.toLowerCase() === 'retry-after');
  return key === undefined ? undefined : headers[key];
}

const isObject = (value: unknown): value is Properties => typeof value === 'object' && value !== null;
const inRange = (value: number, min: number, max: number): boolean => value >= min && value <= max;
