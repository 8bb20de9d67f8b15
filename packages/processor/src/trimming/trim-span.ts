import type { SpanContext } from '@opentelemetry/api';
import type { Attributes, Link, ReadableSpan, TimedEvent } from '@otel-resilience/core';
import type { AttributeRules } from './attribute-rules.js';
import { cutValue } from './cut-value.js';

/** How much of a span is left at a level. */
export interface TrimLimits {
  /** UTF-16 units of a string, bytes of a byte array. */
  readonly maxValueLength: number;
  /** Events of a span; exceptions do not count and always stay. */
  readonly maxEvents: number;
}

/** What was trimmed. */
export interface TrimCounts {
  spans: number;
  /** Attributes removed, of spans, events and links. */
  attributes: number;
  /** Attributes whose value was cut. */
  values: number;
  events: number;
}

/**
 * The span with less in it: another object, since other processors see the same one, or the span itself when there is
 * nothing to trim. What is removed is added to its dropped counts. Throws what the span throws.
 */
export function trimSpan(
  span: ReadableSpan,
  { maxValueLength, maxEvents }: TrimLimits,
  rules: AttributeRules,
  counts: TrimCounts,
): ReadableSpan {
  const whole = { attributes: span.attributes, events: span.events, links: span.links };
  const trimmer = new Trimmer(maxValueLength, rules);
  const attributes = trimmer.attributes(whole.attributes);
  const ownRemoved = trimmer.removed;
  const events = trimmer.events(whole.events, maxEvents);
  const links = trimmer.links(whole.links);
  if (attributes === whole.attributes && events === whole.events && links === whole.links) return span;

  const eventsRemoved = events === whole.events ? 0 : whole.events.length - events.length;
  counts.spans++;
  counts.attributes += trimmer.removed;
  counts.values += trimmer.cut;
  counts.events += eventsRemoved;
  return new TrimmedSpan(span, { attributes, events, links }, ownRemoved, eventsRemoved);
}

/**
 * All that a `ReadableSpan` has. Not `Object.create(span, …)`: an object that is the prototype of another one gets a
 * hidden class of its own, which costs 10 µs per span here and wherever it is read; a trimmed span is to cost less than
 * a whole one, and not to keep that alive.
 */
class TrimmedSpan implements ReadableSpan {
  readonly name: string;
  readonly kind: ReadableSpan['kind'];
  readonly parentSpanContext?: SpanContext;
  readonly startTime: ReadableSpan['startTime'];
  readonly endTime: ReadableSpan['endTime'];
  readonly status: ReadableSpan['status'];
  readonly attributes: Attributes;
  readonly links: readonly Link[];
  readonly events: readonly TimedEvent[];
  readonly duration: ReadableSpan['duration'];
  readonly ended: boolean;
  readonly resource: ReadableSpan['resource'];
  readonly instrumentationScope: ReadableSpan['instrumentationScope'];
  readonly droppedAttributesCount: number;
  readonly droppedEventsCount: number;
  readonly droppedLinksCount: number;
  private readonly context: SpanContext;

  constructor(
    span: ReadableSpan,
    left: Pick<ReadableSpan, 'attributes' | 'events' | 'links'>,
    attributesRemoved: number,
    eventsRemoved: number,
  ) {
    this.context = span.spanContext();
    this.name = span.name;
    this.kind = span.kind;
    this.parentSpanContext = span.parentSpanContext!;
    this.startTime = span.startTime;
    this.endTime = span.endTime;
    this.status = span.status;
    this.attributes = left.attributes;
    this.links = left.links;
    this.events = left.events;
    this.duration = span.duration;
    this.ended = span.ended;
    this.resource = span.resource;
    this.instrumentationScope = span.instrumentationScope;
    this.droppedAttributesCount = (span.droppedAttributesCount || 0) + attributesRemoved;
    this.droppedEventsCount = (span.droppedEventsCount || 0) + eventsRemoved;
    this.droppedLinksCount = span.droppedLinksCount;
  }

  spanContext(): SpanContext {
    return this.context;
  }
}

/** One span's worth of trimming. Every method returns its very argument when there is nothing to trim. */
class Trimmer {
  removed = 0;
  cut = 0;
  private readonly maxValueLength: number;
  private readonly rules: AttributeRules;

  constructor(maxValueLength: number, rules: AttributeRules) {
    this.maxValueLength = maxValueLength;
    this.rules = rules;
  }

  attributes<T extends Attributes | undefined>(attributes: T): T {
    let copy: Record<string, unknown> | undefined;
    for (const key in attributes) {
      if (!isOwn.call(attributes, key)) continue;
      const rule = this.rules.ruleOf(key);
      if (rule === 'remove') {
        copy ??= before(attributes, key);
        this.removed++;
        continue;
      }
      const value = attributes[key];
      const left = rule === 'keep' ? value : cutValue(value, this.maxValueLength);
      if (!Object.is(left, value)) {
        copy ??= before(attributes, key);
        this.cut++;
      }
      if (copy) put(copy, key, left);
    }
    return (copy as T) ?? attributes;
  }

  /** The first `max` events, and every exception. */
  events(events: readonly TimedEvent[], max: number): readonly TimedEvent[] {
    if (!events || events.length === 0) return events;
    let others = 0;
    const kept = events.filter((event) => isException(event) || others++ < max);
    return this.each(kept.length < events.length ? kept : events);
  }

  links(links: readonly Link[]): readonly Link[] {
    return links ? this.each(links) : links;
  }

  /** Events or links, which are plain objects. */
  private each<T extends TimedEvent | Link>(items: readonly T[]): readonly T[] {
    let copy: T[] | undefined;
    for (let i = 0; i < items.length; i++) {
      const item = items[i]!;
      const removedBefore = this.removed;
      const attributes = this.attributes(item.attributes);
      if (attributes === item.attributes) continue;
      copy ??= items.slice();
      const removed = this.removed - removedBefore;
      copy[i] = { ...item, attributes, droppedAttributesCount: (item.droppedAttributesCount || 0) + removed };
    }
    return copy ?? items;
  }
}

function isException({ name, attributes }: TimedEvent): boolean {
  return name === 'exception' || attributes?.['exception.type'] !== undefined;
}

// `for in` with this very check is what V8 turns into a walk over the hidden class, without a list of keys.
const isOwn = Object.prototype.hasOwnProperty;

/** The attributes that come before `end`. */
function before(attributes: Attributes, end: string): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  for (const key in attributes) {
    if (key === end) break;
    if (isOwn.call(attributes, key)) put(copy, key, attributes[key]);
  }
  return copy;
}

function put(attributes: Record<string, unknown>, key: string, value: unknown): void {
  if (key !== '__proto__') attributes[key] = value;
  else Object.defineProperty(attributes, key, { value, enumerable: true, writable: true, configurable: true });
}
