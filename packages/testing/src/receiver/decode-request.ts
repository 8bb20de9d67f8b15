import { decodeSpanKeys } from './decode-ids.js';
import { decodeOutlines } from './decode-outlines.js';
import { decodeSpans } from './decode-spans.js';
import type { DoorRequest } from './door.js';
import type { ReceivedSpan } from './received-span.js';
import type { SpanOutline } from './span-outline.js';

/** How much of each span is decoded. */
export type SpanDetail = 'ids' | 'outlines' | 'spans';

export interface DecodedRequest {
  /** In the order of the request. */
  readonly keys: readonly string[];
  /** Empty when less or more was asked for. */
  readonly outlines: readonly SpanOutline[];
  /** Empty when less was asked for. */
  readonly spans: readonly ReceivedSpan[];
}

const KEY_LENGTH = 48;

/** Throws when the body is no `ExportTraceServiceRequest`, or one with a span without valid ids. */
export function decodeRequest({ body, format }: DoorRequest, detail: SpanDetail): DecodedRequest {
  const outlines = detail === 'outlines' ? decodeOutlines(body, format) : [];
  const spans = detail === 'spans' ? decodeSpans(body, format) : [];
  const keys = detail === 'ids' ? decodeSpanKeys(body, format) : [...outlines, ...spans].map(spanKey);
  for (const key of keys) if (key.length !== KEY_LENGTH) throw new Error(`a span with the ids '${key}'`);
  return { keys, outlines, spans };
}

/** The key under which a span is counted: its trace id and span id, as one string of 48 hex digits. */
export function spanKey({ traceId, spanId }: { readonly traceId: string; readonly spanId: string }): string {
  return traceId + spanId;
}
