import { Buffer } from 'node:buffer';
import { patternOf, placeForPattern, storePattern } from './pattern.js';

export const KEY = 0x0a; // KeyValue.key
export const VALUE = 0x12; // KeyValue.value

/** Places for a tag and a length of one byte, before everything else. */
export const PLACES = 2;

/** The longest attribute that is remembered. */
const MAX_KNOWN = 128;

// The keys of a program are few. Nothing enforces that: so many are kept, each up to so long.
const MAX_KEYS = 2_000;
const MAX_KEY_BYTES = 0x7f;
/** Room for the beginning of an attribute. */
export const MAX_HEAD: number = PLACES + 2 + MAX_KEY_BYTES + 1 + 7;
/** Other values than the remembered one, after which it is judged for the first time whether remembering pays. */
const FIRST_TRIAL = 64;
const LAST_TRIAL = 2 ** 20;
/** A length that no value has. */
const NO_TEXT = -1;
const NO_PLACE = -1;

const fields = new Map<string, KeyField>();

/**
 * How an attribute begins: KeyValue.key, and the tag of the value that follows. And, since the values of most keys are few
 * (methods, hosts, versions), one whole attribute of that key: the one that comes most, as far as that can be told.
 */
export class KeyField {
  readonly key: string;
  /** Its beginning as a pattern, with {@link PLACES} in front, and how long that is. */
  readonly pattern: number;
  readonly length: number;
  /** How many ASCII characters a value may have for every length to take one byte; 0 or less: none may. */
  readonly maxShortText: number;
  /** The value of the attribute that is remembered, and its length; the attribute as a pattern, and how long it is. */
  knownText = '';
  knownUnits: number = NO_TEXT;
  knownPattern: number = NO_PLACE;
  knownLength = 0;
  private hits = 0;
  private misses = 0;
  private trial: number = FIRST_TRIAL;
  /** Which came after it lately: attributes mostly keep an order, and following it costs less than looking a key up. */
  private next: KeyField | undefined;
  private other: KeyField | undefined;

  constructor(key: string, pattern: number, length: number) {
    this.key = key;
    this.pattern = pattern;
    this.length = length;
    this.maxShortText = 0x7f - (length - PLACES) - 3;
  }

  /** The field of the key that comes after this one; undefined for one that is not kept. */
  to(key: string): KeyField | undefined {
    const { next, other } = this;
    if (next !== undefined && next.key === key) return next;
    if (other !== undefined && other.key === key) return other;
    return this.toAnother(key);
  }

  private toAnother(key: string): KeyField | undefined {
    const field = keyFieldOf(key);
    if (field !== undefined) {
      this.other = this.next;
      this.next = field;
    }
    return field;
  }

  /** The remembered attribute has been written. */
  hit(): void {
    if (this.hits < this.trial) this.hits++;
  }

  /** Another one has been written, with this value, from `start` to `end`. */
  missed(text: string, bytes: Uint8Array, start: number, end: number): void {
    if (this.trial === 0) return;
    const misses = ++this.misses;
    if (misses === this.trial) this.judge();
    // At the first, the second, the fourth: remembering costs as much as writing some ten attributes.
    else if ((misses & (misses - 1)) === 0 && this.hits < misses && end - start <= MAX_KNOWN) {
      this.remember(text, bytes.subarray(start, end));
    }
  }

  private judge(): void {
    if (this.hits < this.misses) {
      this.trial = 0;
      this.knownUnits = NO_TEXT;
      this.knownText = '';
      return;
    }
    this.hits >>= 1;
    this.misses >>= 1;
    this.trial = Math.min(this.trial * 2, LAST_TRIAL);
  }

  private remember(text: string, attribute: Uint8Array): void {
    if (this.knownPattern === NO_PLACE) this.knownPattern = placeForPattern(MAX_KNOWN) ?? NO_PLACE;
    this.knownUnits = NO_TEXT;
    if (this.knownPattern === NO_PLACE || !storePattern(this.knownPattern, attribute)) return;
    this.knownText = ownCopyOf(text);
    this.knownUnits = text.length;
    this.knownLength = attribute.length;
  }
}

/** Undefined for a key that is not kept. */
export function keyFieldOf(key: string): KeyField | undefined {
  const known = fields.get(key);
  if (known !== undefined) return known;
  const field = newKeyField(key);
  if (field !== undefined) fields.set(field.key, field);
  return field;
}

function newKeyField(key: string): KeyField | undefined {
  if (fields.size >= MAX_KEYS || key.length > MAX_KEY_BYTES) return undefined;
  const utf8 = Buffer.from(key);
  if (utf8.length > MAX_KEY_BYTES) return undefined;
  const head = Buffer.concat([Buffer.alloc(PLACES), Buffer.of(KEY, utf8.length), utf8, Buffer.of(VALUE)]);
  const pattern = patternOf(head);
  if (pattern === undefined) return undefined;
  return new KeyField(ownCopyOf(key), pattern, head.length);
}

/**
 * The same text in memory of its own: what a program cuts out of a larger one keeps all of that alive in V8. A property's
 * name never does, and is the very object that a literal of the program is, so that comparing them costs nothing.
 */
export function ownCopyOf(text: string): string {
  return Object.keys({ [text]: true })[0]!;
}
