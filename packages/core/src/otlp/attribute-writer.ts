import { AnyValueWriter, BOOL, INT, isOwn, numberLength, STRING } from './any-value-writer.js';
import { NATIVE_FROM, utf8Room, varintSize, writeUtf8 } from './byte-writer.js';
import { KeyField, MAX_HEAD, PLACES } from './key-field.js';
import { copyPattern } from './pattern.js';
import { asString, codeAt } from './text.js';

/** Room for an attribute that is remembered, or has a number, or a string of up to 127 characters. */
const MAX_SIMPLE = MAX_HEAD + 3 * 0x80;

/**
 * An object that has been given more properties than this one by one, as spans are, is a hash table to V8 and no longer
 * has a hidden class. One such object in the loop below would make walking all the others twice as slow.
 */
const MAX_FAST_PROPERTIES = 19;

/**
 * Writes attributes by the rules of NORMALISE.md, and counts in `leftOut` those that are left out or have lost a part.
 */
export class AttributeWriter extends AnyValueWriter {
  /** Since it was last set to 0. */
  leftOut = 0;
  /** Whether a value that throws costs that attribute alone. Without, it ends the span: the caller starts it again. */
  careful = false;

  /**
   * KeyValues, each as a field whose tag is below 128. `count` is how many there are, as far as that is known: nothing
   * depends on it but the time it takes.
   */
  attributes(tag: number, attributes: Readonly<Record<string, unknown>> | undefined, count = 0): void {
    if (typeof attributes !== 'object') return;
    if (this.careful || count > MAX_FAST_PROPERTIES) {
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
      const next = field.to(key);
      if (next === undefined) {
        this.position = at;
        this.otherAttribute(tag, undefined, key, value);
        ({ bytes, view, position: at } = this);
        continue;
      }
      field = next;
      const { length } = field;
      if (at + MAX_SIMPLE > bytes.length) {
        this.position = at;
        this.reserve(MAX_SIMPLE);
        ({ bytes, view } = this);
      }
      if (typeof value === 'string') {
        const start = at;
        const text = asString(value);
        const units = text.length;
        if (units === field.knownUnits && text === field.knownText) {
          const { knownLength } = field;
          copyPattern(field.knownPattern, knownLength, view, at);
          bytes[at] = tag;
          at += knownLength;
          field.hit();
          continue;
        }
        let seen = 0x80;
        if (units <= field.maxShortText) {
          copyPattern(field.pattern, length, view, at);
          const textStart = at + length + 3;
          if (units >= NATIVE_FROM) {
            if (writeUtf8(bytes, text, textStart) === units) seen = 0;
          } else {
            seen = 0;
            for (let i = 0; i < units; i++) {
              const unit = codeAt(text, i);
              seen |= unit;
              bytes[textStart + i] = unit;
            }
          }
          bytes[at] = tag;
          bytes[at + 1] = length - PLACES + 3 + units;
          bytes[at + length] = 2 + units;
          bytes[at + length + 1] = STRING;
          bytes[at + length + 2] = units;
          at = textStart + units;
        }
        if (seen > 0x7f) {
          this.position = start;
          this.textAttribute(tag, field, text);
          ({ bytes, view, position: at } = this);
        }
        field.missed(text, bytes, start, at);
        continue;
      }
      if (field.maxShortText > 0) {
        const isSmall = typeof value === 'number' && value >= 0 && value < 0x4000 && Number.isInteger(value);
        if (isSmall || typeof value === 'boolean') {
          const number = value as number;
          const size = isSmall && number > 0x7f ? 3 : 2;
          copyPattern(field.pattern, length, view, at);
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
    this.reserve(MAX_SIMPLE);
    if (typeof value === 'string') this.textAttribute(tag, field, value);
    else if (typeof value === 'number') {
      this.header(tag, field, numberLength(value));
      this.number(value);
    } else if (typeof value === 'boolean') {
      this.header(tag, field, 2);
      this.byte(BOOL);
      this.byte(value ? 1 : 0);
    } else this.otherAttribute(tag, field, field.key, value);
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
    copyPattern(field.pattern, field.length, this.view, start + lengthSize - 1);
    this.bytes[start] = tag;
    this.position = start + 1;
    this.varint(length);
    this.position = start + lengthSize - 1 + field.length;
  }

  private textAttribute(tag: number, field: KeyField, value: string): void {
    const units = asString(value).length;
    this.reserve(field.length + utf8Room(value) + 64);
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

  private otherAttribute(tag: number, field: KeyField | undefined, key: string, value: unknown): void {
    this.isCut = false;
    this.nested(tag, field, key, value);
    if (this.isCut) this.leftOut++;
  }

  private readableAttributes(tag: number, attributes: Readonly<Record<string, unknown>>): void {
    let field = FIRST;
    for (const key of ownKeys(attributes)) {
      const { position } = this;
      try {
        const value = attributes[key];
        const next = field.to(key);
        if (next === undefined) this.otherAttribute(tag, undefined, key, value);
        else {
          field = next;
          this.attribute(tag, field, value);
        }
      } catch {
        this.position = position;
        this.within.length = 0;
        this.leftOut++;
      }
    }
  }
}

/** What comes before the first attribute. */
const FIRST = new KeyField('', 0, 0);

/** Whether `for in` gives own keys alone, as it does unless somebody has extended the prototype of all objects. */
function isPlainObject(value: object | undefined): boolean {
  if (value === undefined || Object.getPrototypeOf(value) !== Object.prototype) return false;
  for (const _ in Object.prototype) return false;
  return true;
}

function ownKeys(attributes: object): string[] {
  try {
    return Object.keys(attributes);
  } catch {
    return [];
  }
}
