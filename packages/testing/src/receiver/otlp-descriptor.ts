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

const lookUp = (types: Record<string, protobuf.IType>, name: string): protobuf.Type =>
  protobuf.Root.fromJSON({ nested: types }).lookupType(name);

/**
 * An `ExportTraceServiceRequest` of which only the ids are read; protobuf skips the fields that a descriptor does not
 * name, so counting stays cheap.
 */
export const REQUEST_IDS: protobuf.Type = lookUp(
  {
    Request: message({ resourceSpans: ['*ResourceSpans', 1] }),
    ResourceSpans: message({ scopeSpans: ['*ScopeSpans', 2] }),
    ScopeSpans: message({ spans: ['*Span', 2] }),
    Span: message({ traceId: ['bytes', 1], spanId: ['bytes', 2] }),
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
