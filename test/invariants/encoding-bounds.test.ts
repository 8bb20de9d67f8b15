import { isDeepStrictEqual } from 'node:util';
import { decodeSpans, encodeSpans, type ReadableSpan, SpanBatch, SpanBatchBuilder } from '@otel-resilience/core';
import { fakeSpan } from '@otel-resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { normalise } from '../support/normalise.js';
import { decodeWireContent, RequestType, type WireSpan } from '../support/otlp-proto.js';

const attributes = (value: unknown) => ({ value }) as never;
const { traceId, spanId } = fakeSpan({ index: 1 }).spanContext();
const context = { traceId, spanId, traceFlags: 1 };

/** Where a text can be, so that it makes one length after the other longer, from its own to that of the request. */
const PLACES: Readonly<Record<string, (text: string) => ReadableSpan>> = {
  'the name': (text) => fakeSpan({ name: text }),
  'a span with nothing else': (text) =>
    fakeSpan({
      name: text,
      attributes: {},
      events: [],
      resource: { attributes: {} },
      instrumentationScope: { name: '' },
    }),
  'the status': (text) => fakeSpan({ status: { code: 2, message: text } }),
  'the trace state': (text) =>
    fakeSpan({
      traceState: { serialize: () => text, get: () => undefined, set: () => ({}), unset: () => ({}) } as never,
    }),
  'an attribute': (text) => fakeSpan({ attributes: attributes(text) }),
  'a key': (text) => fakeSpan({ attributes: { [text]: 1 } }),
  'a key of a text': (text) => fakeSpan({ attributes: { [text]: text.slice(0, 300) } }),
  'a list': (text) => fakeSpan({ attributes: attributes([1, text]) }),
  'a map': (text) => fakeSpan({ attributes: attributes({ key: text, [text]: true }) }),
  'a list in a map in a list': (text) => fakeSpan({ attributes: attributes([{ key: [text] }]) }),
  bytes: (text) => fakeSpan({ attributes: attributes(Buffer.from(text)) }),
  'an event': (text) => fakeSpan({ events: [{ time: [1, 2], name: text, attributes: { after: 1 } }] }),
  'an attribute of an event': (text) =>
    fakeSpan({ events: [{ time: [1, 2], name: '', attributes: attributes(text) }] }),
  'an attribute of a link': (text) => fakeSpan({ links: [{ context, attributes: attributes(text) }] }),
  'the resource': (text) => fakeSpan({ resource: { attributes: attributes(text), schemaUrl: text } }),
  'the scope': (text) => fakeSpan({ instrumentationScope: { name: text, version: text, schemaUrl: text } }),
};

/** Around 2^7 and 2^14, where a length takes a byte more; up to `below` before, for what is around the text. */
const lengths = (below: number): number[] =>
  [2 ** 7, 2 ** 14].flatMap((limit) => Array.from({ length: below + 3 }, (_, i) => limit - below + i));

describe('lengths', () => {
  it.each(Object.keys(PLACES))('are right wherever they take a byte more: a text in %s', (place) => {
    for (const [unit, size] of [
      ['x', 1],
      ['é', 2],
      ['😀', 4],
      ['\ud800', 3],
    ] as const) {
      const spans = new Set(lengths(127).map((length) => Math.ceil(length / size)));
      for (const count of size === 1 ? spans : [...spans].filter((n) => n % 3 === 0)) {
        const span = PLACES[place]!(unit.repeat(count));
        const bytes = encodeSpans([span]);
        const content = decodeWireContent([bytes]);
        if (!isDeepStrictEqual(content, normalise([span]))) expect(content).toEqual(normalise([span]));
        expect(RequestType.encode(RequestType.decode(bytes)).finish().byteLength).toBe(bytes.byteLength);
      }
    }
  });

  it('are right where they take three bytes and four', () => {
    for (const limit of [2 ** 21, 2 ** 28]) {
      if (limit > 2 ** 21 && !process.env.ENCODING_FUZZ_SPANS) continue; // a gigabyte for a moment
      for (const length of [limit - 1, limit, limit + 1]) {
        const span = fakeSpan({ attributes: attributes({ list: ['x'.repeat(length)] }) });
        const bytes = encodeSpans([span]);
        expect(decodeSpans(bytes)[0]!.attributes).toEqual(span.attributes);
        expect(RequestType.encode(RequestType.decode(bytes)).finish().byteLength).toBe(bytes.byteLength);
      }
    }
  });
});

describe('large spans', () => {
  const MEGABYTE = 2 ** 20;
  const largeText = fc.constantFrom('x', 'é', '€', '😀', '\ud800').map((unit) => unit.repeat(MEGABYTE / unit.length));
  const many = <T>(make: (index: number) => T): T[] => Array.from({ length: 10_000 }, (_, i) => make(i));
  const large: fc.Arbitrary<ReadableSpan> = fc.oneof(
    largeText.chain((text) => fc.constantFrom(...Object.values(PLACES)).map((place) => place(text))),
    fc
      .constantFrom<(i: number) => unknown>(
        (i) => i,
        (i) => `value ${i}`,
        (i) => [i, `${i}`],
        () => 'é',
        () => ({}),
      )
      .map((value) => fakeSpan({ attributes: Object.fromEntries(many((i) => [`key ${i}`, value(i)])) as never })),
    fc.constant(null).map(() => fakeSpan({ events: many((i) => ({ time: [i, i], name: `event ${i}` })) })),
    fc.constant(null).map(() => fakeSpan({ links: many((i) => ({ context, attributes: { i } })) })),
    fc.constant(null).map(() => fakeSpan({ attributes: attributes(many(String)) })),
  );

  it('are encoded and decoded like others, and harm none beside them', () => {
    fc.assert(
      fc.property(large, (span) => {
        const spans = [fakeSpan({ index: 1 }), span, fakeSpan({ index: 2 })];
        const bytes = encodeSpans(spans);
        expect(isDeepStrictEqual(decodeWireContent([bytes]), normalise(spans))).toBe(true);
        expect(Buffer.compare(encodeSpans(decodeSpans(bytes)), bytes)).toBe(0);
      }),
      { numRuns: 15 },
    );
  });
});

describe('bounds', () => {
  const bytesOf = (value: unknown): number => new SpanBatchBuilder().add(fakeSpan({ attributes: attributes(value) }));
  const one = (value: unknown): ReadableSpan =>
    decodeSpans(encodeSpans([fakeSpan({ attributes: attributes(value) })]))[0]!;

  it('hold a value of a million elements, and count that there were more', () => {
    const whole = one(Array(1_000_000).fill(true));
    expect([(whole.attributes.value as []).length, whole.droppedAttributesCount]).toEqual([1_000_000, 0]);
    for (const tooMany of [Array(1_000_001).fill(true), Array(4_000_000_000), [Array(999_999), Array(5)]]) {
      expect(one(tooMany).droppedAttributesCount).toBe(1);
    }
  });

  it('are of a span, not of an attribute', () => {
    const [span] = decodeSpans(
      encodeSpans([
        fakeSpan({
          attributes: { first: Array(999_999).fill(1), second: [1, 2], third: [], text: 'text' } as never,
          events: [{ time: [0, 0], name: 'event', attributes: { list: [1], number: 1 } }],
        }),
      ]),
    );
    expect(span!.attributes).toMatchObject({ second: [1], third: [], text: 'text' });
    expect(span!.events[0]!.attributes).toEqual({ list: [], number: 1 });
    expect([span!.droppedAttributesCount, span!.events[0]!.droppedAttributesCount]).toEqual([1, 1]);
  });

  it.each([
    ['more paths than anybody can walk', () => manyPaths(60)],
    ['containers that contain each other', () => everyOther(12)],
    ['a container that is new each time', () => endless()],
  ])('hold %s', (_, makeValue) => {
    expect(bytesOf(makeValue())).toBeLessThan(20_000_000);
  });

  it('hold for a batch of any number of resources and scopes', () => {
    const spans = Array.from({ length: 1_000 }, (_, i) => [
      fakeSpan({ index: i, instrumentationScope: { name: `${i}` } }),
      fakeSpan({ index: i, resource: { attributes: { i } } }),
    ]).flat();
    const byName = (content: readonly WireSpan[]) => new Map(content.map((span) => [nameOf(span), span]));
    const nameOf = ({ span, scope }: WireSpan) => `${span.traceId} ${(scope as { name: string }).name}`;
    const [actual, expected] = [decodeWireContent([encodeSpans(spans)]), normalise(spans)].map(byName);
    expect([actual!.size, isDeepStrictEqual(actual, expected)]).toEqual([2_000, true]);
    const builder = new SpanBatchBuilder();
    const refused = spans.filter((span) => {
      if (builder.hasRoomFor(span)) return builder.add(span) === 0;
      expect(() => builder.add(span)).toThrow(RangeError);
      return true;
    });
    expect(SpanBatch.fromEncoded(builder.seal()).spanCount).toBe(spans.length - refused.length);
  });
});

describe('spans that are encoded while others are', () => {
  it('disturb nothing', () => {
    const inner = fakeSpan({ index: 1, name: 'inner' });
    let nested: Uint8Array | undefined;
    const outer = fakeSpan({
      index: 2,
      attributes: {
        before: 1,
        get now() {
          nested = encodeSpans([inner, inner]);
          return 'text';
        },
        after: 2,
      },
    });
    const bytes = encodeSpans([inner, outer, inner]);
    expect(decodeWireContent([nested!])).toEqual(normalise([inner, inner]));
    expect(decodeWireContent([bytes])).toEqual(normalise([inner, outer, inner]));
  });
});

function manyPaths(levels: number): unknown {
  let value: unknown = 'end';
  for (let i = 0; i < levels; i++) value = [value, value];
  return value;
}

function everyOther(count: number): unknown {
  const containers = Array.from({ length: count }, (): Record<string, unknown> => ({}));
  for (const [i, container] of containers.entries())
    for (const [j, other] of containers.entries()) if (i !== j) container[`${j}`] = other;
  return containers[0];
}

function endless(): unknown {
  return {
    get left() {
      return endless();
    },
    get right() {
      return endless();
    },
  };
}
