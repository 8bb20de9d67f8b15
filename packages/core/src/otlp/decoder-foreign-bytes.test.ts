import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arbitrarySpans } from '../../../../test/support/arbitrary-spans.js';
import { RequestType } from '../../../../test/support/otlp-proto.js';
import type { ReadableSpan } from '../sdk-types.js';
import { decodeSpans } from './decoder.js';
import { MalformedOtlpError } from './wire.js';

// What no encoder of ours writes, and what is no OTLP at all.

const encode = (spans: readonly ReadableSpan[]): Uint8Array =>
  ProtobufTraceSerializer.serializeRequest(spans as never)!;

/** A request of one resource and scope with this Span, written by protobufjs. */
const requestOf = (...spans: object[]): Uint8Array =>
  RequestType.encode(RequestType.fromObject({ resourceSpans: [{ scopeSpans: [{ spans }] }] })).finish();
const decodeOne = (span: object): ReadableSpan => decodeSpans(requestOf(span))[0]!;

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

  it('does not run out of stack, whatever the depth', () => {
    let value: Buffer = Buffer.from([0x0a, 0]);
    for (let i = 0; i < 20_000; i++) value = delimited(0x2a, delimited(0x0a, value));
    const attribute = delimited(0x4a, Buffer.concat([delimited(0x0a, Buffer.from('deep')), delimited(0x12, value)]));
    const [span] = decodeSpans(inRequest(attribute));
    expect(span!.droppedAttributesCount).toBe(1);
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
