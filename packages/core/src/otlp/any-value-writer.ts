import { ByteWriter, intrinsicLength, varintSize } from './byte-writer.js';
import { KEY, type KeyField, keyFieldOf, MAX_HEAD, PLACES, VALUE } from './key-field.js';
import { copyPattern } from './pattern.js';

// AnyValue { 1: string, 2: bool, 3: int64, 4: double, 5: ArrayValue, 6: KeyValueList, 7: bytes }, as tags.
export const STRING = 0x0a;
export const BOOL = 0x10;
export const INT = 0x18;
const DOUBLE = 0x21;
const ARRAY = 0x2a;
const KVLIST = 0x32;
const BYTES = 0x3a;
/** ArrayValue.values and KeyValueList.values. */
const ELEMENT = 0x0a;

const TWO_TO_63 = 2 ** 63;

/**
 * No receiver reads much deeper: protobuf libraries stop at 100 messages, and a level of a map takes three.
 */
export const MAX_DEPTH = 30;
/** Of all containers in one span. A value with more is over every request limit, whatever the elements hold. */
export const MAX_ELEMENTS = 1_000_000;

/** Writes values by the rules of NORMALISE.md. They may be anything: what OTLP cannot express becomes an empty value. */
export class AnyValueWriter extends ByteWriter {
  /** Elements that containers may still have, until it is set anew. */
  elementsLeft = MAX_ELEMENTS;
  /** Whether something has been cut off since it was last set to false. */
  protected isCut = false;
  /** The containers around the value that is being written. */
  protected readonly within: object[] = [];

  /** A KeyValue of a length that is not known yet, and a key that perhaps is not kept. */
  protected nested(tag: number, field: KeyField | undefined, key: string, value: unknown): void {
    this.reserve(MAX_HEAD);
    const start = this.position;
    if (field === undefined) {
      this.position = start + PLACES;
      this.byte(KEY);
      this.text(key);
      this.reserve(1);
      this.byte(VALUE);
    } else {
      copyPattern(field.pattern, field.length, this.view, start);
      this.position = start + field.length;
    }
    this.bytes[start] = tag;
    this.anyValue(value);
    this.end(start + 1, 1);
  }

  /** An AnyValue, with its length before it. */
  private anyValue(value: unknown): void {
    const start = this.begin(1);
    this.reserve(16);
    switch (typeof value) {
      case 'string':
        this.byte(STRING);
        this.text(value);
        break;
      case 'number':
        this.number(value);
        break;
      case 'boolean':
        this.byte(BOOL);
        this.byte(value ? 1 : 0);
        break;
      case 'bigint':
        this.bigint(value);
        break;
      case 'object':
        if (value !== null) this.object(value);
    }
    this.end(start, 1);
  }

  protected number(value: number): void {
    if (isInt64(value)) {
      this.byte(INT);
      this.int64(value);
    } else {
      this.byte(DOUBLE);
      this.double(value);
    }
  }

  private bigint(value: bigint): void {
    if (BigInt.asIntN(64, value) !== value) {
      this.byte(STRING);
      this.text(String(value));
      return;
    }
    this.byte(INT);
    let rest = BigInt.asUintN(64, value);
    for (; rest > 0x7fn; rest >>= 7n) this.byte(Number(rest & 0x7fn) | 0x80);
    this.byte(Number(rest));
  }

  private object(value: object): void {
    if (value instanceof Uint8Array) {
      const length = intrinsicLength(value);
      this.byte(BYTES);
      this.varint(length);
      this.raw(value, length);
    } else if (this.within.length >= MAX_DEPTH || this.within.includes(value)) {
      this.isCut = true;
    } else {
      this.within.push(value);
      if (Array.isArray(value)) this.array(value);
      else this.map(value as Readonly<Record<string, unknown>>);
      this.within.pop();
    }
  }

  private array(values: readonly unknown[]): void {
    this.byte(ARRAY);
    const start = this.begin(1);
    for (let i = 0; i < values.length && this.takeElement(); i++) {
      this.reserve(1);
      this.byte(ELEMENT);
      this.anyValue(values[i]);
    }
    this.end(start, 1);
  }

  private map(values: Readonly<Record<string, unknown>>): void {
    this.byte(KVLIST);
    const start = this.begin(1);
    for (const key in values) {
      if (!isOwn.call(values, key)) continue;
      if (!this.takeElement()) break;
      this.nested(ELEMENT, keyFieldOf(key), key, values[key]);
    }
    this.end(start, 1);
  }

  private takeElement(): boolean {
    if (this.elementsLeft > 0) {
      this.elementsLeft--;
      return true;
    }
    this.isCut = true;
    return false;
  }
}

// `for in` with this very check is what V8 turns into a walk over the hidden class, without a list of keys.
export const isOwn = Object.prototype.hasOwnProperty;

const isInt64 = (value: number): boolean => Number.isInteger(value) && value >= -TWO_TO_63 && value < TWO_TO_63;

/** Of a number as AnyValue. */
export function numberLength(value: number): number {
  if (!isInt64(value)) return 9;
  if (value < 0) return 11;
  if (value <= 0xffff_ffff) return 1 + varintSize(value);
  let size = 5;
  for (let limit = 2 ** 35; value >= limit && size < 9; limit *= 128) size++;
  return 1 + size;
}
