import { decodeSpanKeys } from './decode-ids.js';
import { decodeSpans } from './decode-spans.js';
import type { DoorRequest } from './door.js';
import type { ReceivedSpan } from './received-span.js';

export interface DecodedRequest {
  /** In the order of the request. */
  readonly keys: readonly string[];
  /** Empty when only ids were asked for. */
  readonly spans: readonly ReceivedSpan[];
}

const KEY_LENGTH = 48;

/** Throws when the body is no `ExportTraceServiceRequest`, or one with a span without valid ids. */
export function decodeRequest({ body, format }: DoorRequest, wholeSpans: boolean): DecodedRequest {
  const spans = wholeSpans ? decodeSpans(body, format) : [];
  const keys = wholeSpans ? spans.map(spanKey) : decodeSpanKeys(body, format);
  for (const key of keys) if (key.length !== KEY_LENGTH) throw new Error(`a span with the ids '${key}'`);
  return { keys, spans };
}

/** The key under which a span is counted: its trace id and span id, as one string of 48 hex digits. */
export function spanKey({ traceId, spanId }: { readonly traceId: string; readonly spanId: string }): string {
  return traceId + spanId;
}
