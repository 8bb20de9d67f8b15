import { Buffer } from 'node:buffer';
import { varintSize } from './byte-writer.js';
import { TextMemory } from './text-memory.js';
import { type Words, wordsOf } from './words.js';

const KEY = 0x0a; // KeyValue.key
const VALUE = 0x12; // KeyValue.value
const STRING = 0x0a; // AnyValue.string_value

/** Places for a tag and a length of one byte, before everything else. */
export const PLACES = 2;

/** A call into Buffer costs as much as copying some 30 characters. */
const MAX_SHORT_TEXT = 31;
const SLOTS = 8;

/**
 * How an attribute begins: KeyValue.key, and the tag of the value that follows. And, since most values of most keys are
 * few (methods, hosts, versions), whole attributes of that key whose value is a short string that came before.
 */
export class KeyField implements Words {
  readonly key: string;
  /** With {@link PLACES} in front. */
  readonly words: Float64Array;
  readonly length: number;
  /** How many ASCII characters a value may have for every length to take one byte; 0 or less: none may. */
  readonly maxShortText: number;
  /** Which one came after it when it last came: attributes mostly keep their order, and this is cheaper than a lookup. */
  next: KeyField = this;
  private memory: TextMemory | undefined;

  constructor(key: string) {
    const head = headOf(key);
    const { words, length } = wordsOf(head);
    this.key = key;
    this.words = words;
    this.length = length;
    this.maxShortText = Math.min(MAX_SHORT_TEXT, 0x7f - (length - PLACES) - 3);
  }

  /** The attribute with this value, with the place for its tag still empty; undefined when it is not remembered. */
  attributeOf(text: string): Words | undefined {
    return (this.memory ?? this.begin()).get(text);
  }

  private begin(): TextMemory {
    const { key } = this;
    this.memory = new TextMemory(SLOTS, (text) => attributeOf(key, text));
    return this.memory;
  }
}

/** Undefined when its length takes more than a byte. */
function attributeOf(key: string, text: string): Buffer | undefined {
  const value = delimited(STRING, text);
  const attribute = Buffer.concat([headOf(key), Buffer.of(value.length), value]);
  if (attribute.length - PLACES > 0x7f) return undefined;
  attribute[1] = attribute.length - PLACES;
  return attribute;
}

/** Not by `delimited`: a key that is not remembered costs this for every attribute. */
function headOf(key: string): Buffer {
  const size = Buffer.byteLength(key);
  const lengthSize = varintSize(size);
  const head = Buffer.allocUnsafe(PLACES + 1 + lengthSize + size + 1);
  head.fill(0, 0, PLACES);
  head[PLACES] = KEY;
  let at = PLACES + 1;
  let rest = size;
  for (; rest > 0x7f; rest >>>= 7) head[at++] = (rest & 0x7f) | 0x80;
  head[at++] = rest;
  head[at + head.write(key, at)] = VALUE;
  return head;
}

// Attribute keys are few in any one program. Nothing enforces that: the cache takes so many, each up to so long.
const MAX_KEYS = 2_000;
const MAX_KEY_LENGTH = 256;
const fields = new Map<string, KeyField>();

/** The field of `key`, which came after that of another one. */
export function keyFieldAfter(before: KeyField, key: string): KeyField {
  const { next } = before;
  if (next.key === key) return next;
  const field = keyFieldOf(key);
  // One that is not kept must not be held by one that is.
  if (fields.get(key) === field) before.next = field;
  return field;
}

export function keyFieldOf(key: string): KeyField {
  return fields.get(key) ?? newKeyField(key);
}

function newKeyField(key: string): KeyField {
  const field = new KeyField(key);
  if (fields.size < MAX_KEYS && key.length <= MAX_KEY_LENGTH) fields.set(key, field);
  return field;
}

/** A length-delimited field with a string. */
export function delimited(tag: number, text: string): Buffer {
  const utf8 = Buffer.from(text);
  const head = [tag];
  let rest = utf8.length;
  for (; rest > 0x7f; rest >>>= 7) head.push((rest & 0x7f) | 0x80);
  head.push(rest);
  return Buffer.concat([Buffer.from(head), utf8]);
}
