import type { BodyFormat } from './door.js';
import { REQUEST } from './otlp-descriptor.js';
import type { ReceivedAttributes, ReceivedSpan } from './received-span.js';

/** The spans in an `ExportTraceServiceRequest`, in order. Throws when the body is none. */
export function decodeSpans(body: Uint8Array, format: BodyFormat): ReceivedSpan[] {
  const spans: ReceivedSpan[] = [];
  for (const { resource, scopeSpans = [], schemaUrl = '' } of readRequest(body, format).resourceSpans ?? []) {
    const readResource = { attributes: attributesOf(resource?.attributes), schemaUrl };
    for (const { scope, spans: wireSpans = [], schemaUrl: scopeSchemaUrl = '' } of scopeSpans) {
      const readScope = {
        name: scope?.name ?? '',
        version: scope?.version ?? '',
        attributes: attributesOf(scope?.attributes),
        schemaUrl: scopeSchemaUrl,
      };
      for (const span of wireSpans) spans.push({ ...readSpan(span), resource: readResource, scope: readScope });
    }
  }
  return spans;
}

// The shape that OTLP/JSON has, and protobufjs makes of protobuf: int64 as a string or a number.
type Id = string | Uint8Array;
interface WireValue {
  readonly stringValue?: string;
  readonly boolValue?: boolean;
  readonly intValue?: string | number;
  readonly doubleValue?: number;
  readonly arrayValue?: { readonly values?: readonly WireValue[] };
  readonly kvlistValue?: { readonly values?: readonly WireKeyValue[] };
  /** Base64 in JSON. */
  readonly bytesValue?: Id;
}
interface WireKeyValue {
  readonly key: string;
  readonly value?: WireValue;
}
interface WireAttributes {
  readonly attributes?: readonly WireKeyValue[];
  readonly droppedAttributesCount?: number;
}
interface WireLink extends WireAttributes {
  readonly traceId?: Id;
  readonly spanId?: Id;
  readonly traceState?: string;
  readonly flags?: number;
}
interface WireSpan extends WireLink {
  readonly parentSpanId?: Id;
  readonly name?: string;
  readonly kind?: number;
  readonly startTimeUnixNano?: string | number;
  readonly endTimeUnixNano?: string | number;
  readonly events?: readonly (WireAttributes & { readonly timeUnixNano?: string | number; readonly name?: string })[];
  readonly droppedEventsCount?: number;
  readonly links?: readonly WireLink[];
  readonly droppedLinksCount?: number;
  readonly status?: { readonly code?: number; readonly message?: string };
}
interface WireRequest {
  readonly resourceSpans?: readonly {
    readonly resource?: WireAttributes;
    readonly scopeSpans?: readonly {
      readonly scope?: WireAttributes & { readonly name?: string; readonly version?: string };
      readonly spans?: readonly WireSpan[];
      readonly schemaUrl?: string;
    }[];
    readonly schemaUrl?: string;
  }[];
}

function readRequest(body: Uint8Array, format: BodyFormat): WireRequest {
  if (format === 'json') return JSON.parse(new TextDecoder().decode(body)) as WireRequest;
  return REQUEST.toObject(REQUEST.decode(body), { longs: String }) as WireRequest;
}

function readSpan(span: WireSpan): Omit<ReceivedSpan, 'resource' | 'scope'> {
  const { events = [], links = [] } = span;
  return {
    ...readLink(span),
    parentSpanId: toHex(span.parentSpanId),
    name: span.name ?? '',
    kind: span.kind ?? 0,
    startTimeUnixNano: String(span.startTimeUnixNano ?? 0),
    endTimeUnixNano: String(span.endTimeUnixNano ?? 0),
    events: events.map(({ timeUnixNano = 0, name = '', attributes, droppedAttributesCount = 0 }) => ({
      timeUnixNano: String(timeUnixNano),
      name,
      attributes: attributesOf(attributes),
      droppedAttributesCount,
    })),
    droppedEventsCount: span.droppedEventsCount ?? 0,
    links: links.map(readLink),
    droppedLinksCount: span.droppedLinksCount ?? 0,
    status: { code: span.status?.code ?? 0, message: span.status?.message ?? '' },
  };
}

/** What a span and a link have in common. */
const readLink = ({
  traceId,
  spanId,
  traceState = '',
  flags = 0,
  attributes,
  droppedAttributesCount = 0,
}: WireLink) => ({
  traceId: toHex(traceId),
  spanId: toHex(spanId),
  traceState,
  flags,
  attributes: attributesOf(attributes),
  droppedAttributesCount,
});

const attributesOf = (pairs: readonly WireKeyValue[] = []): ReceivedAttributes =>
  Object.fromEntries(pairs.map(({ key, value }) => [key, value && readValue(value)]));

function readValue(value: WireValue): unknown {
  const { intValue, arrayValue, kvlistValue, bytesValue } = value;
  if (intValue !== undefined) return Number.isSafeInteger(Number(intValue)) ? Number(intValue) : BigInt(intValue);
  if (arrayValue) return (arrayValue.values ?? []).map(readValue);
  if (kvlistValue) return attributesOf(kvlistValue.values);
  if (typeof bytesValue === 'string') return Uint8Array.from(Buffer.from(bytesValue, 'base64'));
  if (bytesValue) return Uint8Array.from(bytesValue);
  return value.stringValue ?? value.boolValue ?? value.doubleValue;
}

const toHex = (id: Id = ''): string =>
  typeof id === 'string' ? id.toLowerCase() : Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('hex');
