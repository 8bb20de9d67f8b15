import { boundRetryAfter, type Failure } from '@otel-resilience/core';

/** Why one endpoint did not take the spans. */
export interface EndpointFailure {
  readonly failure: Failure;
  readonly error: Error;
  readonly retryAfterMillis?: number;
}

/** The most hopeful first: the layer above asks "is it worth calling again, and when?". */
const ORDER: readonly Failure[] = ['shutdown', 'retryable', 'refused', 'throttled', 'permanent'];

/**
 * One failure for all endpoints, none of which took what remains.
 *
 * - `shutdown` ends everything.
 * - `retryable` if any endpoint was, for it may take the spans at the next call.
 * - `refused` if nobody was asked, or the others said less hopeful things: a breaker may let the next call through.
 * - `throttled` if everyone who may ever take the spans has asked us to wait.
 * - `permanent` only if every endpoint said so: anything else would let the spool give up what one would still take.
 *
 * The error is that of the last endpoint that failed this way. The hint is the smallest, and only there when each
 * endpoint that may take the spans has given one: otherwise somebody may be asked sooner. It is bounded and positive.
 */
export function verdict(failures: readonly EndpointFailure[]): EndpointFailure {
  const failure = ORDER.find((candidate) => failures.some((one) => one.failure === candidate)) ?? 'refused';
  const { error } = failures.findLast((one) => one.failure === failure) ?? { error: new Error('no endpoint') };
  const hopeful = failures.filter((one) => one.failure !== 'permanent');
  const hints = hopeful.map((one) => (one.failure === 'refused' ? undefined : boundRetryAfter(one.retryAfterMillis)));
  if (hints.length === 0 || failure === 'shutdown' || hints.includes(undefined)) return { failure, error };
  return { failure, error, retryAfterMillis: Math.min(...(hints as number[])) };
}
