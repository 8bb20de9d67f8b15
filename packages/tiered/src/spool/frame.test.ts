import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  crcOf,
  decodeFrameHeader,
  decodeSeal,
  decodeSegmentHeader,
  encodeFrameHeader,
  encodeSeal,
  encodeSegmentHeader,
  FRAME_HEADER_BYTES,
  frameKey,
  newToken,
  SEAL_BYTES,
  SEGMENT_HEADER_BYTES,
} from './frame.js';

const integer = fc.maxSafeNat();
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const millis = fc.integer({ min: 0, max: 2 ** 48 - 1 });
const segmentHeader = fc.record({ number: integer, createdMillis: millis, token: fc.bigInt(0n, 2n ** 64n - 1n) });
const frameHeader = fc.record({
  bodyBytes: u32,
  spanCount: u32,
  id: integer,
  wallMillis: millis,
  bodyCrc: u32,
  isSeal: fc.constant(false),
});
const seal = fc.record({ frames: integer, spans: integer, lastId: integer, newestMillis: millis, offset: integer });

const key = frameKey(newToken());

describe.each([
  ['segment header', segmentHeader, encodeSegmentHeader, decodeSegmentHeader, SEGMENT_HEADER_BYTES],
  ['frame header', frameHeader, encodeFrameHeader, decodeFrameHeader, FRAME_HEADER_BYTES],
  ['seal', seal, encodeSeal, decodeSeal, SEAL_BYTES],
])('%s', (_, arbitrary, encode, decode, size) => {
  it('is read as it was written', () => {
    fc.assert(
      fc.property(arbitrary as fc.Arbitrary<never>, (value) => {
        const bytes = encode(value, key);
        expect(bytes.byteLength).toBe(size);
        expect(decode(Buffer.from(bytes), key)).toEqual(value);
      }),
    );
  });

  it('is none when any bit of it is wrong', () => {
    fc.assert(
      fc.property(arbitrary as fc.Arbitrary<never>, fc.nat(size * 8 - 1), (value, bit) => {
        const bytes = Buffer.from(encode(value, key));
        bytes[bit >> 3]! ^= 1 << (bit & 7);
        expect(decode(bytes, key)).toBeUndefined();
      }),
    );
  });
});

it('takes the checksum of chunks as of one piece', () => {
  const bytes = Buffer.from('what was encoded');
  expect(crcOf([bytes.subarray(0, 4), bytes.subarray(4)])).toBe(crcOf([bytes]));
  expect(crcOf([Buffer.from('123456789')])).toBe(0xcbf4_3926);
});
