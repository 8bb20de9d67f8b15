import protobuf from 'protobufjs/light.js';

type Fields = Record<string, [type: string, id: number]>;

// A type whose name begins with '*' is repeated.
const message = (fields: Fields): protobuf.IType => ({
  fields: Object.fromEntries(
    Object.entries(fields).map(([name, [type, id]]) => [
      name,
      type.startsWith('*') ? { rule: 'repeated', type: type.slice(1), id } : { type, id },
    ]),
  ),
});

// Members of a oneof are present even when they are empty or 0.
const oneOf = (fields: Fields): protobuf.IType => ({
  ...message(fields),
  oneofs: { value: { oneof: Object.keys(fields) } },
});

const lookUp = (types: Record<string, protobuf.IType>, name: string): protobuf.Type =>
  protobuf.Root.fromJSON({ nested: types }).lookupType(name);

/**
 * An `ExportTraceServiceRequest` of which only what a `SpanOutline` has is read; protobuf skips the fields that a
 * descriptor does not name.
 */
export const REQUEST_OUTLINES: protobuf.Type = lookUp(
  {
    Request: message({ resourceSpans: ['*ResourceSpans', 1] }),
    ResourceSpans: message({ scopeSpans: ['*ScopeSpans', 2] }),
    ScopeSpans: message({ spans: ['*Span', 2] }),
    Span: message({
      traceId: ['bytes', 1],
      spanId: ['bytes', 2],
      traceState: ['string', 3],
      parentSpanId: ['bytes', 4],
      flags: ['fixed32', 16],
      startTimeUnixNano: ['fixed64', 7],
      endTimeUnixNano: ['fixed64', 8],
      status: ['Status', 15],
    }),
    Status: message({ code: ['int32', 3] }),
  },
  'Request',
);

/** The whole `ExportTraceServiceRequest` (opentelemetry-proto 1.7). Enums are read as the numbers they are. */
export const REQUEST: protobuf.Type = lookUp(
  {
    Request: message({ resourceSpans: ['*ResourceSpans', 1] }),
    ResourceSpans: message({ resource: ['Resource', 1], scopeSpans: ['*ScopeSpans', 2], schemaUrl: ['string', 3] }),
    Resource: message({ attributes: ['*KeyValue', 1], droppedAttributesCount: ['uint32', 2] }),
    ScopeSpans: message({ scope: ['Scope', 1], spans: ['*Span', 2], schemaUrl: ['string', 3] }),
    Scope: message({
      name: ['string', 1],
      version: ['string', 2],
      attributes: ['*KeyValue', 3],
      droppedAttributesCount: ['uint32', 4],
    }),
    Span: message({
      traceId: ['bytes', 1],
      spanId: ['bytes', 2],
      traceState: ['string', 3],
      parentSpanId: ['bytes', 4],
      flags: ['fixed32', 16],
      name: ['string', 5],
      kind: ['int32', 6],
      startTimeUnixNano: ['fixed64', 7],
      endTimeUnixNano: ['fixed64', 8],
      attributes: ['*KeyValue', 9],
      droppedAttributesCount: ['uint32', 10],
      events: ['*Event', 11],
      droppedEventsCount: ['uint32', 12],
      links: ['*Link', 13],
      droppedLinksCount: ['uint32', 14],
      status: ['Status', 15],
    }),
    Event: message({
      timeUnixNano: ['fixed64', 1],
      name: ['string', 2],
      attributes: ['*KeyValue', 3],
      droppedAttributesCount: ['uint32', 4],
    }),
    Link: message({
      traceId: ['bytes', 1],
      spanId: ['bytes', 2],
      traceState: ['string', 3],
      attributes: ['*KeyValue', 4],
      droppedAttributesCount: ['uint32', 5],
      flags: ['fixed32', 6],
    }),
    Status: message({ message: ['string', 2], code: ['int32', 3] }),
    KeyValue: message({ key: ['string', 1], value: ['AnyValue', 2] }),
    AnyValue: oneOf({
      stringValue: ['string', 1],
      boolValue: ['bool', 2],
      intValue: ['int64', 3],
      doubleValue: ['double', 4],
      arrayValue: ['ArrayValue', 5],
      kvlistValue: ['KeyValueList', 6],
      bytesValue: ['bytes', 7],
    }),
    ArrayValue: message({ values: ['*AnyValue', 1] }),
    KeyValueList: message({ values: ['*KeyValue', 1] }),
  },
  'Request',
);

export const RESPONSE: protobuf.Type = lookUp(
  {
    Response: message({ partialSuccess: ['PartialSuccess', 1] }),
    PartialSuccess: message({ rejectedSpans: ['int64', 1], errorMessage: ['string', 2] }),
  },
  'Response',
);
