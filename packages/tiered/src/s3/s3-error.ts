import { describeError, parseRetryAfter, toError } from '@otel-resilience/core';
import { ObjectStoreError, type ObjectStoreErrorCode, storeErrorCode } from '../object-store/object-store-error.js';

/** By the name that S3 gives an error, whatever its status: `RequestTimeTooSkewed` is a 403, `RequestTimeout` a 400. */
const BY_NAME: Readonly<Record<string, ObjectStoreErrorCode>> = {
  NoSuchBucket: 'NO_BUCKET',
  PermanentRedirect: 'NO_BUCKET',
  AuthorizationHeaderMalformed: 'NO_BUCKET',
  NoSuchKey: 'NOT_FOUND',
  NotFound: 'NOT_FOUND',
  NoSuchUpload: 'UNAVAILABLE',
  PreconditionFailed: 'EXISTS',
  ConditionalRequestConflict: 'CONFLICT',
  OperationAborted: 'CONFLICT',
  InvalidObjectState: 'ARCHIVED',
  ObjectNotInActiveTierError: 'ARCHIVED',
  BadDigest: 'CHECKSUM',
  InvalidDigest: 'CHECKSUM',
  XAmzContentSHA256Mismatch: 'CHECKSUM',
  XAmzContentChecksumMismatch: 'CHECKSUM',
  IncompleteBody: 'UNAVAILABLE',
  RequestTimeout: 'UNAVAILABLE',
  RequestTimeTooSkewed: 'UNAVAILABLE',
  SlowDown: 'THROTTLED',
  Throttling: 'THROTTLED',
  ThrottlingException: 'THROTTLED',
  TooManyRequests: 'THROTTLED',
  TooManyRequestsException: 'THROTTLED',
  RequestLimitExceeded: 'THROTTLED',
  BandwidthLimitExceeded: 'THROTTLED',
  GlacierExpeditedRetrievalNotAvailable: 'THROTTLED',
  ExpiredToken: 'DENIED',
  InvalidToken: 'DENIED',
  CredentialsProviderError: 'DENIED',
};

const EXPLANATIONS: Partial<Record<ObjectStoreErrorCode, string>> = {
  NO_BUCKET: 'the bucket does not exist, or not in this region',
  DENIED: 'access denied: wrong or missing credentials, or a policy does not permit it',
  EXISTS: 'there is an object of this key',
  NOT_FOUND: 'there is no such object',
  ARCHIVED: 'it is archived, and has to be restored first',
};

interface Answer {
  readonly name?: unknown;
  readonly Code?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string };
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> };
}

/**
 * Reads what the AWS SDK has thrown. The error itself, which may hold request, headers and keys, is not kept. `mask` takes
 * out what is secret; `wallNow` is for a Retry-After that is a date.
 */
export function classifyS3Error(thrown: unknown, mask: (text: string) => string, wallNow: number): ObjectStoreError {
  if (storeErrorCode(thrown)) return thrown as ObjectStoreError;
  const error = toError(thrown);
  const { name, Code, $metadata = {}, $response } = error as Answer;
  const status = $metadata.httpStatusCode;
  const said = typeof Code === 'string' ? Code : String(name);
  const retryAfterMillis = parseRetryAfter($response?.headers?.['retry-after'], wallNow);
  const code = codeOf(said, error.message, status, retryAfterMillis !== undefined);
  const details = [said, status, $metadata.requestId && `request ${$metadata.requestId}`].filter(Boolean).join(', ');
  const explained = EXPLANATIONS[code];
  const message = mask(describeError(error));
  const text =
    explained && /^(?:unknownerror|\d+|notfound|)$/i.test(message)
      ? explained
      : [explained, message].filter(Boolean).join(': ');
  return new ObjectStoreError(code, `${text} (${mask(details)})`, { retryAfterMillis });
}

function codeOf(name: string, message: string, status: number | undefined, hasHint: boolean): ObjectStoreErrorCode {
  const known = Object.hasOwn(BY_NAME, name) ? BY_NAME[name] : undefined;
  if (known) return known;
  if (/checksum mismatch/i.test(message)) return 'CHECKSUM';
  if (status === undefined) return 'UNAVAILABLE';
  if (status === 429 || (status === 503 && hasHint)) return 'THROTTLED';
  if (status === 301 || status === 307) return 'NO_BUCKET';
  if (status === 401 || status === 403) return 'DENIED';
  if (status === 404) return 'NOT_FOUND';
  if (status === 408) return 'UNAVAILABLE';
  if (status === 409) return 'CONFLICT';
  if (status === 412) return 'EXISTS';
  return status >= 400 && status < 500 && status !== 499 ? 'REFUSED_REQUEST' : 'UNAVAILABLE';
}
