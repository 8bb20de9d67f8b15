import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base';
import type { Attributes, ReadableSpan, SpanProcessor } from '@otel-resilience/core';
import { AttributeTrimmingSpanProcessor, REQUIRED_ATTRIBUTES, VERBOSE_ATTRIBUTES } from '@otel-resilience/processor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arbitrarySpan } from '../support/arbitrary-spans.js';

class Collecting implements SpanProcessor {
  last!: ReadableSpan;
  onStart(): void {}
  onEnd(span: ReadableSpan): void {
    this.last = span;
  }
  async forceFlush(): Promise<void> {}
  async shutdown(): Promise<void> {}
}

const known = fc.constantFrom(
  ...REQUIRED_ATTRIBUTES,
  ...VERBOSE_ATTRIBUTES.map((pattern) => pattern.replace('*', 'x')),
  'app.kept',
  '__proto__',
);
const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 80 });
const knownAttributes = fc.uniqueArray(fc.tuple(known, fc.oneof(text, fc.array(text, { maxLength: 3 }), fc.double())), {
  selector: ([key]) => key,
  maxLength: 20,
});
/** Spans of every shape, of which some attributes are in our lists. */
const span: fc.Arbitrary<ReadableSpan> = fc
  .tuple(arbitrarySpan(), knownAttributes, knownAttributes, fc.boolean())
  .map(([base, own, ofEvent, isException]) => ({
    ...base,
    attributes: Object.fromEntries([...Object.entries(base.attributes), ...own]),
    events: [
      ...base.events,
      { time: [1, 0], name: isException ? 'exception' : 'other', attributes: Object.fromEntries(ofEvent) },
    ],
    spanContext: () => ({ ...base.spanContext(), traceFlags: 1 }),
  }));

const isKept = (key: string) => REQUIRED_ATTRIBUTES.includes(key) || key === 'app.kept';
const isVerbose = (key: string) =>
  !isKept(key) &&
  VERBOSE_ATTRIBUTES.some((pattern) =>
    pattern.endsWith('*') ? key.startsWith(pattern.slice(0, -1)) : key === pattern,
  );
const longest = (value: unknown): number => {
  if (typeof value === 'string' || value instanceof Uint8Array) return value.length;
  return typeof value === 'object' && value !== null ? Math.max(0, ...Object.values(value).map(longest)) : 0;
};
const copyOf = ({ attributes, events, links, droppedAttributesCount, droppedEventsCount }: ReadableSpan) =>
  structuredClone({ attributes, events, links, droppedAttributesCount, droppedEventsCount });
const serialized = (one: ReadableSpan) => ProtobufTraceSerializer.serializeRequest([one as never])!;

describe('whatever a span holds, and at every limit', () => {
  it('trimming changes no span, leaves what is required, counts what it takes, and what is left is a span', () => {
    const limits = fc.record({
      maxValueLength: fc.integer({ min: 1, max: 100 }),
      maxEvents: fc.integer({ min: 0, max: 6 }),
    });
    fc.assert(
      fc.property(span, limits, (whole, { maxValueLength, maxEvents }) => {
        const next = new Collecting();
        const trimming = new AttributeTrimmingSpanProcessor({
          next,
          controller: { level: 'moderate' },
          keepAttributes: ['app.kept'],
          spareErrors: false,
          maxValueLength,
          maxEvents,
        });
        const before = copyOf(whole);
        trimming.onEnd(whole);
        const left = next.last;
        const { trimmed } = trimming.stats();
        expect(copyOf(whole)).toEqual(before);
        expect(trimmed.spans).toBe(left === whole ? 0 : 1);

        let removed = 0;
        let cut = 0;
        const compare = (from: Attributes = {}, to: Attributes = {}): number => {
          const keys = Object.keys(from).filter((key) => !isVerbose(key));
          expect(Object.keys(to)).toEqual(keys);
          for (const key of keys) {
            if (isKept(key)) expect(to[key]).toBe(from[key]);
            else expect(longest(to[key])).toBeLessThanOrEqual(maxValueLength);
            if (!Object.is(to[key], from[key])) cut++;
          }
          removed += Object.keys(from).length - keys.length;
          return Object.keys(from).length - keys.length;
        };
        const ofSpan = compare(whole.attributes, left.attributes);
        expect(left.droppedAttributesCount).toBe(whole.droppedAttributesCount + ofSpan);

        let others = 0;
        const kept = whole.events.filter(
          ({ name, attributes }) =>
            name === 'exception' || attributes?.['exception.type'] !== undefined || others++ < maxEvents,
        );
        expect(left.events.map(({ name }) => name)).toEqual(kept.map(({ name }) => name));
        expect(left.droppedEventsCount).toBe(whole.droppedEventsCount + whole.events.length - kept.length);
        for (const [from, to] of [
          ...kept.map((event, i) => [event, left.events[i]!] as const),
          ...whole.links.map((link, i) => [link, left.links[i]!] as const),
        ]) {
          const ofItem = compare(from.attributes, to.attributes);
          expect(to.droppedAttributesCount ?? 0).toBe((from.droppedAttributesCount ?? 0) + ofItem);
        }
        expect(trimmed).toMatchObject({
          attributes: removed,
          values: cut,
          events: whole.events.length - kept.length,
        });

        // A dropped count takes up to five bytes where it was zero.
        const counts = 10 + 5 * (whole.events.length + whole.links.length);
        expect(serialized(left).byteLength).toBeLessThanOrEqual(serialized(whole).byteLength + counts);
        expect(left.spanContext()).toEqual(whole.spanContext());
      }),
      { numRuns: 300 },
    );
  });

  it('a span of the SDK is itself for every other processor', () => {
    const next = new Collecting();
    const other = new Collecting();
    const trimming = new AttributeTrimmingSpanProcessor({ next, controller: { level: 'heavy' } });
    const provider = new BasicTracerProvider({ spanProcessors: [trimming, other] as never });
    const attributes = { 'thread.id': 7, 'url.path': '/', 'db.query.text': 'SELECT 1; '.repeat(50) };
    const one = provider.getTracer('test').startSpan('one', { attributes });
    for (let i = 0; i < 10; i++) one.addEvent(`event ${i}`);
    one.end();
    expect(other.last).toBe(one);
    expect(other.last.attributes).toEqual(attributes);
    expect(other.last.events).toHaveLength(10);
    expect(other.last.droppedEventsCount).toBe(0);
    const { last } = next;
    expect(last.attributes).toEqual({ 'url.path': '/', 'db.query.text': attributes['db.query.text'].slice(0, 128) });
    expect([last.droppedAttributesCount, last.droppedEventsCount, last.events.length]).toEqual([1, 6, 4]);
    expect([last.ended, last.duration, last.resource]).toEqual([true, other.last.duration, other.last.resource]);
    expect(serialized(last).byteLength).toBeLessThan(serialized(other.last).byteLength);
  });
});
