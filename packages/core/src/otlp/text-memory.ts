import { codeAt } from './code-at.js';
import { type Words, wordsOf } from './words.js';

/** Longer texts are not remembered: they repeat seldom, and copying them costs little beside what they cost anyway. */
const MAX_LENGTH = 64;
/** Lookups after which it is judged whether remembering pays. */
const TRIAL = 256;

/**
 * Texts that came before, and what they were encoded to. A small table without chains: a text has one place, by its
 * length and its last character, and shares it with others. It is remembered when it comes to its place twice in a row,
 * so texts that never come again cost a comparison; where nearly all are like that, the table is given up.
 */
export class TextMemory {
  private readonly slots: number;
  private readonly encode: (text: string) => Uint8Array | undefined;
  private known: (Known | undefined)[] | undefined;
  /** What came last to each place, as a {@link digestOf} it: the text itself may be part of a huge one. */
  private candidates: number[];
  private lookups = 0;
  private hits = 0;
  /** What is remembered may give way to what comes more often now, but not for ever: encoding it anew costs. */
  private left: number;

  /** `slots` is a power of two; `encode` returns nothing for a text that cannot be remembered. */
  constructor(slots: number, encode: (text: string) => Uint8Array | undefined) {
    this.slots = slots;
    this.encode = encode;
    this.known = new Array(slots).fill(undefined);
    this.candidates = new Array(slots).fill(NONE);
    this.left = slots * 4;
  }

  /** Undefined when it is not remembered. */
  get(text: string): Words | undefined {
    const { known } = this;
    const { length } = text;
    if (known === undefined || length === 0 || length > MAX_LENGTH) return undefined;
    const slot = (length * 7 + codeAt(text, length - 1)) & (this.slots - 1);
    const found = known[slot];
    this.lookups++;
    if (found !== undefined && found.text === text) {
      this.hits++;
      return found;
    }
    return this.remember(text, slot);
  }

  private remember(text: string, slot: number): Words | undefined {
    if (this.lookups >= TRIAL && !this.isWorthIt()) return undefined;
    if (this.left <= 0) return undefined;
    const digest = digestOf(text);
    // Another text of the same digest costs one encoding.
    if (this.candidates[slot] !== digest) {
      this.candidates[slot] = digest;
      return undefined;
    }
    this.left--;
    const encoded = this.encode(text);
    if (encoded === undefined) return undefined;
    const remembered = { text: ownCopyOf(text), ...wordsOf(encoded) };
    this.known![slot] = remembered;
    return remembered;
  }

  private isWorthIt(): boolean {
    const { lookups, hits } = this;
    this.lookups = 0;
    this.hits = 0;
    if (hits >= lookups / 4) return true;
    this.known = undefined;
    this.candidates = [];
    return false;
  }
}

const NONE = -1;

/** Of the length and some 16 characters, the last among them; not negative, and small enough to need no memory. */
function digestOf(text: string): number {
  const { length } = text;
  const step = 1 + (length >>> 4);
  let digest = length;
  for (let i = length - 1; i >= 0; i -= step) digest = Math.imul(digest, 31) + codeAt(text, i);
  return digest & 0x3fff_ffff;
}

/**
 * The same text in memory of its own: what a program cuts out of a larger one keeps all of that alive in V8. A property's
 * name never does, and is the very object that a literal of the program is, so that comparing them costs nothing.
 */
function ownCopyOf(text: string): string {
  return Object.keys({ [text]: true })[0]!;
}

interface Known extends Words {
  readonly text: string;
}
