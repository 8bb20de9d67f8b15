import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arbitrarySpans, inWireOrder } from '../../../../test/support/arbitrary-spans.js';
import { decodeWireContent, RequestType } from '../../../../test/support/otlp-proto.js';
import { laneOf } from '../lane.js';
import type { ReadableSpan } from '../sdk-types.js';
import { BytesForm } from './bytes-form.js';
import { decodeSpans } from './decoder.js';
import { MalformedOtlpError } from './wire.js';

// What is decoded from all that encoders write is in test/invariants/encoding.test.ts. Here: what other people's
// bytes may hold besides, and what the wire does not say.

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

  it('does not run out of stack, whatever the depth', () => {
    let value: Buffer = Buffer.from([0x0a, 0]);
    for (let i = 0; i < 20_000; i++) value = delimited(0x2a, delimited(0x0a, value));
    const attribute = delimited(0x4a, Buffer.concat([delimited(0x0a, Buffer.from('deep')), delimited(0x12, value)]));
    const [span] = decodeSpans(inRequest(attribute));
    expect(span!.droppedAttributesCount).toBe(1);
  });
});

describe('decodeSpans with fields as protobuf allows them', () => {
  it('takes the last of a field that repeats, and merges messages', () => {
    const scalars = [
      field(0x2a, 'first'),
      field(0x2a, 'second'),
      Buffer.from([0x30, 2, 0x30, 3]),
      field(0x7a, Buffer.from([0x12, 1, 0x61, 0x18, 1])),
      field(0x7a, Buffer.from([0x18, 2])),
    ];
    const [span] = decodeSpans(inRequest(Buffer.concat(scalars)));
    expect([span!.name, span!.kind, span!.status]).toEqual(['second', 2, { code: 2, message: 'a' }]);
  });

  it('merges values, of which the last alternative counts', () => {
    const text = field(0x0a, 'text');
    const one = field(0x2a, field(0x0a, Buffer.from([0x18, 1])));
    const two = field(0x2a, field(0x0a, Buffer.from([0x18, 2])));
    const map = (key: string) => field(0x32, field(0x0a, field(0x0a, key)));
    const merged = (...values: Buffer[]) => {
      const keyValue = Buffer.concat([field(0x0a, 'key'), ...values.map((value) => field(0x12, value))]);
      return decodeSpans(inRequest(field(0x4a, keyValue)))[0]!.attributes.key;
    };
    expect(merged(one, two)).toEqual([1, 2]);
    expect(merged(Buffer.concat([one, two]))).toEqual([1, 2]);
    expect(merged(map('a'), map('b'))).toEqual({ a: null, b: null });
    expect(merged(one, text)).toBe('text');
    expect(merged(text, one)).toEqual([1]);
    expect(merged(one, map('a'), two)).toEqual([2]);
  });

  it('reads resource and scope wherever they stand, in as many parts as they come', () => {
    const attribute = (key: string) => field(0x0a, key);
    const span = field(0x12, field(0x2a, 'span'));
    const scopeSpans = Buffer.concat([
      span,
      field(0x0a, field(0x0a, 'scope')),
      field(0x1a, 'of the scope'),
      field(0x0a, Buffer.concat([field(0x12, '1.0'), field(0x1a, attribute('c')), Buffer.from([0x20, 7])])),
    ]);
    const resourceSpans = Buffer.concat([
      field(0x12, scopeSpans),
      field(0x1a, 'of the resource'),
      field(0x0a, field(0x0a, attribute('a'))),
      field(0x0a, field(0x0a, attribute('b'))),
    ]);
    const [decoded] = decodeSpans(field(0x0a, resourceSpans));
    expect(decoded!.resource).toEqual({ attributes: { a: null, b: null }, schemaUrl: 'of the resource' });
    expect(decoded!.instrumentationScope).toEqual({
      name: 'scope',
      version: '1.0',
      schemaUrl: 'of the scope',
      attributes: { c: null },
      droppedAttributesCount: 7,
    });
  });

  it('steps over fields that it does not know, and over known ones of another wire type', () => {
    const unknown = Buffer.from([0x9a, 6, 1, 0x61]); // field 99
    const odd = Buffer.from([0x08, 1, 0x28, 5, 0x3a, 1, 0x61, 0x4d, 0, 0, 0, 0]);
    const [span] = decodeSpans(inRequest(Buffer.concat([unknown, odd, field(0x2a, 'name'), unknown])));
    expect([span!.name, span!.startTime, span!.attributes]).toEqual(['name', [0, 0], {}]);
  });

  it.each([
    ['a kind of a later version', { kind: 9 }, { kind: undefined }],
    ['a negative kind', { kind: -1 }, { kind: undefined }],
    ['a status code of a later version', { status: { code: 3 } }, { status: { code: 0 } }],
    ['a negative status code', { status: { code: -2 } }, { status: { code: 0 } }],
    [
      'the largest counts',
      { droppedAttributesCount: 2 ** 32 - 1, droppedLinksCount: 2 ** 31 },
      {
        droppedAttributesCount: 2 ** 32 - 1,
        droppedLinksCount: 2 ** 31,
      },
    ],
  ])('reads %s', (_, span, expected) => {
    expect(decodeOne(span)).toMatchObject(expected);
  });

  it('cuts a count of more than 32 bits, as protobuf does', () => {
    const count = Buffer.from([0x50, 0x85, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]);
    expect(decodeSpans(inRequest(count))[0]!.droppedAttributesCount).toBe(5);
  });
});

describe('decodeSpans with bytes that are no request', () => {
  it('throws a MalformedOtlpError or reads something, and neither hangs nor reads elsewhere', () => {
    const damaged = fc
      .tuple(arbitrarySpans.map(encode), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 5 }), fc.nat())
      .map(([bytes, edits, cutAt]) => {
        const copy = bytes.slice(0, cutAt % (2 * bytes.byteLength + 1));
        for (const [at, byte] of edits) if (copy.byteLength > 0) copy[at % copy.byteLength] = byte;
        return copy;
      });
    fc.assert(
      fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 200 })), (bytes) => {
        // Alone in its memory, and within some that would show.
        const surrounded = new Uint8Array(bytes.byteLength + 64).fill(0x0a);
        surrounded.set(bytes, 32);
        const results = [bytes, surrounded.subarray(32, 32 + bytes.byteLength)].map((within) => {
          try {
            return decodeSpans(within).map((span) => ({ ...span, spanContext: span.spanContext() }));
          } catch (error) {
            expect(error).toBeInstanceOf(MalformedOtlpError);
            return String(error);
          }
        });
        expect(results[0]).toEqual(results[1]);
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    ['cut off', Buffer.from([0x0a, 40, 0x12])],
    ['not protobuf at all', Buffer.from('<html>')],
    ['an attribute that ends after its span', Buffer.from([0x0a, 8, 0x12, 6, 0x12, 4, 0x4a, 9, 0x0a, 1, 0x61])],
  ])('says so: %s', (_, bytes) => {
    expect(() => decodeSpans(bytes)).toThrow(MalformedOtlpError);
    expect(() => decodeSpans(bytes)).toThrow(/malformed OTLP: .* at byte \d+/);
  });

  it('takes time in proportion to its bytes', () => {
    const attributes = (count: number) =>
      requestOf({ attributes: Array.from({ length: count }, (_, i) => ({ key: `${i % 5}`, value: { intValue: i } })) });
    const [small, large] = [attributes(2_000), attributes(40_000)];
    const timed = (bytes: Uint8Array) => {
      const start = performance.now();
      decodeSpans(bytes);
      return performance.now() - start;
    };
    timed(large);
    const [one, twenty] = [small, large].map((bytes) => Math.min(...Array.from({ length: 5 }, () => timed(bytes))));
    expect(twenty!).toBeLessThan(20 * 10 * Math.max(one!, 0.1));
  });
});

/** A length-delimited field. */
function field(tag: number, value: string | Buffer): Buffer {
  return delimited(tag, Buffer.from(value as string));
}

function delimited(tag: number, value: Buffer): Buffer {
  const length: number[] = [];
  let rest = value.length;
  for (; rest >= 0x80; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([tag, ...length, rest]), value]);
}

const inRequest = (span: Buffer): Buffer => delimited(0x0a, delimited(0x12, delimited(0x12, span)));
