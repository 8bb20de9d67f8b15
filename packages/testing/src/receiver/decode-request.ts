import { decodeIds, IDS_BYTES } from './decode-ids.js';
import { decodeOutlines } from './decode-outlines.js';
import { decodeSpans } from './decode-spans.js';
import type { DoorRequest } from './door.js';
import type { ReceivedSpan } from './received-span.js';
import type { SpanOutline } from './span-outline.js';

/** How much of each span is decoded. */
export type SpanDetail = 'ids' | 'outlines' | 'spans';

export interface DecodedRequest {
  readonly spanCount: number;
  /** Trace id and span id of each span, in the order of the request. */
  readonly ids: Uint8Array;
  /** Empty when less or more was asked for. */
  readonly outlines: readonly SpanOutline[];
  /** Empty when less was asked for. */
  readonly spans: readonly ReceivedSpan[];
}

/** Throws when the body is no `ExportTraceServiceRequest`, or one with a span without valid ids. */
export function decodeRequest({ body, format }: DoorRequest, detail: SpanDetail): DecodedRequest {
  const ids = decodeIds(body, format);
  const outlines = detail === 'outlines' ? decodeOutlines(body, format) : [];
  const spans = detail === 'spans' ? decodeSpans(body, format) : [];
  return { spanCount: ids.byteLength / IDS_BYTES, ids, outlines, spans };
}

/** The key under which a span is counted: its trace id and span id, as one string of 48 hex digits. */
export function spanKey({ traceId, spanId }: { readonly traceId: string; readonly spanId: string }): string {
  return traceId + spanId;
}
