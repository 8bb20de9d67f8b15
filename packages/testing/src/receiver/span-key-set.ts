import { IDS_BYTES, keyAt } from './decode-ids.js';

const WORDS = IDS_BYTES / 4;
const FIRST_CAPACITY = 1_024;

/**
 * A set of span ids. A million of them take 60 MB, and adding one a quarter of a microsecond: a quarter of what a `Set` of
 * their hex digits takes. Such a one is made for those who ask.
 */
export class SpanKeySet {
  private count = 0;
  /** The ids themselves, in the order of their coming; `words` are the same bytes. */
  private bytes = new Uint8Array(FIRST_CAPACITY * IDS_BYTES);
  private words = new Int32Array(this.bytes.buffer);
  /** Open addressing, at most half full. Two words a slot: the number of a span and one, 0 for none; and its hash. */
  private slots = new Int32Array(4 * FIRST_CAPACITY);
  private asSet: Set<string> | undefined;

  get size(): number {
    return this.count;
  }

  /** As `spanKey` writes them; from now on kept up to date. */
  get keys(): ReadonlySet<string> {
    if (!this.asSet) {
      this.asSet = new Set();
      for (let i = 0; i < this.count; i++) this.asSet.add(keyAt(this.bytes, i));
    }
    return this.asSet;
  }

  /** Adds the first `count` of `ids`. */
  add(ids: Uint8Array, count: number): void {
    for (let i = 0; i < count; i++) {
      if (this.addOne(ids, i * IDS_BYTES)) this.asSet?.add(keyAt(ids, i));
    }
  }

  clear(): void {
    this.count = 0;
    this.bytes = new Uint8Array(FIRST_CAPACITY * IDS_BYTES);
    this.words = new Int32Array(this.bytes.buffer);
    this.slots = new Int32Array(4 * FIRST_CAPACITY);
    this.asSet?.clear();
  }

  /** Whether it is a new one. */
  private addOne(ids: Uint8Array, from: number): boolean {
    if (this.count * WORDS === this.words.length) this.grow();
    // Written where the next one goes; it stays there if it is new.
    const { bytes, words, slots } = this;
    const at = this.count * WORDS;
    for (let i = 0; i < IDS_BYTES; i++) bytes[4 * at + i] = ids[from + i]!;
    const hash = hashAt(words, at);
    for (let slot = slotOf(hash, slots); ; slot = next(slot, slots)) {
      const known = slots[slot]!;
      if (known === 0) {
        slots[slot] = ++this.count;
        slots[slot + 1] = hash;
        return true;
      }
      if (slots[slot + 1] === hash && isSame(words, (known - 1) * WORDS, at)) return false;
    }
  }

  private grow(): void {
    const bytes = new Uint8Array(2 * this.bytes.length);
    bytes.set(this.bytes);
    this.bytes = bytes;
    this.words = new Int32Array(bytes.buffer);
    const old = this.slots;
    const slots = new Int32Array(2 * old.length);
    for (let from = 0; from < old.length; from += 2) {
      if (old[from] === 0) continue;
      let slot = slotOf(old[from + 1]!, slots);
      while (slots[slot] !== 0) slot = next(slot, slots);
      slots[slot] = old[from]!;
      slots[slot + 1] = old[from + 1]!;
    }
    this.slots = slots;
  }
}

const slotOf = (hash: number, slots: Int32Array): number => (hash << 1) & (slots.length - 1);

const next = (slot: number, slots: Int32Array): number => (slot + 2) & (slots.length - 1);

/** Ids are random as a rule, but tests number them. */
function hashAt(words: Int32Array, at: number): number {
  let hash = 0;
  for (let i = at; i < at + WORDS; i++) {
    hash = Math.imul(hash ^ words[i]!, 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return hash;
}

function isSame(words: Int32Array, a: number, b: number): boolean {
  for (let i = 0; i < WORDS; i++) if (words[a + i] !== words[b + i]) return false;
  return true;
}
