import type { HrTime, SpanContext } from '@opentelemetry/api';
import type { InstrumentationScope, Link, ReadableSpan, Resource, TimedEvent } from '../sdk-types.js';
import { AttributesDecoder } from './attributes-decoder.js';
import { wholeMessages } from './request-frames.js';
import { FIXED32, FIXED64, FieldReader, LENGTH_DELIMITED, VARINT } from './wire.js';
import { WireTraceState } from './wire-trace-state.js';

/**
 * The spans of an OTLP `ExportTraceServiceRequest`, in order, as SDK exporters take them. The chunks, joined, are one
 * request. Spans of one `ResourceSpans` share their resource object, spans of one `ScopeSpans` their scope object.
 *
 * Nothing of the bytes is kept. Fields that are not known are stepped over, fields that repeat are merged as protobuf
 * has it, values are read by the rules of NORMALISE.md. Two things are not on the wire and are made up: the trace flags
 * of the parent, which are the span's own, and the duration, which is 0 where the end is before the start.
 *
 * Throws a `MalformedOtlpError` when the bytes are no such request.
 */
export function decodeSpans(bytes: Uint8Array | readonly Uint8Array[]): ReadableSpan[] {
  const spans: ReadableSpan[] = [];
  for (const message of wholeMessages(isChunks(bytes) ? bytes : [bytes])) {
    const request = new FieldReader(message);
    while (request.next()) if (request.is(1, LENGTH_DELIMITED)) readResourceSpans(request.message(), spans);
  }
  return spans;
}

const isChunks = (bytes: Uint8Array | readonly Uint8Array[]): bytes is readonly Uint8Array[] => Array.isArray(bytes);

type Writable<T> = { -readonly [K in keyof T]: T[K] };

// Fields may come in any order: a span is given a resource and a scope that may be read only after it.
function readResourceSpans(fields: FieldReader, spans: ReadableSpan[]): void {
  const decoder = new AttributesDecoder();
  const resource: Writable<Resource> = { attributes: decoder.attributes };
  while (fields.next()) {
    if (fields.is(1, LENGTH_DELIMITED)) readResource(fields.message(), decoder);
    else if (fields.is(2, LENGTH_DELIMITED)) readScopeSpans(fields.message(), resource, spans);
    else if (fields.is(3, LENGTH_DELIMITED)) resource.schemaUrl = fields.text();
  }
}

function readResource(fields: FieldReader, decoder: AttributesDecoder): void {
  while (fields.next()) if (fields.is(1, LENGTH_DELIMITED)) decoder.add(fields.message());
}

function readScopeSpans(fields: FieldReader, resource: Resource, spans: ReadableSpan[]): void {
  const decoder = new AttributesDecoder();
  const scope: Writable<InstrumentationScope> = { name: '' };
  while (fields.next()) {
    if (fields.is(1, LENGTH_DELIMITED)) readScope(fields.message(), scope, decoder);
    else if (fields.is(2, LENGTH_DELIMITED)) spans.push(readSpan(fields.message(), resource, scope));
    else if (fields.is(3, LENGTH_DELIMITED)) scope.schemaUrl = fields.text();
  }
}

function readScope(fields: FieldReader, scope: Writable<InstrumentationScope>, decoder: AttributesDecoder): void {
  while (fields.next()) {
    if (fields.is(1, LENGTH_DELIMITED)) scope.name = fields.text();
    else if (fields.is(2, LENGTH_DELIMITED)) scope.version = fields.text();
    else if (fields.is(3, LENGTH_DELIMITED)) {
      decoder.add(fields.message());
      scope.attributes = decoder.attributes;
    } else if (fields.is(4, VARINT)) scope.droppedAttributesCount = fields.uint32();
  }
}

function readSpan(fields: FieldReader, resource: Resource, instrumentationScope: InstrumentationScope): ReadableSpan {
  const context = new ContextDecoder();
  const decoder = new AttributesDecoder();
  const { attributes } = decoder;
  const links: Link[] = [];
  const events: TimedEvent[] = [];
  const status: Writable<ReadableSpan['status']> = { code: 0 };
  let name = '';
  let kind = 0;
  let parentSpanId = '';
  let startTime: HrTime = [0, 0];
  let endTime: HrTime = [0, 0];
  let droppedAttributesCount = 0;
  let droppedEventsCount = 0;
  let droppedLinksCount = 0;
  while (fields.next()) {
    if (fields.is(9, LENGTH_DELIMITED)) decoder.add(fields.message());
    else if (fields.is(1, LENGTH_DELIMITED)) context.traceId = fields.hex();
    else if (fields.is(2, LENGTH_DELIMITED)) context.spanId = fields.hex();
    else if (fields.is(3, LENGTH_DELIMITED)) context.traceState = fields.text();
    else if (fields.is(4, LENGTH_DELIMITED)) parentSpanId = fields.hex();
    else if (fields.is(5, LENGTH_DELIMITED)) name = fields.text();
    else if (fields.is(6, VARINT)) kind = fields.uint32();
    else if (fields.is(7, FIXED64)) startTime = fields.fixed64NanosAsHrTime();
    else if (fields.is(8, FIXED64)) endTime = fields.fixed64NanosAsHrTime();
    else if (fields.is(10, VARINT)) droppedAttributesCount = fields.uint32();
    else if (fields.is(11, LENGTH_DELIMITED)) events.push(readEvent(fields.message()));
    else if (fields.is(12, VARINT)) droppedEventsCount = fields.uint32();
    else if (fields.is(13, LENGTH_DELIMITED)) links.push(readLink(fields.message()));
    else if (fields.is(14, VARINT)) droppedLinksCount = fields.uint32();
    else if (fields.is(15, LENGTH_DELIMITED)) readStatus(fields.message(), status);
    else if (fields.is(16, FIXED32)) context.flags = fields.fixed32();
  }
  const spanContext = context.own();
  return {
    name,
    // What is unspecified, or from a later version, is no kind at all; SDK exporters write that as unspecified.
    kind: (kind >= 1 && kind <= MAX_KIND ? kind - 1 : undefined) as ReadableSpan['kind'],
    spanContext: () => spanContext,
    parentSpanContext: context.parent(parentSpanId),
    startTime,
    endTime,
    status,
    attributes,
    links,
    events,
    duration: durationOf(startTime, endTime),
    ended: true,
    resource,
    instrumentationScope,
    droppedAttributesCount: sum(droppedAttributesCount, decoder.leftOut),
    droppedEventsCount,
    droppedLinksCount,
  };
}

/** SPAN_KIND_CONSUMER. */
const MAX_KIND = 5;
/** STATUS_CODE_ERROR. */
const MAX_STATUS_CODE = 2;

function readStatus(fields: FieldReader, status: Writable<ReadableSpan['status']>): void {
  while (fields.next()) {
    if (fields.is(2, LENGTH_DELIMITED)) status.message = fields.text();
    else if (fields.is(3, VARINT)) status.code = fields.uint32() <= MAX_STATUS_CODE ? fields.uint32() : 0;
  }
}

function readEvent(fields: FieldReader): TimedEvent {
  const decoder = new AttributesDecoder();
  const { attributes } = decoder;
  let time: HrTime = [0, 0];
  let name = '';
  let dropped = 0;
  while (fields.next()) {
    if (fields.is(1, FIXED64)) time = fields.fixed64NanosAsHrTime();
    else if (fields.is(2, LENGTH_DELIMITED)) name = fields.text();
    else if (fields.is(3, LENGTH_DELIMITED)) decoder.add(fields.message());
    else if (fields.is(4, VARINT)) dropped = fields.uint32();
  }
  return { time, name, attributes, droppedAttributesCount: sum(dropped, decoder.leftOut) };
}

function readLink(fields: FieldReader): Link {
  const context = new ContextDecoder();
  const decoder = new AttributesDecoder();
  const { attributes } = decoder;
  let dropped = 0;
  while (fields.next()) {
    if (fields.is(1, LENGTH_DELIMITED)) context.traceId = fields.hex();
    else if (fields.is(2, LENGTH_DELIMITED)) context.spanId = fields.hex();
    else if (fields.is(3, LENGTH_DELIMITED)) context.traceState = fields.text();
    else if (fields.is(4, LENGTH_DELIMITED)) decoder.add(fields.message());
    else if (fields.is(5, VARINT)) dropped = fields.uint32();
    else if (fields.is(6, FIXED32)) context.flags = fields.fixed32();
  }
  return { context: context.linked(), attributes, droppedAttributesCount: sum(dropped, decoder.leftOut) };
}

// Above the W3C trace flags: "bit 8 and 9 represent the 3 states" of whether a span's parent, or a link, is remote.
const TRACE_FLAGS = 0xff;
const HAS_IS_REMOTE = 0x100;
const IS_REMOTE = 0x200;
const REMOTE = HAS_IS_REMOTE | IS_REMOTE;

/** Collects what makes a span context, of a Span or of a Link. */
class ContextDecoder {
  traceId = '';
  spanId = '';
  traceState = '';
  flags = 0;

  /** Of the span itself, of which nobody asks whether it is remote. */
  own(): SpanContext {
    const { traceId, spanId } = this;
    return { traceId, spanId, traceFlags: this.flags & TRACE_FLAGS, ...this.withTraceState() };
  }

  linked(): SpanContext {
    return { ...this.own(), ...this.withIsRemote() };
  }

  parent(spanId: string): SpanContext | undefined {
    // Without an id, but remote: what an encoder leaves of a parent whose id it could not write.
    if (spanId === '' && (this.flags & REMOTE) !== REMOTE) return undefined;
    return { traceId: this.traceId, spanId, traceFlags: this.flags & TRACE_FLAGS, ...this.withIsRemote() };
  }

  private withTraceState(): Pick<SpanContext, 'traceState'> {
    return this.traceState === '' ? {} : { traceState: new WireTraceState(this.traceState) };
  }

  private withIsRemote(): Pick<SpanContext, 'isRemote'> {
    return (this.flags & HAS_IS_REMOTE) === 0 ? {} : { isRemote: (this.flags & IS_REMOTE) !== 0 };
  }
}

function durationOf(start: HrTime, end: HrTime): HrTime {
  const seconds = end[0] - start[0];
  const nanos = end[1] - start[1];
  if (nanos < 0) return seconds > 0 ? [seconds - 1, nanos + 1e9] : [0, 0];
  return seconds >= 0 ? [seconds, nanos] : [0, 0];
}

const MAX_COUNT = 2 ** 32 - 1;
const sum = (dropped: number, leftOut: number): number => Math.min(dropped + leftOut, MAX_COUNT);
