// Short runs of bytes that are written again and again lie next to one another in one piece of memory: nothing has to be
// followed to get to them, and the processor's cache holds more of them.

/** 512 kB, of which only what is used is ever touched. */
const WORDS = 65_536;
/** Never NaN, whose bits an engine may change. */
const words = new Float64Array(WORDS);
let used = 0;

/** A place for so many bytes; undefined when there is none any more. */
export function placeForPattern(maxLength: number): number | undefined {
  const count = Math.ceil(maxLength / 8);
  if (used + count > WORDS) return undefined;
  used += count;
  return used - count;
}

/** Stores bytes; returns false for bytes that cannot be kept as numbers. */
export function storePattern(pattern: number, bytes: Uint8Array): boolean {
  const padded = new Uint8Array(Math.ceil(bytes.length / 8) * 8);
  padded.set(bytes);
  const view = new DataView(padded.buffer);
  for (let i = 0; i < padded.length; i += 8) {
    const word = view.getFloat64(i, true);
    if (Number.isNaN(word)) return false;
    words[pattern + i / 8] = word;
  }
  return true;
}

/** Writes up to seven bytes more than it is long: whatever comes after is written later. */
export function copyPattern(pattern: number, length: number, target: DataView, at: number): void {
  for (let i = 0; i * 8 < length; i++) target.setFloat64(at + i * 8, words[pattern + i]!, true);
}

/** A pattern for good: where it is, or undefined when it cannot be kept. */
export function patternOf(bytes: Uint8Array): number | undefined {
  const pattern = placeForPattern(bytes.length);
  return pattern !== undefined && storePattern(pattern, bytes) ? pattern : undefined;
}
