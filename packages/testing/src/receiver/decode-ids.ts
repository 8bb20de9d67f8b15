import type { BodyFormat } from './door.js';
import { REQUEST_IDS } from './otlp-descriptor.js';

interface RequestIds<Id> {
  readonly resourceSpans?: readonly {
    readonly scopeSpans?: readonly { readonly spans?: readonly { readonly traceId?: Id; readonly spanId?: Id }[] }[];
  }[];
}

/** The key of every span in an `ExportTraceServiceRequest`, in order; too short where ids are missing. */
export function decodeSpanKeys(body: Uint8Array, format: BodyFormat): string[] {
  if (format === 'json') {
    return collect(JSON.parse(new TextDecoder().decode(body)) as RequestIds<string>, (id) => id.toLowerCase());
  }
  return collect(REQUEST_IDS.decode(body) as unknown as RequestIds<Uint8Array>, toHex);
}

function collect<Id>({ resourceSpans = [] }: RequestIds<Id>, hexOf: (id: Id) => string): string[] {
  const hexOrNothing = (id: Id | undefined) => (id === undefined ? '' : hexOf(id));
  const keys: string[] = [];
  for (const { scopeSpans = [] } of resourceSpans) {
    for (const { spans = [] } of scopeSpans) {
      for (const { traceId, spanId } of spans) keys.push(hexOrNothing(traceId) + hexOrNothing(spanId));
    }
  }
  return keys;
}

// What a request leaves out protobufjs reads as an empty array.
const toHex = (id: Uint8Array): string =>
  id.length === 0 ? '' : Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('hex');
