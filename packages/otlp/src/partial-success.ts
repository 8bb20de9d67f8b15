import { FieldReader, LENGTH_DELIMITED, VARINT } from '@otel-resilience/core';

/** What a server has said about a request that it has accepted. */
export interface PartialSuccess {
  /** From 0 to the number of spans that were sent, whatever it claims. */
  readonly rejectedSpans: number;
  /** Shortened; '' when there is none. A server MAY send one without rejecting anything, as a warning. */
  readonly message: string;
}

const NOTHING_REJECTED: PartialSuccess = { rejectedSpans: 0, message: '' };
const MAX_MESSAGE_LENGTH = 256;
/** An `int64` comes as a varint without a sign: from here on it is a negative number. */
const NEGATIVE = 2 ** 63;

/**
 * Reads an `ExportTraceServiceResponse`. Bytes that are no such message say nothing: the request has been accepted, and
 * who cannot say more about it does not take that back.
 *
 *     ExportTraceServiceResponse { ExportTracePartialSuccess partial_success = 1; }
 *     ExportTracePartialSuccess  { int64 rejected_spans = 1; string error_message = 2; }
 */
export function readPartialSuccess(body: Uint8Array, sentSpans: number): PartialSuccess {
  if (body.byteLength === 0) return NOTHING_REJECTED;
  try {
    let rejected = 0;
    let message = '';
    const response = new FieldReader(body);
    while (response.next()) {
      if (!response.is(1, LENGTH_DELIMITED)) continue;
      const partial = response.message();
      while (partial.next()) {
        if (partial.is(1, VARINT)) rejected = partial.varint();
        else if (partial.is(2, LENGTH_DELIMITED)) message = partial.text();
      }
    }
    const rejectedSpans = rejected >= NEGATIVE ? 0 : Math.min(rejected, sentSpans);
    return { rejectedSpans, message: printable(message) };
  } catch {
    return NOTHING_REJECTED;
  }
}

/** Control characters would be able to forge lines of a log. */
function printable(message: string): string {
  return message
    .slice(0, MAX_MESSAGE_LENGTH)
    .replace(/[\p{C}\s]+/gu, ' ')
    .trim();
}
