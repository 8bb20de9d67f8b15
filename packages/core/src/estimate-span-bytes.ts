import { Buffer } from 'node:buffer';
import type { TraceState } from '@opentelemetry/api';
import { MAX_DEPTH, MAX_ELEMENTS } from './otlp/any-value-writer.js';
import { SpanWriter } from './otlp/span-writer.js';
import { unlessThrown } from './otlp/unless-thrown.js';
import type { Attributes, InstrumentationScope, Link, ReadableSpan, Resource, TimedEvent } from './sdk-types.js';

/**
 * The bytes one span adds to an OTLP protobuf request: its `Span` message with tag and length. What the request
 * carries once for many spans, the resource and the scope, is the envelope: see {@link estimateEnvelopeBytes}.
 *
 * Within 20 % of what `encodeSpans` writes, and of what the stock serializer does, which writes zero counts too; but
 * that one writes nothing where a bigint is beyond 64 bits, of which we write every digit. It runs for every span that
 * ends, so it allocates nothing of its own. It never throws: a span that cannot be read as it is
 * gets encoded, and one of which that cannot be done counts as 1 KiB.
 */
export function estimateSpanBytes(span: ReadableSpan): number {
  try {
    return delimited(spanLength(span));
  } catch {
    return encodedLength(span);
  }
}

/**
 * The bytes of a request of these spans besides the spans: every distinct resource once, every distinct scope once
 * per resource (by identity, as encoders group them). A resource whose asynchronous attributes are pending counts
 * without attributes, since they must not be read yet.
 */
export function estimateEnvelopeBytes(spans: readonly ReadableSpan[]): number {
  const seen = new Map<Resource, Set<InstrumentationScope>>();
  let last: { readonly resource: Resource; readonly scope: InstrumentationScope } | undefined;
  let bytes = 0;
  for (const span of spans) {
    const resource = unlessThrown(() => span.resource) as Resource;
    const scope = unlessThrown(() => span.instrumentationScope) as InstrumentationScope;
    if (last !== undefined && last.resource === resource && last.scope === scope) continue;
    last = { resource, scope };
    let scopes = seen.get(resource);
    if (!scopes) {
      scopes = new Set();
      seen.set(resource, scopes);
      bytes += GROUP_FRAME_BYTES + lengthOrNone(() => resourceLength(resource));
    }
    if (scopes.has(scope)) continue;
    scopes.add(scope);
    bytes += GROUP_FRAME_BYTES + lengthOrNone(() => scopeLength(scope));
  }
  return bytes;
}

const UNREADABLE_SPAN_BYTES = 1_024;
/** Tag and length of a ResourceSpans or ScopeSpans: 2 bytes up to 127, 4 up to 2 MiB. */
const GROUP_FRAME_BYTES = 3;
/** Trace flags are a fixed32, the times are fixed64; tags up to field 15 take one byte. */
const FIXED32 = 5;
const FIXED64 = 9;
/** Ids have their size on the wire, however they are given. */
const TRACE_ID = 18;
const SPAN_ID = 10;
/** The status and its code. */
const STATUS = 2;
/** A double, and the range in which the SDK's serializer writes an integer as int64. */
const TWO_TO_63 = 2 ** 63;

let elementsLeft = MAX_ELEMENTS;
/** The containers around the value that is being measured. */
const within: object[] = [];

function spanLength(span: ReadableSpan): number {
  elementsLeft = MAX_ELEMENTS;
  const { events, links, status, kind } = span;
  let length =
    TRACE_ID +
    SPAN_ID +
    (span.parentSpanContext?.spanId ? SPAN_ID : 0) +
    traceStateLength(span.spanContext().traceState) +
    textLengthUnlessEmpty(span.name) +
    (kind >= 0 && kind <= 4 ? 2 : 0) +
    2 * FIXED64 +
    attributesLength(span.attributes) +
    countLength(span.droppedAttributesCount) +
    countLength(span.droppedEventsCount) +
    countLength(span.droppedLinksCount) +
    delimited(STATUS + (status.message === undefined ? 0 : textLengthUnlessEmpty(status.message))) +
    1 +
    FIXED32;
  for (let i = 0; i < events.length; i++) length += eventLength(events[i]!);
  for (let i = 0; i < links.length; i++) length += linkLength(links[i]!);
  return length;
}

function eventLength({ name, attributes, droppedAttributesCount }: TimedEvent): number {
  return delimited(
    FIXED64 + textLengthUnlessEmpty(name) + attributesLength(attributes) + countLength(droppedAttributesCount),
  );
}

function linkLength({ context, attributes, droppedAttributesCount }: Link): number {
  // Links are few, and one without ids is left out.
  if (!isId(context.traceId, 32) || !isId(context.spanId, 16)) throw new TypeError('not a link');
  return delimited(
    TRACE_ID +
      SPAN_ID +
      traceStateLength(context.traceState) +
      attributesLength(attributes) +
      countLength(droppedAttributesCount) +
      FIXED32,
  );
}

function isId(id: unknown, digits: number): boolean {
  return typeof id === 'string' && id.length <= digits && /^[\da-f]+$/i.test(id);
}

function resourceLength({ attributes, asyncAttributesPending, schemaUrl }: Resource): number {
  return delimited(asyncAttributesPending ? 0 : attributesLength(attributes)) + (schemaUrl ? textLength(schemaUrl) : 0);
}

function scopeLength({ name, version, schemaUrl, attributes }: InstrumentationScope): number {
  const scope = delimited(
    textLengthUnlessEmpty(name) + (version ? textLength(version) : 0) + attributesLength(attributes),
  );
  return scope + (schemaUrl ? textLength(schemaUrl) : 0);
}

/** Of a span that has something odd in it. */
function encodedLength(span: ReadableSpan): number {
  within.length = 0;
  try {
    const writer = new SpanWriter();
    writer.span(span);
    return writer.position;
  } catch {
    return UNREADABLE_SPAN_BYTES;
  }
}

// `for in` with this very check is what V8 turns into a walk over the hidden class, without a list of keys.
const isOwn = Object.prototype.hasOwnProperty;

function attributesLength(attributes: Attributes | undefined): number {
  let length = 0;
  if (typeof attributes !== 'object') return length;
  for (const key in attributes) {
    if (isOwn.call(attributes, key)) length += keyValueLength(key, attributes[key]);
  }
  return length;
}

function keyValueLength(key: string, value: unknown): number {
  return delimited(keyLength(key) + delimited(valueLength(value)));
}

/** The length of an AnyValue; values that OTLP cannot express are empty ones. */
function valueLength(value: unknown): number {
  switch (typeof value) {
    case 'string':
      return textLength(value);
    case 'number':
      return Number.isInteger(value) && value >= -TWO_TO_63 && value < TWO_TO_63 ? 1 + varintSize(value) : FIXED64;
    case 'boolean':
      return 2;
    case 'bigint':
      return BigInt.asIntN(64, value) === value ? 1 + varintSize(Number(value)) : textLength(String(value));
    case 'object':
      return value === null ? 0 : containerLength(value);
    default:
      return 0;
  }
}

// Attribute values may be nested, and even contain themselves.
function containerLength(value: object): number {
  if (value instanceof Uint8Array) return delimited(value.byteLength);
  if (within.length >= MAX_DEPTH || within.includes(value)) return 0;
  within.push(value);
  let length = 0;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length && elementsLeft-- > 0; i++) length += delimited(valueLength(value[i]));
  } else {
    for (const key in value) {
      if (!isOwn.call(value, key)) continue;
      if (elementsLeft-- <= 0) break;
      length += keyValueLength(key, (value as Attributes)[key]);
    }
  }
  within.pop();
  return delimited(length);
}

// Attribute keys are few in any one program, so their sizes are looked up. Nothing enforces that: the cache is capped.
const MAX_CACHED_KEYS = 2_000;
const keyLengths = new Map<string, number>();

function keyLength(key: string): number {
  const known = keyLengths.get(key);
  if (known !== undefined) return known;
  const length = textLength(key);
  if (keyLengths.size < MAX_CACHED_KEYS) keyLengths.set(key, length);
  return length;
}

// Serializing a trace state allocates, and the spans of a local trace share one object and mostly end together.
let lastTraceState: TraceState | undefined;
let lastTraceStateLength = 0;

function traceStateLength(traceState: TraceState | undefined): number {
  if (!traceState) return 0;
  if (traceState !== lastTraceState) {
    const serialized = traceState.serialize();
    lastTraceStateLength = serialized ? textLength(serialized) : 0;
    lastTraceState = traceState;
  }
  return lastTraceStateLength;
}

// Measured: a call into Buffer costs what reading ten characters here would. It counts a lone surrogate as the three
// bytes of U+FFFD, as encoders write it.
const { byteLength } = Buffer;

const textLength = (text: string): number => delimited(byteLength(text));
const textLengthUnlessEmpty = (text: string): number => (text === '' ? 0 : textLength(text));
const countLength = (count: number | undefined): number => 1 + (count && count > 0 ? varintSize(count) : 1);

/** A length-delimited field: tag, length, and `length` bytes. */
const delimited = (length: number): number => 1 + varintSize(length) + length;

function varintSize(value: number): number {
  if (value < 0) return 10;
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  if (value < 0x1000_0000) return 4;
  let size = 5;
  for (let limit = 2 ** 35; value >= limit && size < 10; limit *= 128) size++;
  return size;
}

function lengthOrNone(measure: () => number): number {
  elementsLeft = MAX_ELEMENTS;
  within.length = 0;
  try {
    return measure();
  } catch {
    return 0;
  }
}
