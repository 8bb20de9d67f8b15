// Values may be nested, and even cyclic, on SDK 3. What lies deeper, or comes later, is left as it is.
const MAX_DEPTH = 16;
const MAX_ELEMENTS = 10_000;
let elementsLeft = MAX_ELEMENTS;

/**
 * The value with every string in it cut to `maxLength` UTF-16 units and every byte array to as many bytes, as the
 * SDK's own attribute value length limit does: elements of arrays and of maps one by one. Returns the very same value
 * when there is nothing to cut, and never changes what it was given.
 */
export function cutValue(value: unknown, maxLength: number): unknown {
  if (typeof value === 'string') return cutText(value, maxLength);
  if (typeof value !== 'object' || value === null) return value;
  elementsLeft = MAX_ELEMENTS;
  return cutContainer(value, maxLength, 0);
}

/** Never leaves half of a surrogate pair behind: that would be another character on the wire. */
function cutText(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  const last = text.charCodeAt(maxLength - 1);
  const isSplit = last >= 0xd800 && last <= 0xdbff && isLowSurrogate(text.charCodeAt(maxLength));
  return text.slice(0, isSplit ? maxLength - 1 : maxLength);
}

const isLowSurrogate = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff;

function cutContainer(value: object, maxLength: number, depth: number): unknown {
  if (value instanceof Uint8Array) return value.length > maxLength ? value.subarray(0, maxLength) : value;
  if (depth >= MAX_DEPTH) return value;
  return Array.isArray(value) ? cutArray(value, maxLength, depth) : cutMap(value, maxLength, depth);
}

function cutElement(value: unknown, maxLength: number, depth: number): unknown {
  if (typeof value === 'string') return cutText(value, maxLength);
  return typeof value === 'object' && value !== null ? cutContainer(value, maxLength, depth + 1) : value;
}

function cutArray(array: readonly unknown[], maxLength: number, depth: number): readonly unknown[] {
  let copy: unknown[] | undefined;
  for (let i = 0; i < array.length && elementsLeft-- > 0; i++) {
    const cut = cutElement(array[i], maxLength, depth);
    if (Object.is(cut, array[i])) continue;
    copy ??= array.slice();
    copy[i] = cut;
  }
  return copy ?? array;
}

function cutMap(map: object, maxLength: number, depth: number): object {
  let copy: Record<string, unknown> | undefined;
  for (const [key, value] of Object.entries(map)) {
    if (elementsLeft-- <= 0) break;
    const cut = cutElement(value, maxLength, depth);
    if (Object.is(cut, value)) continue;
    copy ??= { ...map };
    copy[key] = cut;
  }
  return copy ?? map;
}
