import type { SpanContext } from '@opentelemetry/api';
import type { Lane } from '../lane.js';
import type { Link, ReadableSpan, TimedEvent } from '../sdk-types.js';
import { MAX_ELEMENTS } from './any-value-writer.js';
import { SPAN_ID_BYTES, TRACE_ID_BYTES, UnreadableSpanError, writeId } from './ids.js';
import { nameOf } from './names.js';
import { copyPattern } from './pattern.js';
import { readableSpan } from './readable-span.js';
import { FIXED_PARTS, TraceWriter } from './trace-writer.js';

// Tags: field number × 8 + wire type.
const SPANS = 0x12; // ScopeSpans.spans
const TRACE_ID = 0x0a;
const SPAN_ID = 0x12;
const NAME = 0x2a;
const KIND = 0x30;
const START_TIME = 0x39;
const END_TIME = 0x41;
const ATTRIBUTES = 0x4a;
const DROPPED_ATTRIBUTES = 0x50;
const EVENTS = 0x5a;
const DROPPED_EVENTS = 0x60;
const LINKS = 0x6a;
const DROPPED_LINKS = 0x70;
const STATUS = 0x7a;
const FLAGS = 0x85; // and 0x01: field 16
const STATUS_MESSAGE = 0x12;
const STATUS_CODE = 0x18;
const EVENT_TIME = 0x09;
const EVENT_NAME = 0x12;
const EVENT_ATTRIBUTES = 0x1a;
const EVENT_DROPPED = 0x20;
const LINK_ATTRIBUTES = 0x22;
const LINK_DROPPED = 0x28;
const LINK_FLAGS = 0x35;

const STATUS_ERROR = 2;
const UNSET = { code: 0 };
// Span.flags, above the W3C trace flags.
const HAS_IS_REMOTE = 0x100;
const IS_REMOTE = 0x200;

// Places in `millis`.
export const START = 0;
export const END = 1;
const OF_EVENT = 2;

/** Nearly every span takes from 128 to 16,383 bytes, and its length two. */
const SPAN_LENGTH_SIZE = 2;

/** A span of the SDK counts its attributes; nothing says that it will go on to. */
type Counting = ReadableSpan & { readonly _attributesCount?: number };

/**
 * Writes spans one after the other, each as a field of ScopeSpans, in the order of the fields' numbers; so trace id and
 * span id come first. By the rules of NORMALISE.md every span can be written that has ids.
 */
export class SpanWriter extends TraceWriter {
  /** Of the last span, as it was written. */
  lane: Lane = 'rest';
  /** Likewise: its start and its end. */
  readonly millis: Float64Array = Float64Array.of(0, 0, 0);

  /** Appends a span. Throws an `UnreadableSpanError`, and appends nothing, when it has no ids. */
  span(span: ReadableSpan): void {
    const start = this.position;
    try {
      this.write(span);
    } catch {
      this.position = start;
      this.within.length = 0;
      this.writeCarefully(span, start);
    }
  }

  private writeCarefully(span: ReadableSpan, start: number): void {
    this.careful = true;
    try {
      this.write(readableSpan(span));
    } catch (cause) {
      this.position = start;
      throw new UnreadableSpanError({ cause });
    } finally {
      this.careful = false;
    }
  }

  private write(span: ReadableSpan): void {
    this.leftOut = 0;
    this.elementsLeft = MAX_ELEMENTS;
    const { parentSpanContext, events, links, status } = span;
    this.reserve(FIXED_PARTS);
    const start = this.position + 1;
    const context = span.spanContext();
    this.ids(context);
    if (context.traceState) this.traceState(context.traceState);
    const parentSpanId = parentSpanContext?.spanId;
    const hasParent = parentSpanId ? this.parentSpanId(parentSpanId) : false;
    this.name(NAME, span.name);
    this.kindAndTimes(span);
    this.attributes(ATTRIBUTES, span.attributes, (span as Counting)._attributesCount);
    this.count(DROPPED_ATTRIBUTES, span.droppedAttributesCount, this.leftOut);
    if (events) for (let i = 0; i < events.length; i++) this.event(events[i]!);
    this.count(DROPPED_EVENTS, span.droppedEventsCount, 0);
    const leftOut = links && links.length > 0 ? this.links(links) : 0;
    this.count(DROPPED_LINKS, span.droppedLinksCount, leftOut);
    this.status(status ?? UNSET);
    this.flags(flagsOf(context.traceFlags, parentSpanContext?.isRemote));
    this.end(start, SPAN_LENGTH_SIZE);
    // As it can be read from the flags that have just been written.
    const isLocalRoot = !hasParent || Boolean(parentSpanContext?.isRemote);
    this.lane = status?.code === STATUS_ERROR ? 'errors' : isLocalRoot ? 'localRoots' : 'rest';
  }

  /** The tag of the span, a place for its length, and its ids. There is room. */
  private ids({ traceId, spanId }: SpanContext): void {
    const { bytes, position: at } = this;
    bytes[at] = SPANS;
    bytes[at + 3] = TRACE_ID;
    bytes[at + 4] = TRACE_ID_BYTES;
    this.traceId(traceId, at + 5);
    bytes[at + 21] = SPAN_ID;
    bytes[at + 22] = SPAN_ID_BYTES;
    writeId(bytes, at + 23, spanId, SPAN_ID_BYTES);
    this.position = at + 31;
  }

  private kindAndTimes({ kind, startTime, endTime }: ReadableSpan): void {
    const { bytes } = this;
    let { position: at } = this;
    if (kind === 0 || kind === 1 || kind === 2 || kind === 3 || kind === 4) {
      bytes[at] = KIND;
      bytes[at + 1] = kind + 1;
      at += 2;
    }
    bytes[at] = START_TIME;
    this.time(startTime, at + 1, this.millis, START);
    bytes[at + 9] = END_TIME;
    this.time(endTime, at + 10, this.millis, END);
    this.position = at + 18;
  }

  private flags(flags: number): void {
    this.reserve(6);
    const { bytes, position: at } = this;
    bytes[at] = FLAGS;
    bytes[at + 1] = 0x01;
    this.view.setUint32(at + 2, flags, true);
    this.position = at + 6;
  }

  /** Leaves room for what has a fixed size. */
  private name(tag: number, text: string): void {
    if (text === '') return;
    const name = typeof text === 'string' ? nameOf(text) : undefined;
    if (name === undefined) {
      this.byte(tag);
      this.text(text);
      this.reserve(FIXED_PARTS);
      return;
    }
    const { position: at } = this;
    copyPattern(name.pattern, name.length, this.view, at);
    this.bytes[at] = tag;
    this.position = at + name.length;
  }

  private event(event: TimedEvent): void {
    const { name, attributes } = event;
    this.leftOut = 0;
    this.reserve(FIXED_PARTS);
    const { bytes, position: at } = this;
    const start = at + 1;
    bytes[at] = EVENTS;
    bytes[at + 2] = EVENT_TIME;
    this.time(event.time, at + 3, this.millis, OF_EVENT);
    this.position = at + 11;
    this.name(EVENT_NAME, name);
    this.attributes(EVENT_ATTRIBUTES, attributes);
    this.count(EVENT_DROPPED, event.droppedAttributesCount, this.leftOut);
    this.end(start, 1);
  }

  /** Returns how many were left out. */
  private links(links: readonly Link[]): number {
    let leftOut = 0;
    for (let i = 0; i < links.length; i++) {
      const { position } = this;
      try {
        this.link(links[i]!);
      } catch (error) {
        if (!(error instanceof UnreadableSpanError)) throw error;
        this.position = position;
        leftOut++;
      }
    }
    return leftOut;
  }

  private link({ context, attributes, droppedAttributesCount }: Link): void {
    this.leftOut = 0;
    this.reserve(FIXED_PARTS);
    this.byte(LINKS);
    const start = this.begin(1);
    this.byte(TRACE_ID);
    this.byte(TRACE_ID_BYTES);
    this.id(context.traceId, TRACE_ID_BYTES);
    this.byte(SPAN_ID);
    this.byte(SPAN_ID_BYTES);
    this.id(context.spanId, SPAN_ID_BYTES);
    if (context.traceState) this.traceState(context.traceState);
    this.attributes(LINK_ATTRIBUTES, attributes);
    this.count(LINK_DROPPED, droppedAttributesCount, this.leftOut);
    this.reserve(8);
    this.byte(LINK_FLAGS);
    this.fixed32(flagsOf(context.traceFlags, context.isRemote));
    this.end(start, 1);
  }

  private status({ code, message }: ReadableSpan['status']): void {
    this.reserve(FIXED_PARTS);
    if (code !== 1 && code !== 2 && (message === undefined || message === '')) {
      const { bytes, position: at } = this;
      bytes[at] = STATUS;
      bytes[at + 1] = 0;
      this.position = at + 2;
      return;
    }
    this.byte(STATUS);
    const start = this.begin(1);
    if (message !== undefined && message !== '') {
      this.byte(STATUS_MESSAGE);
      this.text(message);
      this.reserve(FIXED_PARTS);
    }
    if (code === 1 || code === 2) {
      this.byte(STATUS_CODE);
      this.byte(code);
    }
    this.end(start, 1);
  }

  private count(tag: number, count: number | undefined, more: number): void {
    if (!count && more === 0) return;
    const total = Math.min((isCount(count) ? Math.floor(count) : 0) + more, MAX_COUNT);
    if (total === 0) return;
    this.reserve(8);
    this.byte(tag);
    this.varint(total);
  }
}

const MAX_COUNT = 2 ** 32 - 1;
const isCount = (count: unknown): count is number => typeof count === 'number' && count >= 1;

function flagsOf(traceFlags: number, isRemote: boolean | undefined): number {
  const flags = typeof traceFlags === 'number' ? traceFlags & 0xff : 0;
  return flags | (isRemote ? HAS_IS_REMOTE | IS_REMOTE : HAS_IS_REMOTE);
}
