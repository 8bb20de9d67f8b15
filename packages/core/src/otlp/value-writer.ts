import { ByteWriter, varintSize } from './byte-writer.js';
import { KeyField, keyFieldAfter, keyFieldOf, PLACES } from './key-field.js';
import { copyWords } from './words.js';

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

/** Tag, lengths and tags of the value, and a number or a short string; also a remembered attribute, beside its key. */
const MAX_SIMPLE_VALUE = 160;
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
    // Two thirds of all encoding is this loop. It keeps its state in local variables, and deals itself with the values
    // that nearly all attributes have: that halves what an attribute costs.
    let { bytes, view, position: at } = this;
    let field = FIRST;
    const isPlain = isPlainObject(attributes);
    for (const key in attributes) {
      if (!isPlain && !isOwn.call(attributes, key)) continue;
      const value = attributes[key];
      field = keyFieldAfter(field, key);
      const { length } = field;
      if (at + length + MAX_SIMPLE_VALUE > bytes.length) {
        this.position = at;
        this.reserve(length + MAX_SIMPLE_VALUE);
        ({ bytes, view } = this);
      }
      if (typeof value === 'string') {
        const remembered = field.attributeOf(value);
        if (remembered !== undefined) {
          copyWords(view, remembered.words, at);
          bytes[at] = tag;
          at += remembered.length;
          continue;
        }
        const units = value.length;
        if (units <= field.maxShortText) {
          copyWords(view, field.words, at);
          const textStart = at + length + 3;
          let seen = 0;
          for (let i = 0; i < units; i++) {
            const unit = value.charCodeAt(i);
            seen |= unit;
            bytes[textStart + i] = unit;
          }
          if (seen <= 0x7f) {
            bytes[at] = tag;
            bytes[at + 1] = length - PLACES + 3 + units;
            bytes[at + length] = 2 + units;
            bytes[at + length + 1] = STRING;
            bytes[at + length + 2] = units;
            at = textStart + units;
            continue;
          }
        }
      } else if (field.maxShortText > 0) {
        const isSmall = typeof value === 'number' && value >= 0 && value < 0x4000 && Number.isInteger(value);
        if (isSmall || typeof value === 'boolean') {
          const number = value as number;
          const size = isSmall && number > 0x7f ? 3 : 2;
          copyWords(view, field.words, at);
          bytes[at] = tag;
          bytes[at + 1] = length - PLACES + 1 + size;
          bytes[at + length] = size;
          bytes[at + length + 1] = isSmall ? INT : BOOL;
          if (size === 2) bytes[at + length + 2] = isSmall ? number : value ? 1 : 0;
          else {
            bytes[at + length + 2] = (number & 0x7f) | 0x80;
            bytes[at + length + 3] = number >>> 7;
          }
          at += length + 1 + size;
          continue;
        }
      }
      this.position = at;
      this.attribute(tag, field, value);
      ({ bytes, view, position: at } = this);
    }
    this.position = at;
  }

  private attribute(tag: number, field: KeyField, value: unknown): void {
    this.reserve(field.length + MAX_SIMPLE_VALUE);
    if (typeof value === 'string') this.textAttribute(tag, field, value);
    else if (typeof value === 'number') {
      this.header(tag, field, numberLength(value));
      this.number(value);
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
    copyWords(this.view, field.words, start + lengthSize - 1);
    this.bytes[start] = tag;
    this.position = start + 1;
    this.varint(length);
    this.position = start + lengthSize - 1 + field.length;
  }

  private textAttribute(tag: number, field: KeyField, value: string): void {
    const units = value.length;
    this.reserve(field.length + 3 * units + 64);
    const start = this.position;
    // As if it were ASCII, which nearly all of it is.
    this.textHeader(tag, field, units);
    const textStart = this.position;
    const size = this.utf8(value, textStart);
    if (size !== units) {
      // Out of the way of the key's padding, and back.
      const aside = textStart + 32;
      this.bytes.copyWithin(aside, textStart, textStart + size);
      this.position = start;
      this.textHeader(tag, field, size);
      this.bytes.copyWithin(this.position, aside, aside + size);
    }
    this.position += size;
  }

  /** Everything before the string itself, of so many bytes. */
  private textHeader(tag: number, field: KeyField, size: number): void {
    const stringLength = 1 + varintSize(size) + size;
    this.keyValue(tag, field, field.length - PLACES + varintSize(stringLength) + stringLength);
    this.varint(stringLength);
    this.byte(STRING);
    this.varint(size);
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
    copyWords(this.view, field.words, start);
    this.bytes[start] = tag;
    this.position = start + field.length;
    this.anyValue(value);
    this.end(start + 1, 1);
  }

  private readableAttributes(tag: number, attributes: Readonly<Record<string, unknown>>): void {
    for (const key of ownKeys(attributes)) {
      const { position } = this;
      try {
        this.attribute(tag, keyFieldOf(key), attributes[key]);
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

/** What comes before the first attribute. */
const FIRST = new KeyField('');

/** Whether `for in` gives own keys alone, as it does unless somebody has extended the prototype of all objects. */
function isPlainObject(value: object | undefined): boolean {
  if (value === undefined || Object.getPrototypeOf(value) !== Object.prototype) return false;
  for (const _ in Object.prototype) return false;
  return true;
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
