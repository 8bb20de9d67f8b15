import protobuf from 'protobufjs/light.js';
import type { BodyFormat } from './door.js';

const TRACE_ID_BYTES = 16;
const SPAN_ID_BYTES = 8;

/** Trace id and span id. */
export const IDS_BYTES: number = TRACE_ID_BYTES + SPAN_ID_BYTES;

/**
 * The ids of every span in an `ExportTraceServiceRequest`, in order, `IDS_BYTES` each. Throws when the body is none, and
 * when a span has no valid ids.
 */
export function decodeIds(body: Uint8Array, format: BodyFormat): Uint8Array {
  return format === 'json' ? idsOfJson(new TextDecoder().decode(body)) : idsOfProtobuf(body);
}

/** `spanKey` of the span at `index`. */
export function keyAt(ids: Uint8Array, index: number): string {
  return toHex(ids.subarray(index * IDS_BYTES, (index + 1) * IDS_BYTES));
}

const toHex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');

// Field number << 3 | wire type 2. `spans` of ScopeSpans and `scopeSpans` of ResourceSpans are both field 2.
const RESOURCE_SPANS = 10;
const SCOPE_SPANS = 18;
const SPANS = 18;
const TRACE_ID = 10;
const SPAN_ID = 18;

/**
 * The library's reader, led by hand: no object for each message, so that a receiver bears 100,000 spans a second beside
 * the application that is measured.
 */
function idsOfProtobuf(body: Uint8Array): Uint8Array {
  const reader = protobuf.Reader.create(body);
  const ids = new IdsWriter(body);
  eachIn(reader, reader.len, RESOURCE_SPANS, (resourceEnd) =>
    eachIn(reader, resourceEnd, SCOPE_SPANS, (scopeEnd) =>
      eachIn(reader, scopeEnd, SPANS, (spanEnd) => {
        let traceId = NONE;
        let spanId = NONE;
        while (reader.pos < spanEnd) {
          const tag = reader.uint32();
          if (tag !== TRACE_ID && tag !== SPAN_ID) {
            reader.skipType(tag & 7);
            continue;
          }
          const length = reader.uint32();
          if (tag === TRACE_ID) traceId = length === TRACE_ID_BYTES ? reader.pos : NONE;
          else spanId = length === SPAN_ID_BYTES ? reader.pos : NONE;
          reader.skip(length);
        }
        ids.add(traceId, spanId);
      }),
    ),
  );
  return ids.take();
}

const NONE = -1;

/** Calls `visit` at the beginning of each length-delimited field `wanted`, up to `end`, and skips the other fields. */
function eachIn(reader: protobuf.Reader, end: number, wanted: number, visit: (end: number) => void): void {
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag !== wanted) {
      reader.skipType(tag & 7);
      continue;
    }
    const length = reader.uint32();
    const fieldEnd = reader.pos + length;
    if (fieldEnd > end) throw new RangeError(`a message of ${length} bytes where ${end - reader.pos} are left`);
    visit(fieldEnd);
    if (reader.pos !== fieldEnd) throw new RangeError('a field that reaches beyond its message');
  }
}

/** Copies ids out of a body. */
class IdsWriter {
  private readonly body: Uint8Array;
  private ids: Uint8Array;
  private byteLength = 0;

  constructor(body: Uint8Array) {
    this.body = body;
    this.ids = new Uint8Array(IDS_BYTES * Math.ceil(1 + body.byteLength / 400));
  }

  /** Where they begin in the body. */
  add(traceId: number, spanId: number): void {
    if (traceId === NONE || spanId === NONE) throw new Error('a span with the ids of a wrong length');
    if (this.byteLength === this.ids.byteLength) {
      const grown = new Uint8Array(2 * this.ids.byteLength);
      grown.set(this.ids);
      this.ids = grown;
    }
    const { body, ids, byteLength } = this;
    for (let i = 0; i < TRACE_ID_BYTES; i++) ids[byteLength + i] = body[traceId + i]!;
    const at = byteLength + TRACE_ID_BYTES;
    for (let i = 0; i < SPAN_ID_BYTES; i++) ids[at + i] = body[spanId + i]!;
    this.byteLength += IDS_BYTES;
  }

  take(): Uint8Array {
    return this.ids.subarray(0, this.byteLength);
  }
}

interface JsonRequest {
  readonly resourceSpans?: readonly {
    readonly scopeSpans?: readonly {
      readonly spans?: readonly { readonly traceId?: string; readonly spanId?: string }[];
    }[];
  }[];
}

const KEY = /^[0-9a-f]{48}$/i;

function idsOfJson(body: string): Uint8Array {
  const keys: string[] = [];
  for (const { scopeSpans = [] } of (JSON.parse(body) as JsonRequest).resourceSpans ?? []) {
    for (const { spans = [] } of scopeSpans) {
      for (const { traceId = '', spanId = '' } of spans) {
        const key = traceId + spanId;
        if (!KEY.test(key)) throw new Error(`a span with the ids '${key}'`);
        keys.push(key);
      }
    }
  }
  return Buffer.from(keys.join(''), 'hex');
}
