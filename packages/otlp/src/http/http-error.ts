import { STATUS_CODES } from 'node:http';
import { FieldReader, LENGTH_DELIMITED, MalformedOtlpError } from '@otel-resilience/core';
import { MAX_DETAILS_LENGTH } from '../otlp-transport.js';
import { afterAnswer, withReason } from '../wrong-port.js';
import type { HttpResponse } from './exchange.js';

const SHOWN_LENGTH = 200;
/** Beside what is perhaps the reason. */
const SHORT_LENGTH = 80;

/** A response that is no success. `classifyFailure` reads `code` and `retryAfter`. */
export class HttpError extends Error {
  /** The status. */
  readonly code: number;
  /** The `Retry-After` header, as it came. */
  readonly retryAfter?: string;
  /** What the server said; '' if nothing that could be read. */
  readonly details: string;

  constructor(response: HttpResponse) {
    const { status, headers } = response;
    const details = readDetails(response);
    const reason = afterAnswer('http/protobuf', status, details);
    const most = reason ? SHORT_LENGTH : SHOWN_LENGTH;
    const shown = details.length > most ? `${details.slice(0, most)}…` : details;
    const message = `HTTP ${status} ${STATUS_CODES[status] ?? ''}`.trimEnd() + (shown && `: ${shown}`);
    super(withReason(message, reason));
    this.name = 'HttpError';
    this.code = status;
    this.details = details;
    if (headers['retry-after'] !== undefined) this.retryAfter = headers['retry-after'];
  }
}

export function isProtobuf({ headers }: Pick<HttpResponse, 'headers'>): boolean {
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  return (type === 'application/x-protobuf' || type === 'application/protobuf') && !isEncoded(headers);
}

/** We never said that we would take that. */
function isEncoded({ 'content-encoding': encoding }: HttpResponse['headers']): boolean {
  return encoding !== undefined && encoding.toLowerCase() !== 'identity';
}

/** OTLP: "The response body for all HTTP 4xx and HTTP 5xx responses MUST be a Protobuf-encoded Status message." */
function readDetails(response: HttpResponse): string {
  const { body } = response;
  if (isProtobuf(response)) return printable(statusMessage(body));
  return isEncoded(response.headers) ? '' : printable(body);
}

/** `Status { int32 code = 1; string message = 2; repeated Any details = 3; }`, or as much of it as has come. */
function statusMessage(body: Buffer): Uint8Array {
  let message: Uint8Array = new Uint8Array();
  try {
    const fields = new FieldReader(body);
    while (fields.next()) {
      if (fields.is(2, LENGTH_DELIMITED)) message = body.subarray(fields.valueStart, fields.fieldEnd);
    }
  } catch (error) {
    if (!(error instanceof MalformedOtlpError)) throw error;
  }
  return message;
}

/** Control characters would be able to forge lines of a log. */
function printable(bytes: Uint8Array): string {
  const text = Buffer.from(
    bytes.buffer,
    bytes.byteOffset,
    Math.min(bytes.byteLength, 4 * MAX_DETAILS_LENGTH),
  ).toString();
  return text
    .replace(/[\p{C}\s]+/gu, ' ')
    .trim()
    .slice(0, MAX_DETAILS_LENGTH);
}
