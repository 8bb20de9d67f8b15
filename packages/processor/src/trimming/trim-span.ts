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
 * The span with less in it: a view, since other processors see the same object, or the span itself when there is
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

  const changed: PropertyDescriptorMap = {};
  if (attributes !== whole.attributes) changed.attributes = shown(attributes);
  if (events !== whole.events) changed.events = shown(events);
  if (links !== whole.links) changed.links = shown(links);
  if (ownRemoved > 0) changed.droppedAttributesCount = shown((span.droppedAttributesCount || 0) + ownRemoved);
  const eventsDropped = events === whole.events ? 0 : whole.events.length - events.length;
  if (eventsDropped > 0) changed.droppedEventsCount = shown((span.droppedEventsCount || 0) + eventsDropped);
  counts.spans++;
  counts.attributes += trimmer.removed;
  counts.values += trimmer.cut;
  counts.events += eventsDropped;
  return Object.create(span, changed);
}

const shown = (value: unknown): PropertyDescriptor => ({ value, enumerable: true });

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
