import type { Attributes, InstrumentationScope, ReadableSpan } from '@otel-resilience/core';
import fc from 'fast-check';
import { arbitraryResource, arbitraryScope, arbitrarySpan } from '../../support/arbitrary-spans.js';

/**
 * Spans with what no API allows and JavaScript does not prevent, as far as the stock serializer has a reading of it
 * that makes sense: only then is there something to compare with.
 */

class Point {
  readonly x = 1;
  get y() {
    return 2;
  }
}

const oddValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    Symbol('symbol'),
    () => 'function',
    Symbol,
    new Date(0),
    new Map([['key', 1]]),
    new Set([1]),
    new Point(),
    /pattern/,
    new Error('in an attribute'),
    new String('boxed'),
    new Number(5),
    Buffer.from('bytes'),
    new Float64Array([1, 0.5, Number.NaN]),
    new ArrayBuffer(4),
    Object.create({ inherited: 1 }),
    Object.assign(Object.create(null), { '': null, __proto__: 1 }),
    [undefined, null, Symbol('element'), [], {}, ''],
    Array(3),
    [[[[[['deep']]]]], { a: { b: { c: { d: [] } } } }],
    2 ** 53 + 2,
    -(2 ** 53) - 2,
    2 ** 63 - 1024,
    -(2 ** 63) - 2048,
    2 ** 31,
    2 ** 32,
    -(2 ** 31) - 1,
    Number.MAX_VALUE,
    Number.MIN_VALUE,
  ),
  fc
    .integer({ min: 0, max: 63 })
    .chain((bits) => fc.constantFrom(2 ** bits, -(2 ** bits), 2 ** bits - 1, 2 ** bits + 1)),
);

const oddAttributes: fc.Arbitrary<Attributes> = fc.dictionary(
  fc.oneof(fc.constantFrom('', '__proto__', 'toString', 'hasOwnProperty', '0', '\ud800', '\u0000'), fc.string()),
  oddValue as fc.Arbitrary<never>,
  { maxKeys: 8 },
);

/** HrTime up to the last second that a fixed64 can hold; nanoseconds may be fractions. */
const oddTime = fc.tuple(
  fc.constantFrom(0, 1, 2 ** 31, 2 ** 32, 9_007_199, 9_007_200, 18_446_744_072),
  fc.oneof(fc.constantFrom(0, 0.5, 999_999_999.9), fc.integer({ min: 0, max: 999_999_999 })),
);

const oddMembers = fc.record(
  {
    attributes: oddAttributes,
    startTime: oddTime,
    endTime: oddTime,
    kind: fc.constantFrom(undefined, null),
    events: fc.array(fc.record({ name: fc.constantFrom('', '\udc00'), time: oddTime, attributes: oddAttributes })),
    droppedAttributesCount: fc.constantFrom(1, 127, 128, 2 ** 31, 2 ** 32 - 1),
    spanContext: fc
      .record({
        // Upper case, and what the W3C calls invalid.
        traceId: fc.constantFrom('ABCDEF0123456789abcdef0123456789', '0'.repeat(32)),
        spanId: fc.constantFrom('FEDCBA9876543210', '0'.repeat(16)),
        traceFlags: fc.constantFrom(0, 1, 255, 256, 257, -1, 2 ** 31),
      })
      .map((context) => () => context),
  },
  { requiredKeys: [] },
);

const oddScope: fc.Arbitrary<InstrumentationScope> = fc
  .tuple(arbitraryScope, fc.record({ attributes: oddAttributes, droppedAttributesCount: fc.nat() }))
  .map(([scope, more]) => ({ ...scope, ...more }));

export const oddSpans: fc.Arbitrary<ReadableSpan[]> = fc
  .tuple(
    fc.tuple(arbitraryResource, oddAttributes).map(([resource, attributes]) => ({ ...resource, attributes })),
    arbitraryResource,
    oddScope,
  )
  .chain(([odd, resource, scope]) =>
    fc.array(
      fc
        .tuple(arbitrarySpan([odd, resource], [scope]), oddMembers)
        .map(([span, members]) => ({ ...span, ...(members as Partial<ReadableSpan>) })),
      { maxLength: 6 },
    ),
  );
