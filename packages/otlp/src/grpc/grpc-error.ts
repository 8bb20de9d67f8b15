import { constants, type IncomingHttpHeaders } from 'node:http2';
import { MAX_DETAILS_LENGTH } from '../otlp-transport.js';
import { afterAnswer, withReason } from '../wrong-port.js';
import { ResponseMetadata } from './response-metadata.js';

/** gRPC status codes that are made up here, or acted upon. */
export const GRPC = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

interface GrpcErrorInit {
  readonly code: number;
  readonly details: string;
  readonly metadata?: ResponseMetadata;
  readonly httpStatus?: number;
  readonly retryAfter?: string;
  readonly retryAfterMillis?: number;
  readonly cause?: unknown;
}

/** A call that did not end with `grpc-status: 0`, in the shape of grpc-js's errors: `classifyFailure` reads both. */
export class GrpcError extends Error {
  readonly code: number;
  readonly details: string;
  /** Of the trailers; `grpc-status-details-bin` may have a RetryInfo. */
  readonly metadata: ResponseMetadata;
  /** Set when there was no `grpc-status`, so that `code` is only what gRPC's table makes of the HTTP status. */
  readonly httpStatus: number | undefined;
  /** The `Retry-After` of such a response. */
  readonly retryAfter: string | undefined;
  readonly retryAfterMillis: number | undefined;

  constructor({ code, details, metadata, httpStatus, retryAfter, retryAfterMillis, cause }: GrpcErrorInit) {
    super(`${code} ${NAMES[code] ?? 'UNKNOWN'}${details && `: ${details}`}`, cause === undefined ? {} : { cause });
    this.name = 'GrpcError';
    this.code = code;
    this.details = details;
    this.metadata = metadata ?? new ResponseMetadata({});
    this.httpStatus = httpStatus;
    this.retryAfter = retryAfter;
    this.retryAfterMillis = retryAfterMillis;
  }
}

/** From headers or trailers with a `grpc-status`: `undefined` when it is 0. */
export function statusError(headers: IncomingHttpHeaders): GrpcError | undefined {
  const text = String(headers['grpc-status']);
  // gRPC: codes that are not known are to be taken for UNKNOWN.
  const code = /^\d{1,2}$/.test(text) && Number(text) < NAMES.length ? Number(text) : GRPC.UNKNOWN;
  if (code === GRPC.OK) return undefined;
  const message = headers['grpc-message'];
  const details = typeof message === 'string' ? percentDecode(message) : '';
  return new GrpcError({
    code,
    details: details.slice(0, MAX_DETAILS_LENGTH),
    metadata: new ResponseMetadata(headers),
  });
}

/** A response without `grpc-status`: not from a gRPC server, but from something in between. */
export function httpError(headers: IncomingHttpHeaders): GrpcError {
  const httpStatus = Number(headers[':status']);
  const type = headers['content-type'];
  const retryAfter = headers['retry-after'];
  const said = `HTTP status ${httpStatus}${WORDS[httpStatus] ?? ''}${type ? `, ${String(type).slice(0, 100)}` : ''}`;
  return new GrpcError({
    code: FROM_HTTP[httpStatus] ?? GRPC.UNKNOWN,
    details: withReason(`${said}, no grpc-status`, afterAnswer('grpc', httpStatus)),
    metadata: new ResponseMetadata(headers),
    httpStatus,
    ...(typeof retryAfter === 'string' && { retryAfter }),
  });
}

/**
 * A stream that the peer reset, or that this end did because of what the peer sent. What gRPC calls INTERNAL here is an
 * answer that broke off; the words are those of grpc-js, by which `classifyFailure` tells it from a server's own INTERNAL.
 */
export function resetError(http2Code: number): GrpcError {
  const details = `Received RST_STREAM with code ${http2Code}`;
  switch (http2Code) {
    case constants.NGHTTP2_REFUSED_STREAM:
      return new GrpcError({ code: GRPC.UNAVAILABLE, details });
    case constants.NGHTTP2_CANCEL:
      return new GrpcError({ code: GRPC.CANCELLED, details });
    case constants.NGHTTP2_ENHANCE_YOUR_CALM:
      // Without a wait it would be taken for "message too large". Also how nghttp2 ends a response with too many headers.
      return new GrpcError({ code: GRPC.RESOURCE_EXHAUSTED, details, retryAfterMillis: CALM_MILLIS });
    case constants.NGHTTP2_INADEQUATE_SECURITY:
      return new GrpcError({ code: GRPC.PERMISSION_DENIED, details });
    default:
      return new GrpcError({ code: GRPC.INTERNAL, details });
  }
}

const CALM_MILLIS = 1_000;

// https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md; everything else is UNKNOWN.
const FROM_HTTP: Readonly<Record<number, number>> = {
  400: GRPC.INTERNAL,
  401: GRPC.UNAUTHENTICATED,
  403: GRPC.PERMISSION_DENIED,
  404: GRPC.UNIMPLEMENTED,
  429: GRPC.UNAVAILABLE,
  502: GRPC.UNAVAILABLE,
  503: GRPC.UNAVAILABLE,
  504: GRPC.UNAVAILABLE,
};

// For whoever splits a request that is too large.
const WORDS: Readonly<Record<number, string>> = { 413: ', request too large' };

const NAMES = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
];

/** gRPC: "When decoding invalid values, implementations MUST NOT error"; what is no escape stays as it is. */
function percentDecode(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (escapes) => Buffer.from(escapes.replaceAll('%', ''), 'hex').toString());
}
