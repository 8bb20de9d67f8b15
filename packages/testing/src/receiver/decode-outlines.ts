import type { BodyFormat } from './door.js';
import { REQUEST_OUTLINES } from './otlp-descriptor.js';
import type { SpanOutline } from './span-outline.js';

// The shape that OTLP/JSON has, and protobufjs makes of protobuf.
type Id = string | Uint8Array;
interface WireSpan {
  readonly traceId?: Id;
  readonly spanId?: Id;
  readonly parentSpanId?: Id;
  readonly traceState?: string;
  readonly flags?: number;
  readonly startTimeUnixNano?: string | number;
  readonly endTimeUnixNano?: string | number;
  readonly status?: { readonly code?: number };
}
interface WireRequest {
  readonly resourceSpans?: readonly {
    readonly scopeSpans?: readonly { readonly spans?: readonly WireSpan[] }[];
  }[];
}

/** The outline of every span in an `ExportTraceServiceRequest`, in order. Throws when the body is none. */
export function decodeOutlines(body: Uint8Array, format: BodyFormat): SpanOutline[] {
  const outlines: SpanOutline[] = [];
  for (const { scopeSpans = [] } of readRequest(body, format).resourceSpans ?? []) {
    for (const { spans = [] } of scopeSpans) {
      for (const span of spans) outlines.push(outlineOf(span));
    }
  }
  return outlines;
}

function readRequest(body: Uint8Array, format: BodyFormat): WireRequest {
  if (format === 'json') return JSON.parse(new TextDecoder().decode(body)) as WireRequest;
  return REQUEST_OUTLINES.toObject(REQUEST_OUTLINES.decode(body), { longs: String }) as WireRequest;
}

function outlineOf(span: WireSpan): SpanOutline {
  const startNanos = BigInt(span.startTimeUnixNano ?? 0);
  const endNanos = BigInt(span.endTimeUnixNano ?? 0);
  return {
    traceId: toHex(span.traceId),
    spanId: toHex(span.spanId),
    parentSpanId: toHex(span.parentSpanId),
    traceState: span.traceState ?? '',
    flags: span.flags ?? 0,
    statusCode: span.status?.code ?? 0,
    startTimeUnixMillis: Number(startNanos) / 1e6,
    durationMillis: Number(endNanos - startNanos) / 1e6,
  };
}

const toHex = (id: Id = ''): string =>
  typeof id === 'string' ? id.toLowerCase() : Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('hex');
