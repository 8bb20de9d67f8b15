import { asString, codeAt } from './text.js';

export const TRACE_ID_BYTES = 16;
export const SPAN_ID_BYTES = 8;

/** Thrown for a span that has no ids, or whose ids cannot be read. */
export class UnreadableSpanError extends Error {
  constructor(options?: ErrorOptions) {
    super('a span cannot be read', options);
    this.name = 'UnreadableSpanError';
  }
}

/**
 * Writes an id of `size` bytes, given in hexadecimal, at `at`; a shorter one is taken as if it had zeros before it.
 * Throws an `UnreadableSpanError` when that is not what it is.
 */
export function writeId(bytes: Uint8Array, at: number, id: string, size: number): void {
  const text = typeof id === 'string' && asString(id).length === size * 2 ? id : padded(id, size * 2);
  let seen = 0;
  for (let i = 0; i < size; i++) {
    const high = codeAt(text, i * 2);
    const low = codeAt(text, i * 2 + 1);
    if ((high | low) > 0x7f) throw new UnreadableSpanError();
    const byte = HEX[high]! | HEX[low + 128]!;
    seen |= byte;
    bytes[at + i] = byte;
  }
  if (seen > 0xff) throw new UnreadableSpanError();
}

/** The first half: of the digit that counts 16. The second: of the other. What is no digit sets bit 8. */
const HEX = new Uint16Array(256).fill(0x100);
for (const digit of '0123456789abcdefABCDEF') {
  HEX[codeAt(digit, 0)] = Number.parseInt(digit, 16) << 4;
  HEX[codeAt(digit, 0) + 128] = Number.parseInt(digit, 16);
}

function padded(id: unknown, digits: number): string {
  if (typeof id !== 'string' || id === '' || id.length > digits) throw new UnreadableSpanError();
  return id.padStart(digits, '0');
}
