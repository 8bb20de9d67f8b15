/**
 * Rejection thresholds of consistent probability sampling: a span is kept when its randomness R is at least T, both
 * numbers of 56 bits. They are kept as 14 lower-case hex digits, which compare as strings in the order of the numbers.
 */
export interface Threshold {
  /** 14 hex digits, or {@link NEVER}. */
  readonly hex: string;
  /** As written in `ot=th:…`: without trailing zeros. `undefined` for {@link NEVER}, which cannot be written. */
  readonly th: string | undefined;
  /** The share that is kept, exactly that of `th`. */
  readonly ratio: number;
}

/** Of a threshold that keeps nothing: greater than any 14 hex digits. */
export const NEVER = 'never';
/** The threshold that keeps everything. */
export const ZERO = '00000000000000';
/** Hex digits after leading f's. (The specification recommends 4.) */
export const DEFAULT_PRECISION = 4;

const DIGITS = 14;
const SCALE = 2 ** 56;
const BIG_SCALE = 1n << 56n;

/**
 * The threshold nearest to a ratio in [0, 1] that needs `precision` hex digits, counted after leading f's: small
 * ratios have many, and the digits behind them carry the ratio's own precision. A ratio too small for 56 bits is never.
 */
export function thresholdOf(ratio: number, precision: number = DEFAULT_PRECISION): Threshold {
  // A product with a power of two is exact, and so is a bigint of it.
  const exact = BIG_SCALE - BigInt(Math.round(ratio * SCALE));
  if (exact >= BIG_SCALE) return fromHex(NEVER);
  const digits = Math.min(DIGITS, leadingFs(toHex(exact)) + precision);
  const step = 1n << BigInt(4 * (DIGITS - digits));
  // Rounding up ends at the next leading f at most: the digit after the leading f's is none.
  return fromHex(toHex(((exact + step / 2n) / step) * step));
}

/** Of 14 hex digits or {@link NEVER}. */
export function fromHex(hex: string): Threshold {
  if (hex === NEVER) return { hex, th: undefined, ratio: 0 };
  return { hex, th: writtenThreshold(hex), ratio: Number(BIG_SCALE - BigInt(`0x${hex}`)) / SCALE };
}

/** The share that 14 hex digits, or {@link NEVER}, keep; of more than 53 bits, as near as a number can be. */
export function ratioOf(hex: string): number {
  return hex === NEVER ? 0 : 1 - Number.parseInt(hex, 16) / SCALE;
}

/** Of 56 bits as `ComposableSampler`s have them; anything out of range keeps nothing. */
export function hexOfBigInt(threshold: bigint): string {
  return threshold >= 0n && threshold < BIG_SCALE ? toHex(threshold) : NEVER;
}

/** 14 hex digits as they are written behind `th:`; `0` for the one that keeps everything. */
export function writtenThreshold(hex: string): string {
  let end = DIGITS;
  while (end > 1 && hex.charCodeAt(end - 1) === 48) end--;
  return hex.slice(0, end);
}

/** The higher of two: what both keep. */
export function higherThreshold(a: string, b: string): string {
  return a > b ? a : b;
}

/**
 * Whether the last 56 bits of a trace id are at least `hex`, without allocating. Mostly one or two digits tell. What is
 * no trace id is kept by no threshold but zero.
 */
export function traceIdReaches(traceId: string, hex: string): boolean {
  for (let i = 0; i < DIGITS; i++) {
    // Sets the bit that tells a lower-case letter from its capital, and which digits have anyway.
    const digit = traceId.charCodeAt(TRACE_ID_LENGTH - DIGITS + i) | 0x20;
    const limit = hex.charCodeAt(i);
    if (digit !== limit) return digit > limit && digit <= LETTER_F;
  }
  return true;
}

const TRACE_ID_LENGTH = 32;
const LETTER_F = 102;

function toHex(value: bigint): string {
  return value.toString(16).padStart(DIGITS, '0');
}

function leadingFs(hex: string): number {
  let count = 0;
  while (hex.charCodeAt(count) === LETTER_F) count++;
  return count;
}
