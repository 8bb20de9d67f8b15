import { ByteWriter, varintSize } from './byte-writer.js';
import { type KeyField, keyFieldOf, PLACES } from './key-field.js';

// AnyValue { 1: string, 2: bool, 3: int64, 4: double, 5: ArrayValue, 6: KeyValueList, 7: bytes }, as tags.
const STRING = 0x0a;
const BOOL = 0x10;
const INT = 0x18;
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

/**
 * Writes attributes by the rules of NORMALISE.md. Values may be anything: what OTLP cannot express becomes an empty
 * value, and what is cut off is counted in `leftOut`.
 */
export class ValueWriter extends ByteWriter {
  /** Attributes, since it was last set to 0, that are left out or have lost a part. */
  leftOut = 0;
  /** Elements that containers may still have, until it is set anew. */
  elementsLeft = MAX_ELEMENTS;
  /** Whether a value that throws costs that attribute alone. Without, it ends the span: the caller starts it again. */
  careful = false;
  private isCut = false;
  /** The containers around the value that is being written. */
  protected readonly within: object[] = [];

  /** KeyValues, each as a field whose tag is below 128. */
  attributes(tag: number, attributes: Readonly<Record<string, unknown>> | undefined): void {
    if (typeof attributes !== 'object') return;
    if (this.careful) {
      this.readableAttributes(tag, attributes);
      return;
    }
    for (const key in attributes) if (isOwn.call(attributes, key)) this.attribute(tag, key, attributes[key]);
  }

  private attribute(tag: number, key: string, value: unknown): void {
    const field = keyFieldOf(key);
    // Tag, lengths and the tags of the value, and a number in full; or a remembered attribute, which is shorter.
    this.reserve(field.length + 128);
    if (typeof value === 'string') {
      const start = this.position;
      const remembered = field.attributeOf(value);
      if (remembered === undefined) this.textAttribute(tag, field, value);
      else {
        this.words(remembered, start);
        this.bytes[start] = tag;
        this.position = start + remembered.length;
      }
    } else if (typeof value === 'number') {
      if (value >= 0 && value <= 0x7f && Number.isInteger(value)) {
        this.header(tag, field, 2);
        this.byte(INT);
        this.byte(value);
      } else {
        this.header(tag, field, numberLength(value));
        this.number(value);
      }
    } else if (typeof value === 'boolean') {
      this.header(tag, field, 2);
      this.byte(BOOL);
      this.byte(value ? 1 : 0);
    } else this.otherAttribute(tag, field, value);
  }

  /** Everything before the AnyValue, whose length is known and below 128. */
  private header(tag: number, field: KeyField, valueLength: number): void {
    this.keyValue(tag, field, field.length - PLACES + 1 + valueLength);
    this.byte(valueLength);
  }

  /** Tag and length of a KeyValue, and its key. There is room. */
  private keyValue(tag: number, field: KeyField, length: number): void {
    const start = this.position;
    const lengthSize = varintSize(length);
    this.words(field, start + lengthSize - 1);
    this.bytes[start] = tag;
    this.position = start + 1;
    this.varint(length);
    this.position = start + lengthSize - 1 + field.length;
  }

  private textAttribute(tag: number, field: KeyField, value: string): void {
    const units = value.length;
    this.reserve(field.length + 3 * units + 24);
    const start = this.position;
    const keyLength = field.length - PLACES;
    // First where it belongs if it is ASCII, which nearly all of it is.
    const headerLength = textHeaderLength(keyLength, units);
    const size = this.utf8(value, start + headerLength);
    if (size !== units) {
      const actual = textHeaderLength(keyLength, size);
      const from = start + headerLength;
      if (actual !== headerLength) this.bytes.copyWithin(start + actual, from, from + size);
    }
    // What the key's words have too much is three bytes at most, and so many are between it and the text.
    const stringLength = 1 + varintSize(size) + size;
    this.keyValue(tag, field, keyLength + varintSize(stringLength) + stringLength);
    this.varint(stringLength);
    this.byte(STRING);
    this.varint(size);
    this.position += size;
  }

  private otherAttribute(tag: number, field: KeyField, value: unknown): void {
    this.isCut = false;
    this.nested(tag, field, value);
    if (this.isCut) this.leftOut++;
  }

  /** A KeyValue of a length that is not known yet. */
  private nested(tag: number, field: KeyField, value: unknown): void {
    this.reserve(field.length + 16);
    const start = this.position;
    this.words(field, start);
    this.bytes[start] = tag;
    this.position = start + field.length;
    this.anyValue(value);
    this.end(start + 1, 1);
  }

  private readableAttributes(tag: number, attributes: Readonly<Record<string, unknown>>): void {
    for (const key of ownKeys(attributes)) {
      const { position } = this;
      try {
        this.attribute(tag, key, attributes[key]);
      } catch {
        this.position = position;
        this.within.length = 0;
        this.leftOut++;
      }
    }
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

  private number(value: number): void {
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
      this.byte(BYTES);
      this.varint(value.length);
      this.raw(value);
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
      this.nested(ELEMENT, keyFieldOf(key), values[key]);
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
const isOwn = Object.prototype.hasOwnProperty;

function ownKeys(attributes: object): string[] {
  try {
    return Object.keys(attributes);
  } catch {
    return [];
  }
}

const isInt64 = (value: number): boolean => Number.isInteger(value) && value >= -TWO_TO_63 && value < TWO_TO_63;

/** Of a number as AnyValue. */
function numberLength(value: number): number {
  if (!isInt64(value)) return 9;
  if (value < 0) return 11;
  if (value <= 0xffff_ffff) return 1 + varintSize(value);
  let size = 5;
  for (let limit = 2 ** 35; value >= limit && size < 9; limit *= 128) size++;
  return 1 + size;
}

/** Tag and length of the KeyValue, its key, and everything of the value before the string itself. */
function textHeaderLength(keyLength: number, size: number): number {
  const stringLength = 1 + varintSize(size) + size;
  const valueLength = varintSize(stringLength) + stringLength;
  return 1 + varintSize(keyLength + valueLength) + keyLength + valueLength - size;
}
