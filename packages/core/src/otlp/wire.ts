import { Buffer } from 'node:buffer';

// The protobuf wire format, as much of it as is needed to walk messages without decoding them:
// https://protobuf.dev/programming-guides/encoding/

export const VARINT = 0;
export const FIXED64 = 1;
export const LENGTH_DELIMITED = 2;
export const FIXED32 = 5;

/** Bytes that are not what they should be. `offset` is where, within the buffer that was read. */
export class MalformedOtlpError extends Error {
  readonly offset: number;

  constructor(problem: string, offset: number) {
    super(`malformed OTLP: ${problem} at byte ${offset}`);
    this.name = 'MalformedOtlpError';
    this.offset = offset;
  }
}

/**
 * Walks the fields of one message, from `start` to `end` of `bytes`, and never reads outside of them:
 *
 *     const fields = new FieldReader(bytes);
 *     while (fields.next()) if (fields.is(1, LENGTH_DELIMITED)) use(fields.message());
 */
export class FieldReader {
  /** Where the current field begins, tag included. */
  fieldStart = 0;
  /** Where its value begins, tag and length excluded. */
  valueStart = 0;
  /** Where the field ends, and the next one begins. */
  fieldEnd: number;
  private readonly bytes: Buffer;
  private readonly end: number;
  private position: number;
  private fieldNumber = 0;
  private wireType = VARINT;
  private integer = 0;

  constructor(bytes: Uint8Array, start = 0, end: number = bytes.byteLength) {
    this.bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.end = end;
    this.position = start;
    this.fieldEnd = start;
  }

  /** Moves to the next field; false at the end of the message. */
  next(): boolean {
    if (this.fieldEnd === this.end) return false;
    this.fieldStart = this.fieldEnd;
    this.position = this.fieldEnd;
    const tag = this.readVarint();
    this.fieldNumber = Math.floor(tag / 8);
    this.wireType = tag % 8;
    if (this.fieldNumber < 1 || this.fieldNumber > MAX_FIELD_NUMBER) {
      throw new MalformedOtlpError(`field number ${this.fieldNumber}`, this.fieldStart);
    }
    this.skipValue();
    if (this.position > this.end) throw new MalformedOtlpError('a field outside of its message', this.fieldStart);
    this.fieldEnd = this.position;
    return true;
  }

  /** Whether the current field is this one. With another wire type it is an unknown field: the protobuf rule. */
  is(fieldNumber: number, wireType: number): boolean {
    return this.fieldNumber === fieldNumber && this.wireType === wireType;
  }

  /** The fields of the current length-delimited value. */
  message(): FieldReader {
    return new FieldReader(this.bytes, this.valueStart, this.fieldEnd);
  }

  /** Bytes of the current length-delimited value. */
  get valueLength(): number {
    return this.fieldEnd - this.valueStart;
  }

  /** The current varint; exact up to 2^53. */
  varint(): number {
    return this.integer;
  }

  /** The current varint as a uint32, or as the bits of an int32: what does not fit is cut off, the protobuf rule. */
  uint32(): number {
    return this.integer <= Number.MAX_SAFE_INTEGER
      ? this.integer % 2 ** 32
      : Number(BigInt.asUintN(32, this.exactVarint()));
  }

  /** The current varint as an int64: a bigint where no number is exactly that. */
  int64(): number | bigint {
    if (this.integer <= Number.MAX_SAFE_INTEGER) return this.integer;
    const exact = BigInt.asIntN(64, this.exactVarint());
    const value = Number(exact);
    return BigInt(value) === exact ? value : exact;
  }

  /** The current fixed64 as a double. */
  double(): number {
    return this.bytes.readDoubleLE(this.valueStart);
  }

  /** The current fixed32. */
  fixed32(): number {
    return this.uint16(0) + this.uint16(2) * 2 ** 16;
  }

  /** The current fixed64, nanoseconds, as milliseconds: the same number that an SDK's `HrTime` gives. */
  fixed64NanosAsMillis(): number {
    const [seconds, nanos] = this.fixed64NanosAsHrTime();
    return seconds * 1000 + nanos / 1e6;
  }

  /** The current fixed64, nanoseconds, as seconds and nanoseconds. */
  fixed64NanosAsHrTime(): [seconds: number, nanos: number] {
    // Long division, 16 bits at a time: 64 bits do not fit a double, and a BigInt costs more than the whole span.
    let seconds = 0;
    let nanos = 0;
    for (let offset = 6; offset >= 0; offset -= 2) {
      const dividend = nanos * 2 ** 16 + this.uint16(offset);
      const quotient = Math.floor(dividend / 1e9);
      seconds = seconds * 2 ** 16 + quotient;
      nanos = dividend - quotient * 1e9;
    }
    return [seconds, nanos];
  }

  /** The current bytes value in hexadecimal, as the SDK writes ids. */
  hex(): string {
    return this.bytes.toString('hex', this.valueStart, this.fieldEnd);
  }

  /** The current string value. What is no UTF-8 in it is U+FFFD. */
  text(): string {
    return this.bytes.toString('utf8', this.valueStart, this.fieldEnd);
  }

  /** A copy of the current bytes value. */
  copy(): Uint8Array {
    return new Uint8Array(this.bytes.subarray(this.valueStart, this.fieldEnd));
  }

  private skipValue(): void {
    this.valueStart = this.position;
    switch (this.wireType) {
      case VARINT:
        this.integer = this.readVarint();
        break;
      case FIXED64:
        this.position += 8;
        break;
      case LENGTH_DELIMITED: {
        const length = this.readVarint();
        this.valueStart = this.position;
        this.position += length;
        break;
      }
      case FIXED32:
        this.position += 4;
        break;
      default:
        throw new MalformedOtlpError(`wire type ${this.wireType}`, this.fieldStart);
    }
  }

  private exactVarint(): bigint {
    let value = 0n;
    for (let at = this.fieldEnd - 1; at >= this.valueStart; at--)
      value = (value << 7n) | BigInt(this.bytes[at]! & 0x7f);
    return value;
  }

  /** Reads a varint at `position` and moves past it. */
  private readVarint(): number {
    let value = 0;
    let unit = 1;
    for (let read = 0; read < MAX_VARINT_BYTES && this.position < this.end; read++, unit *= 128) {
      const byte = this.bytes[this.position++]!;
      value += (byte & 0x7f) * unit;
      if (byte < 0x80) return value;
    }
    throw new MalformedOtlpError('a varint without an end', this.fieldStart);
  }

  private uint16(offset: number): number {
    const at = this.valueStart + offset;
    return this.bytes[at]! | (this.bytes[at + 1]! << 8);
  }
}

const MAX_VARINT_BYTES = 10;
const MAX_FIELD_NUMBER = 2 ** 29 - 1;

/** The size of a length-delimited field whose field number is at most 15. */
export function delimitedSize(length: number): number {
  let size = 2 + length;
  for (let rest = length; rest >= 0x80; rest = Math.floor(rest / 128)) size++;
  return size;
}

/** Writes tag and length of such a field at `offset`; returns where its value begins. */
export function writeDelimited(target: Uint8Array, offset: number, fieldNumber: number, length: number): number {
  let at = offset;
  target[at++] = (fieldNumber << 3) | LENGTH_DELIMITED;
  let rest = length;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) target[at++] = (rest & 0x7f) | 0x80;
  target[at++] = rest;
  return at;
}
