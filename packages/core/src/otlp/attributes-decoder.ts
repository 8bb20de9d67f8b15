import { MAX_DEPTH } from './any-value-writer.js';
import { FIXED64, type FieldReader, LENGTH_DELIMITED, VARINT } from './wire.js';

type Values = Record<string, unknown>;

/**
 * Collects the `KeyValue`s of one span, event, link, resource or scope; where keys repeat, the last one counts.
 *
 * An int64 becomes a number, or a bigint where no number is exactly that; bytes are a copy; a list of key-values is an
 * object; an empty value is null. A container more than `MAX_DEPTH` levels down is null too, and its attribute is
 * counted in `leftOut`, as the encoder has it.
 */
export class AttributesDecoder {
  readonly attributes: Values = {};
  leftOut = 0;
  private isCut = false;

  /** Reads one more `KeyValue`. */
  add(keyValue: FieldReader): void {
    this.isCut = false;
    this.keyValue(keyValue, this.attributes, 0);
    if (this.isCut) this.leftOut++;
  }

  private keyValue(fields: FieldReader, into: Values, depth: number): void {
    let key = '';
    let value: unknown = null;
    while (fields.next()) {
      if (fields.is(1, LENGTH_DELIMITED)) key = fields.text();
      else if (fields.is(2, LENGTH_DELIMITED)) value = this.anyValue(fields.message(), value, depth);
    }
    setOwn(into, key, value);
  }

  /** An `AnyValue`. `before` is what it was already: of its alternatives the last one counts, containers are merged. */
  private anyValue(fields: FieldReader, before: unknown, depth: number): unknown {
    let value = before;
    while (fields.next()) {
      if (fields.is(1, LENGTH_DELIMITED)) value = fields.text();
      else if (fields.is(2, VARINT)) value = fields.varint() !== 0;
      else if (fields.is(3, VARINT)) value = fields.int64();
      else if (fields.is(4, FIXED64)) value = fields.double();
      else if (fields.is(7, LENGTH_DELIMITED)) value = fields.copy();
      else if (fields.is(5, LENGTH_DELIMITED)) value = this.array(fields, value, depth + 1);
      else if (fields.is(6, LENGTH_DELIMITED)) value = this.map(fields, value, depth + 1);
    }
    return value;
  }

  private array(field: FieldReader, before: unknown, depth: number): unknown[] | null {
    if (depth > MAX_DEPTH) return this.cut();
    const array = Array.isArray(before) ? before : [];
    const elements = field.message();
    while (elements.next()) {
      if (elements.is(1, LENGTH_DELIMITED)) array.push(this.anyValue(elements.message(), null, depth));
    }
    return array;
  }

  private map(field: FieldReader, before: unknown, depth: number): Values | null {
    if (depth > MAX_DEPTH) return this.cut();
    const map = isMap(before) ? before : {};
    const elements = field.message();
    while (elements.next()) if (elements.is(1, LENGTH_DELIMITED)) this.keyValue(elements.message(), map, depth);
    return map;
  }

  private cut(): null {
    this.isCut = true;
    return null;
  }
}

const isMap = (value: unknown): value is Values =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);

/** As assignment does, but for the one name that assignment takes for the prototype. */
function setOwn(target: Values, key: string, value: unknown): void {
  if (key !== '__proto__') target[key] = value;
  else Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
}
