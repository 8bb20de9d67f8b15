import { inspect } from 'node:util';
import type { SpanContext } from '@opentelemetry/api';
import type { Attributes, InstrumentationScope, Link, ReadableSpan, Resource, TimedEvent } from '@otel-resilience/core';
import fc from 'fast-check';
import {
  arbitraryKey,
  arbitraryResource,
  arbitraryScope,
  arbitraryTraceState,
  arbitraryValue,
} from './arbitrary-spans.js';
import {
  CONTEXT_MEMBERS,
  EVENT_MEMBERS,
  LINK_MEMBERS,
  RESOURCE_MEMBERS,
  SCOPE_MEMBERS,
  SPAN_MEMBERS,
  STATUS_MEMBERS,
  withMember,
} from './hostile-members.js';
import { arbitraryHostileValue, arbitraryOddText, type Boxed } from './hostile-values.js';

/**
 * Many spans, cheaply: fast-check makes the parts, of which it is slow to make many, and a seed puts them together.
 * So a counterexample shrinks to few parts and few spans.
 */
export interface SpanMixOptions {
  readonly maxSpans?: number;
  /** Whatever an application can hand in, instead of what the types of the SDKs allow. Default false. */
  readonly hostile?: boolean;
}

export function arbitrarySpanMix({
  maxSpans = 150,
  hostile = false,
}: SpanMixOptions = {}): fc.Arbitrary<ReadableSpan[]> {
  const parts: fc.Arbitrary<Parts> = fc.record({
    seed: fc.integer(),
    count: fc.integer({ min: 0, max: maxSpans }),
    texts: fc.array(hostile ? arbitraryOddText : shortText, { minLength: 1, maxLength: 8 }),
    keys: fc.uniqueArray(arbitraryShortKey, { minLength: 1, maxLength: 12 }),
    values: fc.array(hostile ? fc.oneof(stockValue, arbitraryHostileValue) : stockValue, {
      minLength: 1,
      maxLength: 16,
    }),
    traceStates: fc.array(arbitraryTraceState, { minLength: 1, maxLength: 2 }),
    resources: fc.array(hostile ? hostileResource : arbitraryResource, { minLength: 1, maxLength: 3 }),
    scopes: fc.array(hostile ? hostileScope : arbitraryScope, { minLength: 1, maxLength: 3 }),
    oddities: hostile ? fc.array(fc.constantFrom(...ODDITIES), { maxLength: 12 }) : fc.constant([]),
  });
  return parts.map((chosen) => printable(new Mixer(chosen).spans(), chosen));
}

const shortText = fc.oneof(fc.string(), arbitraryOddText);
const stockValue: fc.Arbitrary<Boxed> = arbitraryValue(shortText).map((value) => ({ value }));
// Most attribute keys are short; one that is long, or not ASCII, comes about often enough.
const arbitraryShortKey = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom('http.request.method', 'url.path', 'enduser.id', 'a', 'b', '7', '__proto__'),
  },
  { weight: 2, arbitrary: arbitraryOddText.map((text) => text.slice(0, 80)) },
  arbitraryKey,
);

type Part = 'span' | 'context' | 'parent' | 'status' | 'event' | 'link' | 'linkContext';
interface Oddity {
  readonly part: Part;
  readonly name: string;
  readonly value: unknown;
}
const oddities = (part: Part, members: Readonly<Record<string, readonly unknown[]>>): Oddity[] =>
  Object.entries(members).flatMap(([name, values]) => values.map((value) => ({ part, name, value })));

/** Every way in which one member of a span can be odd. */
export const ODDITIES: readonly Oddity[] = [
  ...oddities('span', SPAN_MEMBERS),
  ...oddities('context', CONTEXT_MEMBERS),
  ...oddities('parent', CONTEXT_MEMBERS),
  ...oddities('status', STATUS_MEMBERS),
  ...oddities('event', EVENT_MEMBERS),
  ...oddities('link', LINK_MEMBERS),
  ...oddities('linkContext', CONTEXT_MEMBERS),
];

/** A span of which only this is odd. */
export function oddSpan(oddity: Oddity): ReadableSpan {
  const part = <T extends object>(name: Part, object: T): T => withOddities(object, name, [oddity]);
  const ids = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: '1'.repeat(16), traceFlags: 1 };
  const context = part('context', ids);
  const attributes = { key: 'value' };
  return part('span', {
    name: 'GET /orders',
    kind: 1,
    spanContext: () => context,
    parentSpanContext: part('parent', { ...ids, spanId: '2'.repeat(16) }),
    startTime: [1_700_000_000, 1],
    endTime: [1_700_000_001, 2],
    duration: [1, 1],
    ended: true,
    status: part('status', { code: 2, message: 'boom' }),
    attributes,
    links: [part('link', { context: part('linkContext', ids), attributes, droppedAttributesCount: 2 })],
    events: [part('event', { time: [1_700_000_000, 5], name: 'retry', attributes, droppedAttributesCount: 3 })],
    resource: { attributes: { 'service.name': 'shop' } },
    instrumentationScope: { name: 'scope' },
    droppedAttributesCount: 4,
    droppedEventsCount: 5,
    droppedLinksCount: 6,
  });
}

const oddMember = (members: Readonly<Record<string, readonly unknown[]>>) =>
  fc.constantFrom(...Object.entries(members).flatMap(([name, values]) => values.map((value) => ({ name, value }))));
const hostileResource = fc
  .tuple(arbitraryResource, oddMember(RESOURCE_MEMBERS), arbitraryHostileValue)
  .map(([resource, { name, value }, odd]) =>
    withMember({ ...resource, attributes: { ...resource.attributes, odd: odd.value, after: 1 } }, name, value),
  );
const hostileScope = fc
  .tuple(arbitraryScope, oddMember(SCOPE_MEMBERS))
  .map(([scope, { name, value }]) => withMember(scope, name, value));

interface Parts {
  readonly seed: number;
  readonly count: number;
  readonly texts: readonly string[];
  readonly keys: readonly string[];
  readonly values: readonly Boxed[];
  readonly traceStates: readonly SpanContext['traceState'][];
  readonly resources: readonly Resource[];
  readonly scopes: readonly InstrumentationScope[];
  readonly oddities: readonly Oddity[];
}

class Mixer {
  private readonly parts: Parts;
  private state: number;
  /** Spans of one trace mostly come one after the other, and children of one parent too. */
  private last: SpanContext | undefined;

  constructor(parts: Parts) {
    this.parts = parts;
    this.state = parts.seed;
  }

  spans(): ReadableSpan[] {
    return Array.from({ length: this.parts.count }, () => this.span());
  }

  private span(): ReadableSpan {
    const { texts, resources, scopes } = this.parts;
    const odd = this.chosenOddities();
    const context = withOddities(this.context(), 'context', odd);
    const span: ReadableSpan = {
      name: this.pick(texts),
      kind: this.below(5),
      spanContext: () => context,
      ...(this.below(3) > 0 ? { parentSpanContext: withOddities(this.context(), 'parent', odd) } : {}),
      startTime: this.time(),
      endTime: this.time(),
      status: withOddities(
        { code: this.below(3), ...(this.below(2) ? { message: this.pick(texts) } : {}) },
        'status',
        odd,
      ),
      attributes: this.attributes(),
      links: this.few(3, () => withOddities(this.link(odd), 'link', odd)),
      events: this.few(3, () => withOddities(this.event(), 'event', odd)),
      duration: [0, 0],
      ended: true,
      resource: this.pick(resources),
      instrumentationScope: this.pick(scopes),
      droppedAttributesCount: this.count(),
      droppedEventsCount: this.count(),
      droppedLinksCount: this.count(),
    };
    return withOddities(span, 'span', odd);
  }

  private event(): TimedEvent {
    const event = { time: this.time(), name: this.pick(this.parts.texts) };
    return this.below(2) ? { ...event, attributes: this.attributes(), droppedAttributesCount: this.count() } : event;
  }

  private link(odd: readonly Oddity[]): Link {
    const context = withOddities(this.context(), 'linkContext', odd);
    return this.below(2)
      ? { context, attributes: this.attributes(), droppedAttributesCount: this.count() }
      : { context };
  }

  private context(): SpanContext {
    const remote = this.below(3);
    const { last } = this;
    this.last = {
      traceId: last && this.below(2) ? last.traceId : this.hex(4),
      spanId: last && this.below(2) ? last.spanId : this.hex(2),
      traceFlags: this.below(256),
      ...(remote < 2 ? { isRemote: remote === 0 } : {}),
      ...(this.below(2) ? { traceState: this.pick(this.parts.traceStates) } : {}),
    };
    return this.last;
  }

  private attributes(): Attributes {
    const { keys, values, texts } = this.parts;
    const value = () => (this.below(3) > 0 ? this.pick(values).value : this.pick(texts));
    // As own properties, whatever their names: assignment would take one of them for the prototype.
    return Object.fromEntries(this.few(10, () => [this.pick(keys), value()]));
  }

  private time(): [number, number] {
    return [this.below(10) ? 1_700_000_000 + this.below(3) : this.below(2 ** 32), this.below(1e9)];
  }

  private count(): number {
    return this.below(4) ? 0 : this.below(4) ? this.below(300) : this.below(2 ** 32);
  }

  private hex(words: number): string {
    return Array.from({ length: words }, () =>
      this.below(2 ** 32)
        .toString(16)
        .padStart(8, '0'),
    ).join('');
  }

  private chosenOddities(): readonly Oddity[] {
    const { oddities } = this.parts;
    return oddities.length === 0 || this.below(3) === 0 ? [] : this.few(3, () => this.pick(oddities));
  }

  /** Up to so many, and often none. */
  private few<T>(most: number, make: () => T): T[] {
    return this.below(3) ? Array.from({ length: this.below(most + 1) }, make) : [];
  }

  private pick<T>(pool: readonly T[]): T {
    return pool[this.below(pool.length)]!;
  }

  /** mulberry32: https://gist.github.com/tommyettinger/46a874533244883189143505d203312c (public domain) */
  private below(bound: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound);
  }
}

function withOddities<T extends object>(object: T, part: Part, oddities: readonly Oddity[]): T {
  return oddities
    .filter((oddity) => oddity.part === part)
    .reduce((odd, { name, value }) => withMember(odd, name, value), object);
}

/** With the parts in place of the spans in fast-check's report; no getter is called for it. */
function printable(spans: ReadableSpan[], parts: Parts): ReadableSpan[] {
  return Object.defineProperty(spans, fc.toStringMethod, {
    value: () => inspect({ ...parts, spans: [...spans] }, { depth: 12, maxArrayLength: 5, maxStringLength: 100 }),
    enumerable: false,
  });
}
