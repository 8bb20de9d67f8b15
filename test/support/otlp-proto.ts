import protobuf from 'protobufjs';

/**
 * OTLP traces, declared anew for an independent decoder: opentelemetry-proto 1.x, trace service. Times and
 * keys are `optional` here, which is the same on the wire, so that one which is 0 or empty is told from one that is not
 * there: encoders write them whatever they are.
 */
const { root } = protobuf.parse(
  `
  syntax = "proto3";
  message ExportTraceServiceRequest { repeated ResourceSpans resource_spans = 1; }
  message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; string schema_url = 3; }
  message ScopeSpans { InstrumentationScope scope = 1; repeated Span spans = 2; string schema_url = 3; }
  message Resource { repeated KeyValue attributes = 1; uint32 dropped_attributes_count = 2; }
  message InstrumentationScope {
    string name = 1; string version = 2; repeated KeyValue attributes = 3; uint32 dropped_attributes_count = 4;
  }
  message Span {
    bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; bytes parent_span_id = 4; fixed32 flags = 16;
    string name = 5; int32 kind = 6; optional fixed64 start_time_unix_nano = 7; optional fixed64 end_time_unix_nano = 8;
    repeated KeyValue attributes = 9; uint32 dropped_attributes_count = 10;
    repeated Event events = 11; uint32 dropped_events_count = 12;
    repeated Link links = 13; uint32 dropped_links_count = 14; Status status = 15;
    message Event {
      optional fixed64 time_unix_nano = 1; string name = 2; repeated KeyValue attributes = 3; uint32 dropped_attributes_count = 4;
    }
    message Link {
      bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; repeated KeyValue attributes = 4;
      uint32 dropped_attributes_count = 5; fixed32 flags = 6;
    }
  }
  message Status { string message = 2; int32 code = 3; }
  message KeyValue { optional string key = 1; AnyValue value = 2; }
  message AnyValue {
    oneof value {
      string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4;
      ArrayValue array_value = 5; KeyValueList kvlist_value = 6; bytes bytes_value = 7;
    }
  }
  message ArrayValue { repeated AnyValue values = 1; }
  message KeyValueList { repeated KeyValue values = 1; }
  `,
  { keepCase: false },
);

export const RequestType: protobuf.Type = root.lookupType('ExportTraceServiceRequest');
const ScopeSpansType = root.lookupType('ScopeSpans');

/** One span as it is on the wire, with what it stands under. */
export interface WireSpan {
  readonly resource: unknown;
  readonly resourceSchemaUrl: unknown;
  readonly scope: unknown;
  readonly scopeSchemaUrl: unknown;
  readonly span: Record<string, unknown>;
}

/** Every span of a request, in order. */
export function decodeWireSpans(chunks: readonly Uint8Array[]): WireSpan[] {
  return wireSpans(chunks, { longs: String, bytes: String, arrays: true });
}

/** The same, with proto3's defaults for what is not on the wire: encoders may leave those out, and may write them. */
export function decodeWireContent(chunks: readonly Uint8Array[]): WireSpan[] {
  return wireSpans(chunks, { longs: String, bytes: String, arrays: true, defaults: true }).map((span) => ({
    ...span,
    resource: span.resource ?? { attributes: [], droppedAttributesCount: 0 },
    scope: span.scope ?? { name: '', version: '', attributes: [], droppedAttributesCount: 0 },
    span: { ...span.span, status: span.span.status ?? { message: '', code: 0 } },
  }));
}

/** Bytes that the spans of a request take in it, each with tag and length. */
export function spansBytes(request: Uint8Array): number {
  const { resourceSpans } = RequestType.decode(request) as unknown as DecodedRequest;
  const parts = resourceSpans.flatMap(({ scopeSpans }) =>
    scopeSpans.map(({ spans }) => ScopeSpansType.encode({ spans })),
  );
  return parts.reduce((bytes, part) => bytes + part.finish().byteLength, 0);
}

/** The same content to whoever keeps attributes in a map: where a key repeats, its last value, at its first place. */
export function lastKeyWins<T>(content: T): T {
  if (Array.isArray(content)) return distinctKeys(content).map(lastKeyWins) as T;
  if (typeof content !== 'object' || content === null) return content;
  return Object.fromEntries(Object.entries(content).map(([name, value]) => [name, lastKeyWins(value)])) as T;
}

function distinctKeys(list: readonly unknown[]): unknown[] {
  const isKeyValues = list.every((item) => typeof item === 'object' && item !== null && 'key' in item);
  return isKeyValues ? [...new Map((list as { key: string }[]).map((item) => [item.key, item])).values()] : [...list];
}

function wireSpans(chunks: readonly Uint8Array[], options: protobuf.IConversionOptions): WireSpan[] {
  const request = RequestType.toObject(RequestType.decode(Buffer.concat(chunks)), options) as DecodedRequest;
  return request.resourceSpans.flatMap(({ resource, schemaUrl: resourceSchemaUrl, scopeSpans }) =>
    scopeSpans.flatMap(({ scope, schemaUrl: scopeSchemaUrl, spans }) =>
      spans.map((span) => ({ resource, resourceSchemaUrl, scope, scopeSchemaUrl, span })),
    ),
  );
}

interface DecodedRequest {
  resourceSpans: Array<{
    resource?: unknown;
    schemaUrl?: string;
    scopeSpans: Array<{ scope?: unknown; schemaUrl?: string; spans: Record<string, unknown>[] }>;
  }>;
}
