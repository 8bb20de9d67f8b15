import { Buffer } from 'node:buffer';
import type { HrTime } from '@opentelemetry/api';
import { asString, codeAt } from './text.js';
import { WorkingBuffer } from './working-buffer.js';

// Places in `wholeSeconds`.
const SECONDS = 0;
const LOW = 1;
const HIGH = 2;
/**
 * Shorter strings are copied character by character, which a call into Buffer costs as much as. (Parts of other strings
 * and joined ones, of which a character costs four times as much, are 13 long at least.)
 */
export const NATIVE_FROM = 24;

/**
 * Protobuf's primitives in a buffer that grows and is reused.
 *
 * Whoever writes fields asks for room first, with `reserve`; the methods that take strings or bytes reserve for
 * themselves. A length-delimited field whose length is not known beforehand is begun with a guess of how many bytes
 * that length will take, and its content is moved if the guess was wrong.
 */
export class ByteWriter {
  /** Of the buffer that is written to, as long as it is. */
  protected bytes: Buffer;
  position: number;
  protected view: DataView;
  private buffer: WorkingBuffer;
  /** The last whole seconds, and what they are in nanoseconds. (Numbers in a field of an object would be garbage.) */
  private readonly wholeSeconds = Float64Array.of(Number.NaN, 0, 0);

  constructor(buffer: WorkingBuffer = new WorkingBuffer()) {
    this.buffer = buffer;
    this.bytes = buffer.bytes;
    this.view = buffer.view;
    this.position = buffer.position;
  }

  /** Goes on in another buffer, where that has been left off; this one then knows how far it has been written. */
  turnTo(buffer: WorkingBuffer): void {
    this.buffer.position = this.position;
    this.buffer = buffer;
    this.bytes = buffer.bytes;
    this.view = buffer.view;
    this.position = buffer.position;
  }

  /** Makes room for `size` more bytes. */
  reserve(size: number): void {
    if (this.position + size > this.bytes.length) this.grow(this.position + size);
  }

  /** A tag or a length below 128, or any other single byte. */
  byte(value: number): void {
    this.bytes[this.position++] = value;
  }

  /** A non-negative integer below 2^32; takes 5 bytes at most. */
  varint(value: number): void {
    const { bytes } = this;
    let at = this.position;
    let rest = value;
    while (rest > 0x7f) {
      bytes[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    bytes[at++] = rest;
    this.position = at;
  }

  /** An int64, given as an integer within [-2^63, 2^63); takes 10 bytes at most. */
  int64(value: number): void {
    if (value >= 0 && value <= 0xffff_ffff) {
      this.varint(value);
      return;
    }
    let high = Math.floor(value / 2 ** 32) >>> 0;
    let low = value - Math.floor(value / 2 ** 32) * 2 ** 32;
    const { bytes } = this;
    let at = this.position;
    while (high > 0 || low > 0x7f) {
      bytes[at++] = (low & 0x7f) | 0x80;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    bytes[at++] = low;
    this.position = at;
  }

  fixed32(value: number): void {
    this.view.setUint32(this.position, value, true);
    this.position += 4;
  }

  double(value: number): void {
    this.view.setFloat64(this.position, value, true);
    this.position += 8;
  }

  /** An `HrTime` as nanoseconds, a fixed64, at `at`; in milliseconds it becomes `millis[index]`. Moves nothing. */
  time(time: HrTime, at: number, millis: Float64Array, index: number): void {
    const seconds = time[0];
    const nanos = time[1];
    const { wholeSeconds } = this;
    if ((seconds !== wholeSeconds[SECONDS] && !this.readSeconds(seconds)) || !isBelowSecond(nanos)) {
      this.oddTime(time, at, millis, index);
      return;
    }
    const wholeNanos = Math.floor(nanos);
    let low = wholeSeconds[LOW]! + wholeNanos;
    let high = wholeSeconds[HIGH]!;
    if (low >= 2 ** 32) {
      low -= 2 ** 32;
      high++;
    }
    const { view } = this;
    view.setUint32(at, low, true);
    view.setUint32(at + 4, high, true);
    millis[index] = seconds * 1000 + wholeNanos / 1e6;
  }

  /** Whole seconds as nanoseconds, in two halves of 32 bits; most spans and their ends share them. */
  private readSeconds(seconds: number): boolean {
    if (!(seconds >= 0 && seconds < MAX_SECONDS && Number.isInteger(seconds))) return false;
    const upper = Math.floor(seconds / 2 ** 16) * 1e9; // below 2^53, and to be multiplied by 2^16
    const lower = (seconds % 2 ** 16) * 1e9;
    const low = (upper % 2 ** 16) * 2 ** 16 + (lower % 2 ** 32);
    this.wholeSeconds[LOW] = low % 2 ** 32;
    this.wholeSeconds[HIGH] = Math.floor(upper / 2 ** 16) + Math.floor(lower / 2 ** 32) + Math.floor(low / 2 ** 32);
    this.wholeSeconds[SECONDS] = seconds;
    return true;
  }

  private oddTime(time: HrTime, at: number, millis: Float64Array, index: number): void {
    const nanos = nanosOf(time);
    this.view.setBigUint64(at, nanos, true);
    millis[index] = Number(nanos / 1_000_000_000n) * 1000 + Number(nanos % 1_000_000_000n) / 1e6;
  }

  /** Bytes as they are, without a length before them; `length` is that of `source`. */
  raw(source: Uint8Array, length: number = intrinsicLength(source)): void {
    this.reserve(length);
    const { bytes, position } = this;
    if (length <= NATIVE_FROM) for (let i = 0; i < length; i++) bytes[position + i] = source[i]!;
    else bytes.set(source, position);
    this.position = position + length;
  }

  /** The length of a string and its UTF-8; a lone surrogate becomes U+FFFD. Throws for what is no string. */
  text(value: string): void {
    const { length } = asString(value);
    this.reserve(utf8Room(value) + 2 * MAX_LENGTH_SIZE);
    const start = this.position;
    const lengthSize = varintSize(length);
    const written = this.utf8(value, start + lengthSize);
    if (written === length) {
      this.varint(length);
      this.position = start + lengthSize + length;
    } else {
      this.position = start + lengthSize + written;
      this.end(start, lengthSize);
    }
  }

  /** Writes UTF-8 at `at`, where there is `utf8Room`; returns how many it took, and moves nothing. */
  utf8(value: string, at: number): number {
    if (typeof value !== 'string') throw new TypeError('not a string');
    const text = asString(value);
    const { length } = text;
    const { bytes } = this;
    if (length >= NATIVE_FROM) return writeUtf8(bytes, text, at);
    for (let i = 0; i < length; i++) {
      const unit = codeAt(text, i);
      if (unit > 0x7f) return writeUtf8(bytes, text, at);
      bytes[at + i] = unit;
    }
    return length;
  }

  /** Begins a field whose length will probably take `lengthSize` bytes; returns what `end` wants to know. */
  begin(lengthSize: number): number {
    this.reserve(lengthSize);
    const start = this.position;
    this.position = start + lengthSize;
    return start;
  }

  /** Ends it: the length is written at `start`, and the content moved if that takes another size. */
  end(start: number, lengthSize: number): void {
    const length = this.position - start - lengthSize;
    const needed = varintSize(length);
    if (needed !== lengthSize) {
      this.reserve(needed);
      this.bytes.copyWithin(start + needed, start + lengthSize, this.position);
    }
    this.position = start;
    this.varint(length);
    this.position = start + needed + length;
  }

  private grow(needed: number): void {
    const { buffer } = this;
    buffer.position = this.position;
    buffer.growTo(needed);
    this.bytes = buffer.bytes;
    this.view = buffer.view;
  }
}

const { write } = Buffer.prototype;
/** `bytes.write(text, at)` without looking either name up: it calls `utf8Write`, which nobody documents and many use. */
const native = (Buffer.prototype as { utf8Write?: typeof write }).utf8Write ?? write;

/** Writes a string at `at`, as far as there is room; returns how many bytes that took. */
export const writeUtf8 = (bytes: Buffer, text: string, at: number): number =>
  native.call(bytes, text, at, bytes.length - at);

const lengthGetter = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), 'length')!.get!;

/** How many bytes there really are. An attribute may be of a subclass of Uint8Array, whose own `length` may say anything. */
export const intrinsicLength = (bytes: Uint8Array): number => lengthGetter.call(bytes) as number;

/** Of longer strings it is worth counting what they take: three bytes a unit would be far too many for most. */
const COUNTED_FROM = 65_536;
const MAX_LENGTH_SIZE = 5;

/** At least as many bytes as the UTF-8 of a string takes. */
export function utf8Room(value: string): number {
  const { length } = asString(value);
  return length < COUNTED_FROM ? 3 * length : Buffer.byteLength(value);
}

const isBelowSecond = (nanos: unknown): boolean => typeof nanos === 'number' && nanos >= 0 && nanos < 1e9;

/** Of a length, which is below 2^32. */
export function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  return value < 0x1000_0000 ? 4 : 5;
}

/** So many seconds, and less than another one, are below 2^64 nanoseconds. */
const MAX_SECONDS = 18_446_744_073;
const MAX_NANOS = 2n ** 64n - 1n;

/** For times that no clock gives: fractions, negative ones, nanoseconds beyond a second, or no time at all. */
function nanosOf(time: unknown): bigint {
  if (!Array.isArray(time)) return 0n;
  const [seconds, nanos] = time as unknown[];
  if (typeof seconds !== 'number' || typeof nanos !== 'number') return 0n;
  if (Number.isNaN(seconds + nanos)) return 0n;
  if (seconds === Number.POSITIVE_INFINITY || nanos === Number.POSITIVE_INFINITY) return MAX_NANOS;
  if (seconds === Number.NEGATIVE_INFINITY || nanos === Number.NEGATIVE_INFINITY) return 0n;
  const wholeSeconds = Math.floor(seconds);
  const total = BigInt(wholeSeconds) * 1_000_000_000n + BigInt(Math.floor((seconds - wholeSeconds) * 1e9 + nanos));
  return total < 0n ? 0n : total > MAX_NANOS ? MAX_NANOS : total;
}
