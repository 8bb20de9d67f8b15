import { Buffer } from 'node:buffer';

const KEY = 0x0a; // KeyValue.key
const VALUE = 0x12; // KeyValue.value
const STRING = 0x0a; // AnyValue.string_value

/** Bytes that are copied four at a time: `length` of them count, the rest of the last word is padding. */
export interface Words {
  readonly words: Uint32Array;
  readonly length: number;
}

/** Places for a tag and a length of one byte, before everything else. */
export const PLACES = 2;

/** Longer strings are not remembered: they repeat seldom, and copying them costs little beside what they cost anyway. */
const MAX_REMEMBERED_LENGTH = 64;
const SLOTS = 8;
/** Lookups after which it is judged whether remembering pays. */
const TRIAL = 256;
/** What is remembered may give way to what comes more often now, but not for ever: making it costs. */
const MAX_REMEMBERED = 4 * SLOTS;

/**
 * How an attribute begins: KeyValue.key, and the tag of the value that follows. And, since most values of most keys are
 * few (methods, hosts, versions), whole attributes of that key whose value is a short string that came before.
 */
export class KeyField implements Words {
  /** With {@link PLACES} in front. */
  readonly words: Uint32Array;
  readonly length: number;
  private readonly head: Buffer;
  private texts: (RememberedText | undefined)[] | undefined;
  private candidates: (string | undefined)[] = [];
  private lookups = 0;
  private hits = 0;
  private made = 0;

  constructor(key: string) {
    this.head = Buffer.concat([Buffer.alloc(PLACES), delimited(KEY, key), Buffer.of(VALUE)]);
    this.length = this.head.length;
    this.words = wordsOf(this.head);
    // A key so long leaves no room for a value within the 127 bytes that a length of one byte can say.
    this.texts = this.length < 64 ? Array(SLOTS).fill(undefined) : undefined;
    this.candidates = Array(SLOTS).fill(undefined);
  }

  /** The attribute with this value, with the place for its tag still empty; undefined when it is not remembered. */
  attributeOf(text: string): Words | undefined {
    const { texts } = this;
    const { length } = text;
    if (texts === undefined || length === 0 || length > MAX_REMEMBERED_LENGTH) return undefined;
    const slot = (length ^ text.charCodeAt(length - 1)) & (SLOTS - 1);
    const remembered = texts[slot];
    this.lookups++;
    if (remembered !== undefined && remembered.text === text) {
      this.hits++;
      return remembered;
    }
    return this.remember(text, slot);
  }

  /** A value is remembered when it comes a second time; a key whose values hardly repeat is given up. */
  private remember(text: string, slot: number): Words | undefined {
    if (this.lookups >= TRIAL) {
      if (this.hits < this.lookups / 4) {
        this.texts = undefined;
        this.candidates = [];
        return undefined;
      }
      this.lookups = 0;
      this.hits = 0;
    }
    if (this.made >= MAX_REMEMBERED) return undefined;
    if (this.candidates[slot] !== text) {
      this.candidates[slot] = text;
      return undefined;
    }
    this.made++;
    const value = delimited(STRING, text);
    const attribute = Buffer.concat([this.head, Buffer.of(value.length), value]);
    if (attribute.length - PLACES >= 0x80) return undefined;
    attribute[1] = attribute.length - PLACES;
    const remembered = { text, words: wordsOf(attribute), length: attribute.length };
    this.texts![slot] = remembered;
    return remembered;
  }
}

interface RememberedText extends Words {
  readonly text: string;
}

// Attribute keys are few in any one program. Nothing enforces that: the cache takes so many, each up to so long.
const MAX_KEYS = 2_000;
const MAX_KEY_LENGTH = 256;
const fields = new Map<string, KeyField>();

export function keyFieldOf(key: string): KeyField {
  return fields.get(key) ?? newKeyField(key);
}

function newKeyField(key: string): KeyField {
  const field = new KeyField(key);
  if (fields.size < MAX_KEYS && key.length <= MAX_KEY_LENGTH) fields.set(key, field);
  return field;
}

/** A length-delimited field with a string. */
function delimited(tag: number, text: string): Buffer {
  const utf8 = Buffer.from(text);
  const head = [tag];
  let rest = utf8.length;
  for (; rest > 0x7f; rest >>>= 7) head.push((rest & 0x7f) | 0x80);
  head.push(rest);
  return Buffer.concat([Buffer.from(head), utf8]);
}

function wordsOf(bytes: Uint8Array): Uint32Array {
  const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
  padded.set(bytes);
  const view = new DataView(padded.buffer);
  return Uint32Array.from({ length: padded.length / 4 }, (_, i) => view.getUint32(i * 4, true));
}
