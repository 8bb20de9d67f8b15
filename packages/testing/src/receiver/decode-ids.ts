import { REQUEST_IDS } from './otlp-descriptor.js';

export type BodyFormat = 'protobuf' | 'json';

interface RequestIds<Id> {
  readonly resourceSpans?: readonly {
    readonly scopeSpans?: readonly { readonly spans?: readonly { readonly traceId?: Id; readonly spanId?: Id }[] }[];
  }[];
}

/** The keys of the spans in an `ExportTraceServiceRequest`, in order. Throws when the body is none. */
export function decodeSpanKeys(body: Uint8Array, format: BodyFormat): string[] {
  if (format === 'json') {
    return collect(JSON.parse(new TextDecoder().decode(body)) as RequestIds<string>, (id) => id.toLowerCase());
  }
  return collect(REQUEST_IDS.decode(body) as unknown as RequestIds<Uint8Array>, toHex);
}

function collect<Id>({ resourceSpans = [] }: RequestIds<Id>, hexOf: (id: Id) => string): string[] {
  const keys: string[] = [];
  for (const { scopeSpans = [] } of resourceSpans) {
    for (const { spans = [] } of scopeSpans) {
      for (const { traceId, spanId } of spans) {
        if (traceId === undefined || spanId === undefined) throw new Error('a span without ids');
        keys.push(hexOf(traceId) + hexOf(spanId));
      }
    }
  }
  return keys;
}

const toHex = (id: Uint8Array): string => Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('hex');
