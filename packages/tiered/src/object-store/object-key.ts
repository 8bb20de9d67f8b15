import { createHash } from 'node:crypto';
import { ObjectStoreError } from './object-store-error.js';

// What every store and file system takes as it is: S3's "safe characters" without those that a shell or Windows minds.
const SEGMENT = /^[A-Za-z0-9!_-][A-Za-z0-9!_.-]*$/;
const MAX_SEGMENT_LENGTH = 200;
const MAX_KEY_LENGTH = 1_000;
// Of an escaped segment, before its hash.
const MAX_ESCAPED_LENGTH = 100;
const HASH_LENGTH = 16;

/** Names that Windows keeps for devices, with any extension. */
const DEVICE = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i;

/**
 * Throws `INVALID_KEY` unless the key is one to every store alike: segments of letters, digits and `!_.-` between
 * slashes, each of 200 characters at most, none empty, none that begins with a dot or ends with one; 1,000 in all.
 */
export function checkKey(key: string): void {
  if (!isKey(key)) throw new ObjectStoreError('INVALID_KEY', `not a key: ${JSON.stringify(shortened(key))}`);
}

export const isKey = (key: string): boolean =>
  typeof key === 'string' && key.length <= MAX_KEY_LENGTH && key.split('/').every(isKeySegment);

export const isKeySegment = (segment: string): boolean =>
  segment.length <= MAX_SEGMENT_LENGTH && SEGMENT.test(segment) && !segment.endsWith('.') && !DEVICE.test(segment);

/** The same for a prefix: the beginning of a key, or nothing. */
export function checkPrefix(prefix: string): void {
  if (prefix === '') return;
  const segments = prefix.split('/');
  const last = segments.pop()!;
  // An unfinished segment may still end with a dot, or be the beginning of no device.
  const isFine =
    segments.every(isKeySegment) && (last === '' || (SEGMENT.test(last) && prefix.length <= MAX_KEY_LENGTH));
  if (!isFine) throw new ObjectStoreError('INVALID_KEY', `not a prefix: ${JSON.stringify(shortened(prefix))}`);
}

/**
 * Any text as one segment of a key, different texts as different ones: every byte of its UTF-8 that is no letter, digit,
 * `_`, `-` or `.` becomes `!` and two hexadecimal digits, and so does a dot at either end; the empty text is `!`. One that is longer
 * than 100 characters by then is cut, and `!!` and a hash of all of it added.
 */
export function escapeKeySegment(text: string): string {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.byteLength === 0) return '!';
  let escaped = '';
  for (let at = 0; at < bytes.byteLength && escaped.length <= MAX_ESCAPED_LENGTH; at++) {
    const character = String.fromCharCode(bytes[at]!);
    const isEnd = at === 0 || at === bytes.byteLength - 1;
    escaped += /[A-Za-z0-9_-]/.test(character) || (character === '.' && !isEnd) ? character : hexOf(bytes[at]!);
  }
  if (DEVICE.test(escaped)) escaped = `${hexOf(bytes[0]!)}${escaped.slice(1)}`;
  if (escaped.length <= MAX_ESCAPED_LENGTH) return escaped;
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, HASH_LENGTH);
  return `${escaped.slice(0, MAX_ESCAPED_LENGTH)}!!${hash}`;
}

const hexOf = (byte: number): string => `!${byte.toString(16).padStart(2, '0')}`;
const shortened = (text: unknown): string => `${String(text).slice(0, 80)}`;
