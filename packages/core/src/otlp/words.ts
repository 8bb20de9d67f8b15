/** Bytes that are copied eight at a time: `length` of them count, the rest is padding. */
export interface Words {
  /** Never NaN, whose bits an engine may change: no UTF-8 and no length of ours has its pattern. */
  readonly words: Float64Array;
  readonly length: number;
}

export function wordsOf(bytes: Uint8Array): Words {
  const padded = new Uint8Array(Math.ceil(bytes.length / 8) * 8);
  padded.set(bytes);
  const view = new DataView(padded.buffer);
  const words = new Float64Array(padded.length / 8);
  for (let i = 0; i < words.length; i++) words[i] = view.getFloat64(i * 8, true);
  return { words, length: bytes.length };
}

/** Writes up to seven bytes more than count: whatever comes after is written later. */
export function copyWords(target: DataView, words: Float64Array, at: number): void {
  for (let i = 0; i < words.length; i++) target.setFloat64(at + i * 8, words[i]!, true);
}
