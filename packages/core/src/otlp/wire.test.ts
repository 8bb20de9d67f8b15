import fc from 'fast-check';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import {
  delimitedSize,
  FIXED32,
  FIXED64,
  FieldReader,
  LENGTH_DELIMITED,
  MalformedOtlpError,
  VARINT,
  writeDelimited,
} from './wire.js';

const nanosOf = ([seconds, nanos]: readonly [number, number]): bigint =>
  BigInt(seconds) * 1_000_000_000n + BigInt(nanos);

function fixed64(value: bigint): Uint8Array {
  const bytes = Buffer.alloc(9);
  bytes[0] = (7 << 3) | FIXED64;
  bytes.writeBigUInt64LE(value, 1);
  return bytes;
}

describe('FieldReader', () => {
  it('reads what an independent writer wrote, in order', () => {
    const field = fc.record({
      number: fc.integer({ min: 1, max: 2 ** 29 - 1 }),
      kind: fc.constantFrom(VARINT, FIXED64, LENGTH_DELIMITED, FIXED32),
      value: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
      text: fc.string({ unit: 'grapheme', maxLength: 300 }),
    });
    fc.assert(
      fc.property(fc.array(field), (fields) => {
        const writer = protobuf.Writer.create();
        for (const { number, kind, value, text } of fields) {
          writer.uint32(((number << 3) | kind) >>> 0);
          if (kind === VARINT) writer.uint32(value);
          else if (kind === FIXED64) writer.fixed64(value);
          else if (kind === FIXED32) writer.fixed32(value);
          else writer.string(text);
        }
        const reader = new FieldReader(writer.finish());
        for (const { number, kind, value, text } of fields) {
          expect(reader.next()).toBe(true);
          expect(reader.is(number, kind)).toBe(true);
          expect(reader.is(number, kind === VARINT ? FIXED32 : VARINT)).toBe(false);
          if (kind === VARINT) expect(reader.varint()).toBe(value);
          else if (kind === FIXED64)
            expect(reader.fixed64NanosAsMillis()).toBe(
              value >= 1e9 ? Math.floor(value / 1e9) * 1000 + (value % 1e9) / 1e6 : value / 1e6,
            );
          else if (kind === FIXED32) expect(reader.fixed32()).toBe(value);
          else expect(reader.text()).toBe(text);
        }
        expect(reader.next()).toBe(false);
      }),
    );
  });

  it('reads 64-bit nanoseconds to the very number that an HrTime gives', () => {
    const hrTime = fc.tuple(fc.integer({ min: 0, max: 18_446_744_072 }), fc.integer({ min: 0, max: 999_999_999 }));
    fc.assert(
      fc.property(hrTime, (time) => {
        const reader = new FieldReader(fixed64(nanosOf(time)));
        reader.next();
        expect(reader.fixed64NanosAsMillis()).toBe(time[0] * 1000 + time[1] / 1e6);
      }),
    );
  });

  it('reads varints of 64 bits exactly, as a number wherever there is one, and cuts them to 32', () => {
    const int64 = fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.maxSafeInteger().map(BigInt));
    fc.assert(
      fc.property(int64, (value) => {
        const bytes = [0x08];
        let rest = BigInt.asUintN(64, value);
        for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
        const reader = new FieldReader(Uint8Array.of(...bytes, Number(rest)));
        reader.next();
        expect(reader.int64()).toBe(BigInt(Number(value)) === value ? Number(value) : value);
        expect(reader.uint32()).toBe(Number(BigInt.asUintN(32, value)));
      }),
    );
  });

  it('stays within its own message', () => {
    // { 2: { 1: "ab" (but says 3 bytes) }, 3: "c" }
    const bytes = Uint8Array.of(0x12, 4, 0x0a, 3, 0x61, 0x62, 0x1a, 1, 0x63);
    const outer = new FieldReader(bytes);
    outer.next();
    const inner = outer.message();
    expect(() => inner.next()).toThrow(MalformedOtlpError);
    expect(outer.next()).toBe(true);
    expect(outer.text()).toBe('c');
  });

  it.each([
    ['a length past the end', [0x0a, 5, 1], 'a field outside of its message at byte 0'],
    ['a length of 2^63', [0x0a, ...Array(9).fill(0xff), 0x01], 'a field outside of its message at byte 0'],
    ['a varint that never ends', [0x08, ...Array(11).fill(0x80)], 'a varint without an end at byte 0'],
    ['a varint of eleven bytes', [0x08, ...Array(10).fill(0x80), 0x00], 'a varint without an end at byte 0'],
    ['a varint cut off', [0x08, 1, 0x08, 0x80], 'a varint without an end at byte 2'],
    ['a fixed32 cut off', [0x0d, 0, 0, 0], 'a field outside of its message at byte 0'],
    ['a fixed64 cut off', [0x09, 0, 0, 0], 'a field outside of its message at byte 0'],
    ['a group', [0x0b, 0x0c], 'wire type 3 at byte 0'],
    ['field number 0', [0x02, 0], 'field number 0 at byte 0'],
    ['a field number of 2^30', [0x80, 0x80, 0x80, 0x80, 0x20, 0], 'field number 1073741824 at byte 0'],
  ])('refuses %s', (_, bytes, message) => {
    const reader = new FieldReader(Uint8Array.from(bytes));
    const readAll = () => {
      while (reader.next());
    };
    expect(readAll).toThrow(MalformedOtlpError);
    expect(readAll).toThrow(`malformed OTLP: ${message}`);
  });
});

describe('writeDelimited', () => {
  it('takes the size that delimitedSize announces, and reads back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 15 }), fc.integer({ min: 0, max: 40_000 }), (field, length) => {
        const target = new Uint8Array(delimitedSize(length));
        expect(writeDelimited(target, 0, field, length) + length).toBe(target.byteLength);
        const reader = new FieldReader(target);
        expect(reader.next() && reader.is(field, LENGTH_DELIMITED) && reader.valueLength).toBe(length);
        expect(reader.next()).toBe(false);
      }),
    );
  });
});
