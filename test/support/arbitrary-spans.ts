import { createTraceState, type TraceState } from '@opentelemetry/api';
import type { Attributes, InstrumentationScope, Link, ReadableSpan, Resource, TimedEvent } from '@otel-resilience/core';
import fc from 'fast-check';

/** Spans of every shape that an SDK, 2.x or 3.x, can hand to a processor. */

const codeUnit = fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit));
export const arbitraryText: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: fc.string({ maxLength: 40 }) },
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  // Lone surrogates included: encoders write each as U+FFFD.
  fc.string({ unit: codeUnit, maxLength: 40 }),
  fc
    .tuple(fc.constantFrom('x', 'é', '€', '😀', '\ud800'), fc.integer({ min: 1, max: 6_000 }))
    .map(([s, n]) => s.repeat(n)),
);
const keyName = fc.constantFrom('http.request.method', 'url.path', 'enduser.id', 'a');
export const arbitraryKey: fc.Arbitrary<string> = fc.oneof(
  keyName,
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  arbitraryText,
);
const number = fc.oneof(
  fc.integer(),
  fc.integer({ min: 0, max: 200 }),
  fc.maxSafeInteger(),
  fc.double(),
  fc.constantFrom(2 ** 53, 2 ** 63, -(2 ** 63), 2 ** 62, 2 ** 64, -0, Number.NaN, Number.NEGATIVE_INFINITY),
);
const scalarOf = (text: fc.Arbitrary<string>) =>
  fc.oneof({ weight: 3, arbitrary: text }, { weight: 2, arbitrary: number }, fc.boolean());

/** Every value that the stock serializers of both majors write as what it is, and what else is given. */
export const arbitraryValue = (text: fc.Arbitrary<string>, ...more: fc.Arbitrary<unknown>[]): fc.Arbitrary<unknown> =>
  fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 5, depthSize: 'small' },
      { weight: 6, arbitrary: scalarOf(text) },
      fc.constantFrom(null, undefined),
      fc.uint8Array({ maxLength: 300 }),
      fc.array(scalarOf(text), { maxLength: 20 }),
      fc.array(tie('value'), { maxLength: 5 }),
      fc.dictionary(fc.oneof(keyName, text), tie('value'), { maxKeys: 5 }),
      ...more,
    ),
  })).value;

const plainAttributes = fc.dictionary(
  arbitraryKey,
  fc.oneof(scalarOf(arbitraryText), fc.array(arbitraryText, { maxLength: 5 })),
  { maxKeys: 20 },
);
const attributes: fc.Arbitrary<Attributes> = fc.oneof(
  { weight: 3, arbitrary: plainAttributes },
  fc.dictionary(arbitraryKey, arbitraryValue(arbitraryText, fc.bigInt()), { maxKeys: 60 }),
  fc.constant({}),
);

const hex = (digits: number) =>
  fc.bigInt({ min: 1n, max: 16n ** BigInt(digits) - 1n }).map((id) => id.toString(16).padStart(digits, '0'));
export const arbitraryTraceState: fc.Arbitrary<TraceState | undefined> = fc.oneof(
  { weight: 2, arbitrary: fc.constant(undefined) },
  fc
    .array(fc.tuple(fc.stringMatching(/^[a-z][a-z0-9]{0,20}$/), fc.stringMatching(/^[a-z0-9:;]{1,60}$/)), {
      maxLength: 6,
    })
    .map((members) => createTraceState(members.map(([name, member]) => `${name}=${member}`).join(','))),
);
const spanContext = fc.record(
  {
    traceId: hex(32),
    spanId: hex(16),
    traceFlags: fc.integer({ min: 0, max: 255 }),
    traceState: arbitraryTraceState,
    isRemote: fc.constantFrom(true, false, undefined),
  },
  { requiredKeys: ['traceId', 'spanId', 'traceFlags'] },
);
const dropped = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2 ** 31 - 1 }));
const time = fc.tuple(fc.integer({ min: 0, max: 4_000_000_000 }), fc.integer({ min: 0, max: 999_999_999 }));

const event: fc.Arbitrary<TimedEvent> = fc.record(
  { time, name: arbitraryText, attributes, droppedAttributesCount: dropped },
  { requiredKeys: ['time', 'name'] },
);
const link: fc.Arbitrary<Link> = fc.record(
  { context: spanContext, attributes, droppedAttributesCount: dropped },
  { requiredKeys: ['context'] },
);

// Whole characters only: what replaces half of one on the wire is not what the span says.
const serviceName = fc.oneof(
  fc.constantFrom('shop', 'billing'),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.integer(),
);

export const arbitraryResource: fc.Arbitrary<Resource> = fc
  .tuple(plainAttributes, fc.option(serviceName, { nil: undefined }), schemaUrl())
  .map(([others, service, url]) => ({
    attributes: service === undefined ? others : { ...others, 'service.name': service, last: true },
    schemaUrl: url,
  }));

export const arbitraryScope: fc.Arbitrary<InstrumentationScope> = fc.record(
  { name: arbitraryText, version: arbitraryText, schemaUrl: schemaUrl() },
  { requiredKeys: ['name'] },
);

const anyResource: Resource = { attributes: { 'service.name': 'shop' } };
const anyScope: InstrumentationScope = { name: 'scope', version: '1.0.0' };

/** A span of one resource and scope unless told otherwise. */
export function arbitrarySpan(
  resources: readonly Resource[] = [anyResource],
  scopes: readonly InstrumentationScope[] = [anyScope],
): fc.Arbitrary<ReadableSpan> {
  return fc
    .record({
      name: arbitraryText,
      kind: fc.integer({ min: 0, max: 4 }),
      context: spanContext,
      parentSpanContext: fc.option(spanContext, { nil: undefined }),
      startTime: time,
      endTime: time,
      status: fc.record({ code: fc.integer({ min: 0, max: 2 }), message: arbitraryText }, { requiredKeys: ['code'] }),
      attributes,
      links: fc.array(link, { maxLength: 3 }),
      events: fc.array(event, { maxLength: 4 }),
      droppedAttributesCount: dropped,
      droppedEventsCount: dropped,
      droppedLinksCount: dropped,
      resource: fc.constantFrom(...resources),
      instrumentationScope: fc.constantFrom(...scopes),
    })
    .map(
      ({ context, ...span }): ReadableSpan => ({ ...span, spanContext: () => context, duration: [0, 0], ended: true }),
    );
}

/** Spans of a few resources and scopes, interleaved. */
export const arbitrarySpans: fc.Arbitrary<ReadableSpan[]> = fc
  .tuple(
    fc.array(arbitraryResource, { minLength: 1, maxLength: 3 }),
    fc.array(arbitraryScope, { minLength: 1, maxLength: 3 }),
  )
  .chain(([resources, scopes]) => fc.array(arbitrarySpan(resources, scopes), { maxLength: 8 }));

/** The order in which an encoder that groups by resource and scope writes spans. */
export function inWireOrder(spans: readonly ReadableSpan[]): ReadableSpan[] {
  const resources = [...new Set(spans.map(({ resource }) => resource))];
  return resources.flatMap((resource) => {
    const ofResource = spans.filter((span) => span.resource === resource);
    const scopes = [...new Set(ofResource.map(({ instrumentationScope }) => instrumentationScope))];
    return scopes.flatMap((scope) => ofResource.filter((span) => span.instrumentationScope === scope));
  });
}

function schemaUrl(): fc.Arbitrary<string | undefined> {
  return fc.constantFrom(undefined, 'https://opentelemetry.io/schemas/1.37.0');
}
