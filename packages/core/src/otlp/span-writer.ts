import type { TraceState } from '@opentelemetry/api';
import type { Lane } from '../lane.js';
import type { Link, ReadableSpan, TimedEvent } from '../sdk-types.js';
import { MAX_ELEMENTS } from './any-value-writer.js';
import { AttributeWriter } from './attribute-writer.js';
import { SPAN_ID_BYTES, TRACE_ID_BYTES, UnreadableSpanError, writeId } from './ids.js';
import { delimited } from './key-field.js';
import { readableSpan } from './readable-span.js';
import { TextMemory } from './text-memory.js';
import { unlessThrown } from './unless-thrown.js';

import { copyWords } from './words.js';

// Tags: field number × 8 + wire type.
const SPANS = 0x12; // ScopeSpans.spans
const TRACE_ID = 0x0a;
const SPAN_ID = 0x12;
const TRACE_STATE = 0x1a;
const PARENT_SPAN_ID = 0x22;
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

/** Everything of a span whose size does not depend on it, at its longest. */
const FIXED_PARTS = 256;
/** Nearly every span takes from 128 to 16,383 bytes, and its length two. */
const SPAN_LENGTH_SIZE = 2;

const names = new TextMemory(128, (name) => {
  const field = delimited(NAME, name);
  return field.length < 0x80 ? field : undefined;
});

/**
 * Writes spans one after the other, each as a field of ScopeSpans, in the order of the fields' numbers; so trace id and
 * span id come first. By the rules of NORMALISE.md every span can be written that has ids.
 */
export class SpanWriter extends AttributeWriter {
  private readonly lastTraceId = new Uint8Array(TRACE_ID_BYTES);
  private lastTraceIdText = '';
  private readonly lastParent = new Uint32Array(2);
  private lastParentText = '';
  private lastTraceState: TraceState | undefined;
  private lastTraceStateText = '';
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
    this.byte(SPANS);
    const start = this.begin(SPAN_LENGTH_SIZE);
    const context = span.spanContext();
    this.traceId(context.traceId);
    this.byte(SPAN_ID);
    this.byte(SPAN_ID_BYTES);
    this.id(context.spanId, SPAN_ID_BYTES);
    if (context.traceState) this.traceState(context.traceState);
    const parentSpanId = parentSpanContext?.spanId;
    const hasParent = parentSpanId ? this.parentSpanId(parentSpanId) : false;
    this.name(span.name);
    this.reserve(FIXED_PARTS);
    const { kind } = span;
    if (kind === 0 || kind === 1 || kind === 2 || kind === 3 || kind === 4) {
      this.byte(KIND);
      this.byte(kind + 1);
    }
    this.byte(START_TIME);
    this.time(span.startTime, this.millis, START);
    this.byte(END_TIME);
    this.time(span.endTime, this.millis, END);
    this.attributes(ATTRIBUTES, span.attributes);
    this.count(DROPPED_ATTRIBUTES, span.droppedAttributesCount, this.leftOut);
    if (events) for (let i = 0; i < events.length; i++) this.event(events[i]!);
    this.count(DROPPED_EVENTS, span.droppedEventsCount, 0);
    const leftOut = links && links.length > 0 ? this.links(links) : 0;
    this.count(DROPPED_LINKS, span.droppedLinksCount, leftOut);
    this.status(status ?? UNSET);
    this.reserve(8);
    this.byte(FLAGS);
    this.byte(0x01);
    this.fixed32(flagsOf(context.traceFlags, parentSpanContext?.isRemote));
    this.end(start, SPAN_LENGTH_SIZE);
    // As it can be read from the flags that have just been written.
    const isLocalRoot = !hasParent || Boolean(parentSpanContext?.isRemote);
    this.lane = status?.code === STATUS_ERROR ? 'errors' : isLocalRoot ? 'localRoots' : 'rest';
  }

  /** Names are few: that is what they are for. */
  private name(name: string): void {
    const remembered = typeof name === 'string' ? names.get(name) : undefined;
    if (remembered !== undefined) {
      copyWords(this.view, remembered.words, this.position);
      this.position += remembered.length;
    } else if (name !== '') {
      this.byte(NAME);
      this.text(name);
    }
  }

  private traceId(id: string): void {
    this.byte(TRACE_ID);
    this.byte(TRACE_ID_BYTES);
    const { bytes, position, lastTraceId } = this;
    if (id === this.lastTraceIdText && id !== '') {
      for (let i = 0; i < TRACE_ID_BYTES; i++) bytes[position + i] = lastTraceId[i]!;
      this.position = position + TRACE_ID_BYTES;
      return;
    }
    this.lastTraceIdText = '';
    this.id(id, TRACE_ID_BYTES);
    for (let i = 0; i < TRACE_ID_BYTES; i++) lastTraceId[i] = bytes[position + i]!;
    this.lastTraceIdText = id;
  }

  /** Throws when these are not hexadecimal digits, at most so many. */
  private id(id: string, size: number): void {
    writeId(this.bytes, this.position, id, size);
    this.position += size;
  }

  /** Whether it could be read: a span without its parent is worth more than none. */
  private parentSpanId(id: string): boolean {
    const { view, position } = this;
    try {
      this.byte(PARENT_SPAN_ID);
      this.byte(SPAN_ID_BYTES);
      // Siblings mostly end one after the other.
      if (id === this.lastParentText) {
        view.setUint32(position + 2, this.lastParent[0]!);
        view.setUint32(position + 6, this.lastParent[1]!);
        this.position = position + 10;
      } else {
        // Cleared before, and set last: whatever throws in between, the text never stands for other bytes.
        this.lastParentText = '';
        this.id(id, SPAN_ID_BYTES);
        this.lastParent[0] = view.getUint32(position + 2);
        this.lastParent[1] = view.getUint32(position + 6);
        this.lastParentText = id;
      }
      return true;
    } catch {
      this.position = position;
      return false;
    }
  }

  /** Serializing one allocates, and the spans of a local trace share one object and mostly end together. */
  private traceState(traceState: TraceState): void {
    if (traceState !== this.lastTraceState) {
      this.lastTraceState = undefined;
      this.lastTraceStateText = serialized(traceState);
      this.lastTraceState = traceState;
    }
    if (this.lastTraceStateText === '') return;
    this.byte(TRACE_STATE);
    this.text(this.lastTraceStateText);
    this.reserve(FIXED_PARTS);
  }

  private event(event: TimedEvent): void {
    const { name, attributes } = event;
    this.leftOut = 0;
    this.reserve(FIXED_PARTS);
    this.byte(EVENTS);
    const start = this.begin(1);
    this.byte(EVENT_TIME);
    this.time(event.time, this.millis, OF_EVENT);
    if (name !== '') {
      this.byte(EVENT_NAME);
      this.text(name);
    }
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

function serialized(traceState: TraceState): string {
  const text: unknown = unlessThrown(() => traceState.serialize());
  return typeof text === 'string' ? text : '';
}
