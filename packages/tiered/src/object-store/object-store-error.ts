import type { Failure } from '@otel-resilience/core';

/**
 * What went wrong, and by that what to do:
 *
 * | code | failure |
 * |---|---|
 * | `UNAVAILABLE` (network, 5xx, EIO), `DEADLINE_EXCEEDED`, `CHECKSUM` (damaged on its way), `CONFLICT` | `retryable` |
 * | `NO_BUCKET`, `DENIED`, `FULL`: somebody has to see to it, and no span is lost meanwhile | `retryable` |
 * | `THROTTLED` | `throttled` |
 * | `NOT_FOUND`, `EXISTS`, `ARCHIVED`, `TOO_LARGE`, `INVALID_KEY`, `REFUSED_REQUEST` | `permanent` |
 * | `REFUSED`: a breaker was open | `refused` |
 * | `SHUTDOWN` | `shutdown` |
 */
export type ObjectStoreErrorCode = keyof typeof FAILURES;

const FAILURES = {
  UNAVAILABLE: 'retryable',
  DEADLINE_EXCEEDED: 'retryable',
  CHECKSUM: 'retryable',
  CONFLICT: 'retryable',
  NO_BUCKET: 'retryable',
  DENIED: 'retryable',
  FULL: 'retryable',
  THROTTLED: 'throttled',
  NOT_FOUND: 'permanent',
  EXISTS: 'permanent',
  ARCHIVED: 'permanent',
  TOO_LARGE: 'permanent',
  INVALID_KEY: 'permanent',
  REFUSED_REQUEST: 'permanent',
  REFUSED: 'refused',
  SHUTDOWN: 'shutdown',
} as const satisfies Record<string, Failure>;

export interface ObjectStoreErrorDetails {
  /** What the store asked us to wait, in milliseconds. */
  readonly retryAfterMillis?: number | undefined;
  readonly cause?: unknown;
}

/** Every rejection of an `ObjectStore`. Its message holds nothing secret. */
export class ObjectStoreError extends Error {
  readonly code: ObjectStoreErrorCode;
  readonly failure: Failure;
  readonly retryAfterMillis: number | undefined;

  constructor(code: ObjectStoreErrorCode, message: string, { retryAfterMillis, cause }: ObjectStoreErrorDetails = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'ObjectStoreError';
    this.code = code;
    this.failure = FAILURES[code];
    this.retryAfterMillis = retryAfterMillis;
  }
}

/** The code of an error of ours, whichever copy of this package made it. */
export const storeErrorCode = (error: unknown): ObjectStoreErrorCode | undefined => {
  const { name, code } = (error ?? {}) as { name?: unknown; code?: unknown };
  return name === 'ObjectStoreError' ? (code as ObjectStoreErrorCode) : undefined;
};

export const isNotFound = (error: unknown): boolean => storeErrorCode(error) === 'NOT_FOUND';
export const isExisting = (error: unknown): boolean => storeErrorCode(error) === 'EXISTS';

/** Whether the answer, though an error, shows that the store is well. */
export const isAnswer = (error: unknown): boolean => {
  const code = storeErrorCode(error);
  return code !== undefined && FAILURES[code] === 'permanent';
};
