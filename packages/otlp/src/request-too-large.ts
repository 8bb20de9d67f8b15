import type { OtlpProtocol } from './endpoint-url.js';
import { MAX_DETAILS_LENGTH } from './otlp-transport.js';

/** One of our own: over `maxRequestBytes`, so nobody was asked. */
export class RequestTooLargeError extends Error {
  constructor(byteLength: number, maxRequestBytes: number) {
    super(`a request of ${byteLength} bytes is over maxRequestBytes (${maxRequestBytes})`);
    this.name = 'RequestTooLargeError';
  }
}

const CONTENT_TOO_LARGE = 413;
// Others that answer so: 400 (the Collector), 422, 500 (frameworks whose body parser throws).
const HTTP_STATUSES: ReadonlySet<unknown> = new Set([400, 422, 500]);
// UNKNOWN, INVALID_ARGUMENT, RESOURCE_EXHAUSTED (grpc-go, -java, -js, -dotnet, C), OUT_OF_RANGE (tonic), INTERNAL
const GRPC_STATUSES: ReadonlySet<unknown> = new Set([2, 3, 8, 11, 13]);

/**
 * What servers say, with little in between, so that a rate or a quota that is exceeded is none of it. Seen:
 *
 *     http: request body too large                                             Collector over HTTP, Go's http
 *     grpc: received message larger than max (4194305 vs. 4194304)             grpc-go, C core, grpc-js
 *     grpc: received message after decompression larger than max …             grpc-go
 *     gRPC message exceeds maximum size 4194304: 5118829                       grpc-java
 *     Received message exceeds the maximum configured message size.            grpc-dotnet
 *     Error, decoded message length too large: found …, the limit is: …        tonic
 *     request entity too large                                                 body-parser
 *     Request body is too large                                                fastify
 */
const SUBJECT = '\\b(?:message|request|payload|body|entity|content|batch)\\b[a-z ,:]{0,40}?';
const SAID = [
  `${SUBJECT}\\b(?:too (?:large|big)|larger than)\\b`,
  `${SUBJECT}\\bexceed(?:s|ed|ing)?\\b[a-z ]{0,40}?\\b(?:size|length|bytes)\\b`,
  `${SUBJECT}\\b(?:size|length)\\b[a-z ]{0,20}?\\bexceed(?:s|ed|ing)?\\b`,
].map((pattern) => new RegExp(pattern, 'i'));
/** Halves have the same ones. */
const HEADERS = /\bheaders?\b/i;

/**
 * Whether a server has refused a request for its size: it may take the halves. 413 alone says so; any other status must
 * be one that is used for it, and come with words that can hardly mean anything else. RESOURCE_EXHAUSTED by itself may be
 * a quota, which halves would only strain twice.
 */
export function saysTooLarge(error: unknown, protocol: OtlpProtocol): boolean {
  const { code, details, httpStatus } = error as { code?: unknown; details?: unknown; httpStatus?: unknown };
  // Over gRPC it is a proxy that says so, and the code what gRPC makes of it.
  if ((protocol === 'grpc' ? httpStatus : code) === CONTENT_TOO_LARGE) return true;
  const statuses = protocol === 'grpc' ? GRPC_STATUSES : HTTP_STATUSES;
  if (!statuses.has(code) || typeof details !== 'string') return false;
  const said = details.slice(0, MAX_DETAILS_LENGTH);
  return !HEADERS.test(said) && SAID.some((pattern) => pattern.test(said));
}
