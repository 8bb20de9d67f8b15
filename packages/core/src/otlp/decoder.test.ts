import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arbitrarySpans, inWireOrder } from '../../../../test/support/arbitrary-spans.js';
import { decodeWireContent, RequestType } from '../../../../test/support/otlp-proto.js';
import { laneOf } from '../lane.js';
import type { ReadableSpan } from '../sdk-types.js';
import { BytesForm } from './bytes-form.js';
import { decodeSpans } from './decoder.js';

// What is decoded from all that encoders write is in test/invariants/encoding.test.ts. Here: what becomes of each thing,
// and of what the wire does not say.

const encode = (spans: readonly ReadableSpan[]): Uint8Array =>
  ProtobufTraceSerializer.serializeRequest(spans as never)!;

/** A request of one resource and scope with this Span, written by protobufjs. */
const requestOf = (...spans: object[]): Uint8Array =>
  RequestType.encode(RequestType.fromObject({ resourceSpans: [{ scopeSpans: [{ spans }] }] })).finish();
const decodeOne = (span: object): ReadableSpan => decodeSpans(requestOf(span))[0]!;
const attributeOf = (value: object): unknown => decodeOne({ attributes: [{ key: 'key', value }] }).attributes.key;

const hex = (digits: string): Uint8Array => Uint8Array.from(Buffer.from(digits, 'hex'));
const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const SPAN_ID = 'b7ad6b7169203331';
const PARENT_ID = '00f067aa0ba902b7';

describe('decodeSpans', () => {
  it('reads every span in order, however the bytes are cut into chunks', () => {
    fc.assert(
      fc.property(arbitrarySpans, fc.array(fc.nat(), { maxLength: 4 }), (spans, cuts) => {
        const bytes = encode(spans);
        const at = [0, ...cuts.map((c) => c % (bytes.byteLength + 1)).sort((a, b) => a - b), bytes.byteLength];
        const decoded = decodeSpans(at.slice(1).map((end, i) => bytes.subarray(at[i], end)));
        expect(decoded.map(({ name }) => Buffer.from(name))).toEqual(
          inWireOrder(spans).map(({ name }) => Buffer.from(name)),
        );
        expect(decodeWireContent([encode(decoded)]).length).toBe(spans.length);
      }),
      { numRuns: 50 },
    );
  });

  it('gives the spans of one ResourceSpans one resource, and those of one ScopeSpans one scope', () => {
    const scope = (name: string) => ({ scope: { name }, spans: [{}, {}] });
    const resource = { attributes: [{ key: 'service.name', value: { stringValue: 'shop' } }] };
    const spans = decodeSpans(
      RequestType.encode(
        RequestType.fromObject({
          resourceSpans: [
            { resource, scopeSpans: [scope('a'), scope('b')] },
            { resource, scopeSpans: [scope('a')] },
          ],
        }),
      ).finish(),
    );
    const ids = (of: (span: ReadableSpan) => unknown) => {
      const distinct = [...new Set(spans.map(of))];
      return spans.map((span) => distinct.indexOf(of(span)));
    };
    expect(ids(({ resource }) => resource)).toEqual([0, 0, 0, 0, 1, 1]);
    expect(ids(({ instrumentationScope }) => instrumentationScope)).toEqual([0, 0, 1, 1, 2, 2]);
    for (const span of spans) expect(span.resource.attributes).toEqual({ 'service.name': 'shop' });
    expect(spans.map(({ instrumentationScope }) => instrumentationScope.name)).toEqual(['a', 'a', 'b', 'b', 'a', 'a']);
  });

  it('fills in what is not there', () => {
    const span = decodeOne({});
    expect({ ...span, spanContext: span.spanContext() }).toEqual({
      name: '',
      kind: undefined,
      spanContext: { traceId: '', spanId: '', traceFlags: 0 },
      startTime: [0, 0],
      endTime: [0, 0],
      duration: [0, 0],
      ended: true,
      status: { code: 0 },
      attributes: {},
      links: [],
      events: [],
      resource: { attributes: {} },
      instrumentationScope: { name: '' },
      droppedAttributesCount: 0,
      droppedEventsCount: 0,
      droppedLinksCount: 0,
    });
    expect(decodeSpans(new Uint8Array())).toEqual([]);
    expect(decodeSpans([])).toEqual([]);
  });

  it.each([
    [0, 0x001, undefined],
    [0, 0x301, true],
    [1, 0x001, { traceFlags: 1 }],
    [1, 0x101, { traceFlags: 1, isRemote: false }],
    [1, 0x3ff, { traceFlags: 255, isRemote: true }],
  ])('knows the parent, and whether it is remote: %j, flags %i', (hasParent, flags, expected) => {
    const parentSpanId = hasParent ? { parentSpanId: hex(PARENT_ID) } : {};
    const span = decodeOne({ traceId: hex(TRACE_ID), spanId: hex(SPAN_ID), flags, ...parentSpanId });
    expect(span.spanContext()).toEqual({ traceId: TRACE_ID, spanId: SPAN_ID, traceFlags: flags & 0xff });
    if (hasParent)
      expect(span.parentSpanContext).toEqual({ traceId: TRACE_ID, spanId: PARENT_ID, ...(expected as object) });
    else expect(span.parentSpanContext?.isRemote).toBe(expected);
    const [head] = new BytesForm([requestOf({ flags, ...parentSpanId })]).heads();
    expect(laneOf(span)).toBe(head!.lane);
  });

  it('passes a trace state on as it came, and answers about its members', () => {
    const traceState = ` vendor=a , other=${'b'.repeat(600)},UPPER=case`;
    const span = decodeOne({ traceState, links: [{ traceState: 'ot=th:c' }] });
    expect(span.spanContext().traceState!.serialize()).toBe(traceState);
    const linked = span.links[0]!.context.traceState!;
    expect([linked.get('ot'), linked.get('none')]).toEqual(['th:c', undefined]);
    expect(linked.set('a', 'b').serialize()).toBe('a=b,ot=th:c');
    expect(linked.unset('ot').serialize()).toBe('');
    expect(linked.serialize()).toBe('ot=th:c');
  });

  it.each([
    [1_700_000_000_123_456_789n, 1_700_000_001_000_000_000n, [1_700_000_000, 123_456_789], [0, 876_543_211]],
    [5n, 2n ** 64n - 1n, [0, 5], [18_446_744_073, 709_551_610]],
    [2_000_000_000n, 1_999_999_999n, [2, 0], [0, 0]],
    [3_000_000_000n, 1_000_000_000n, [3, 0], [0, 0]],
  ])('reads times to the nanosecond, and no duration that is negative: %i to %i', (start, end, startTime, duration) => {
    const span = decodeOne({ startTimeUnixNano: String(start), endTimeUnixNano: String(end) });
    expect(span.startTime).toEqual(startTime);
    expect(span.endTime).toEqual([Number(end / 1_000_000_000n), Number(end % 1_000_000_000n)]);
    expect(span.duration).toEqual(duration);
  });

  it.each<[object, unknown]>([
    [{ stringValue: 'a\u0000😀' }, 'a\u0000😀'],
    [{ boolValue: true }, true],
    [{ intValue: '0' }, 0],
    [{ intValue: '-1' }, -1],
    [{ intValue: String(Number.MAX_SAFE_INTEGER) }, Number.MAX_SAFE_INTEGER],
    [{ intValue: '9007199254740993' }, 9_007_199_254_740_993n],
    [{ intValue: '-9007199254740993' }, -9_007_199_254_740_993n],
    [{ intValue: '4611686018427387904' }, 2 ** 62],
    [{ intValue: '9223372036854775807' }, 2n ** 63n - 1n],
    [{ intValue: '-9223372036854775808' }, -(2 ** 63)],
    [{ doubleValue: 0.5 }, 0.5],
    [{ doubleValue: -0 }, -0],
    [{ doubleValue: Number.NaN }, Number.NaN],
    [{ doubleValue: Number.NEGATIVE_INFINITY }, Number.NEGATIVE_INFINITY],
    [{ bytesValue: Buffer.from([0, 255]) }, Uint8Array.of(0, 255)],
    [{ arrayValue: { values: [{ intValue: '1' }, {}, { arrayValue: {} }] } }, [1, null, []]],
    [{ kvlistValue: { values: [{ key: 'a', value: { boolValue: false } }, { key: 'b' }] } }, { a: false, b: null }],
    [{}, null],
  ])('reads the value %j', (value, expected) => {
    expect(attributeOf(value)).toStrictEqual(expected);
  });

  it('gives bytes that belong to nobody else', () => {
    const request = requestOf({ attributes: [{ key: 'key', value: { bytesValue: Buffer.from('mine') } }] });
    const bytes = decodeSpans(request)[0]!.attributes.key as Uint8Array;
    request.fill(0);
    expect(Buffer.from(bytes).toString()).toBe('mine');
    expect(bytes.buffer.byteLength).toBe(4);
  });

  it('takes no key for anything but a key', () => {
    const pollute = { kvlistValue: { values: [{ key: 'polluted', value: { boolValue: true } }] } };
    const keys = ['__proto__', 'constructor', 'hasOwnProperty', ''].map((key) => ({ key, value: pollute }));
    const nested = { key: 'nested', value: { kvlistValue: { values: keys } } };
    const { attributes } = decodeOne({ attributes: [...keys, nested] });
    for (const map of [attributes, attributes.nested as object]) {
      expect(Object.keys(map).slice(0, 4)).toEqual(['__proto__', 'constructor', 'hasOwnProperty', '']);
      expect(Object.getPrototypeOf(map)).toBe(Object.prototype);
      expect(Object.getOwnPropertyDescriptor(map, '__proto__')?.value).toEqual({ polluted: true });
    }
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it('lets the last value of a key count', () => {
    const attributes = [1, 2, 3].map((n) => ({ key: n === 2 ? 'other' : 'key', value: { intValue: n } }));
    expect(decodeOne({ attributes }).attributes).toEqual({ key: 3, other: 2 });
  });

  it('leaves out, and counts, what is nested deeper than it would be encoded', () => {
    const nested = (levels: number) => {
      let value: object = { stringValue: 'core' };
      for (let i = 0; i < levels; i++) value = { arrayValue: { values: [value] } };
      return value;
    };
    const deep = (levels: number) => ({
      attributes: [{ key: 'deep', value: nested(levels) }],
      droppedAttributesCount: 2,
    });
    const levelsOf = (value: unknown): number => (Array.isArray(value) ? 1 + levelsOf(value[0]) : 0);
    const span = decodeOne({ ...deep(30), events: [deep(31)], links: [deep(32)] });
    const parts = [span, span.events[0]!, span.links[0]!];
    expect(parts.map(({ attributes }) => levelsOf(attributes!.deep))).toEqual([30, 30, 30]);
    expect(parts.map(({ droppedAttributesCount }) => droppedAttributesCount)).toEqual([2, 3, 3]);
  });
});
