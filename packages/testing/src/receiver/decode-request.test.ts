import { createTraceState, SpanKind } from '@opentelemetry/api';
import { JsonTraceSerializer, ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import type { ReadableSpan as StockSpan } from '@opentelemetry/sdk-trace-base';
import type { ReadableSpan } from '@otel-resilience/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fakeSpan, fakeSpans } from '../fake-span.js';
import { keyAt } from './decode-ids.js';
import { decodeRequest, spanKey } from './decode-request.js';
import type { ReceivedSpan } from './received-span.js';
import type { SpanOutline } from './span-outline.js';

const SERIALIZERS = { protobuf: ProtobufTraceSerializer, json: JsonTraceSerializer };
const FORMATS = ['protobuf', 'json'] as const;

const request = (format: 'protobuf' | 'json', spans: readonly ReadableSpan[]) => ({
  body: SERIALIZERS[format].serializeRequest(spans as unknown as StockSpan[])!,
  format,
  headers: {},
});

const attributeValue = fc.oneof(
  fc.string(),
  fc.boolean(),
  fc.maxSafeInteger(),
  // The stock serializer writes every whole number as an int64, and -0 as 0.
  fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => !Number.isInteger(value)),
  fc.array(fc.string({ unit: 'grapheme' }), { maxLength: 3 }),
);
const attributes = fc.dictionary(fc.string({ minLength: 1 }), attributeValue, { maxKeys: 4, noNullPrototype: true });
const anySpan = fc
  .record({
    name: fc.string({ unit: 'grapheme' }),
    serviceName: fc.constantFrom('a', 'b', 'c'),
    kind: fc.constantFrom(SpanKind.INTERNAL, SpanKind.SERVER, SpanKind.CLIENT),
    attributes,
    isError: fc.boolean(),
    startMillis: fc.integer({ min: 0, max: 4e12 }),
    durationMillis: fc.integer({ min: 0, max: 1e6 }),
    parentSpanId: fc.option(fc.constant('00f067aa0ba902b7'), { nil: undefined }),
    traceState: fc.option(fc.constant(createTraceState('ot=th:8;rv:0123456789abcd,vendor=1')), { nil: undefined }),
    droppedAttributesCount: fc.nat(),
    eventName: fc.string(),
  })
  .map(({ eventName, ...overrides }) =>
    fakeSpan({
      ...overrides,
      events: [{ time: [1, 2], name: eventName, attributes: overrides.attributes, droppedAttributesCount: 1 }],
      links: [{ context: fakeSpan({ index: 7 }).spanContext(), attributes: { link: true } }],
    }),
  );

describe.each(FORMATS)('decodeRequest of %s', (format) => {
  it('reads what the stock serializer wrote, field by field', () => {
    fc.assert(
      fc.property(fc.array(anySpan, { maxLength: 12 }), (sent) => {
        const { spanCount, ids, spans } = decodeRequest(request(format, sent), 'spans');
        expect(spans.map((_, index) => keyAt(ids, index))).toEqual(spans.map(spanKey));
        expect(decodeRequest(request(format, sent), 'ids')).toEqual({ spanCount, ids, outlines: [], spans: [] });
        const { outlines } = decodeRequest(request(format, sent), 'outlines');
        expect(outlines).toEqual(spans.map(outlineOf));
        expect([spanCount, spans.length]).toEqual([sent.length, sent.length]);
        const received = new Map(spans.map((span) => [spanKey(span), span]));
        for (const span of sent) expect(received.get(spanKey(span.spanContext()))).toMatchObject(expected(span));
      }),
      { numRuns: 60 },
    );
  });

  it('reads an empty request', () => {
    expect(decodeRequest(request(format, []), 'spans')).toMatchObject({ spanCount: 0, outlines: [], spans: [] });
  });

  it('refuses a body cut short, and spans without valid ids', () => {
    const { body } = request(format, fakeSpans(3));
    for (const detail of ['ids', 'outlines', 'spans'] as const) {
      const cut = { body: body.subarray(0, body.byteLength - 5), format, headers: {} };
      expect(() => decodeRequest(cut, detail)).toThrow();
      expect(() => decodeRequest(request(format, [fakeSpan({ spanId: '' })]), detail)).toThrow('a span with the ids');
    }
  });
});

describe('decodeRequest', () => {
  it('reads values that only OTLP has', () => {
    const value = { kvlistValue: { values: [{ key: 'big', value: { intValue: '9223372036854775807' } }] } };
    const span = {
      traceId: 'ABCDEF0123456789ABCDEF0123456789',
      spanId: '0123456789abcdef',
      attributes: [
        { key: 'map', value },
        { key: 'bytes', value: { bytesValue: 'AQID' } },
        { key: 'empty', value: {} },
      ],
    };
    const body = Buffer.from(JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] }));
    const { ids, spans } = decodeRequest({ body, format: 'json', headers: {} }, 'spans');
    expect(keyAt(ids, 0)).toBe('abcdef0123456789abcdef01234567890123456789abcdef');
    expect(spans[0]!.attributes).toEqual({
      map: { big: 9223372036854775807n },
      bytes: new Uint8Array([1, 2, 3]),
      empty: undefined,
    });
    expect(spans[0]).toMatchObject({ parentSpanId: '', name: '', kind: 0, startTimeUnixNano: '0', events: [] });
  });
});

const outlineOf = (span: ReceivedSpan): SpanOutline => ({
  traceId: span.traceId,
  spanId: span.spanId,
  parentSpanId: span.parentSpanId,
  traceState: span.traceState,
  flags: span.flags,
  statusCode: span.status.code,
  startTimeUnixMillis: Number(span.startTimeUnixNano) / 1e6,
  durationMillis: Number(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)) / 1e6,
});

const nanos = ([seconds, rest]: readonly [number, number]) => String(BigInt(seconds) * 1_000_000_000n + BigInt(rest));

function expected(span: ReadableSpan) {
  return {
    traceId: span.spanContext().traceId,
    spanId: span.spanContext().spanId,
    name: span.name,
    kind: span.kind + 1,
    parentSpanId: span.parentSpanContext?.spanId ?? '',
    traceState: span.spanContext().traceState?.serialize() ?? '',
    startTimeUnixNano: nanos(span.startTime),
    endTimeUnixNano: nanos(span.endTime),
    attributes: span.attributes,
    droppedAttributesCount: span.droppedAttributesCount,
    events: span.events.map((event) => ({
      name: event.name,
      timeUnixNano: nanos(event.time),
      attributes: event.attributes,
      droppedAttributesCount: 1,
    })),
    links: [
      { traceId: span.links[0]!.context.traceId, spanId: span.links[0]!.context.spanId, attributes: { link: true } },
    ],
    status: { code: span.status.code, message: span.status.message ?? '' },
    resource: { attributes: span.resource.attributes },
    scope: { name: '@otel-resilience/testing', version: '0.1.0' },
  };
}
