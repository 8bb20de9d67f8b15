/** A whole number as the kernel writes it; throws on anything else. `path` is for the message. */
export function parseInteger(text: string, path: string): number {
  const trimmed = text.trim();
  if (/^-?\d{1,20}$/.test(trimmed)) return Number(trimmed);
  throw new Error(`${path}: expected a whole number, got ${shown(trimmed)}`);
}

/** `usage_usec 123` or `MemTotal: 123 kB`, line by line; `undefined` when the key is not there. */
export function parseKeyed(text: string, key: string, path: string): number | undefined {
  for (const line of text.split('\n')) {
    if (!line.startsWith(key)) continue;
    const [name = '', value = ''] = line.split(/[\s:]+/, 2);
    if (name === key) return parseInteger(value, `${path} ${key}`);
  }
  return undefined;
}

export function shown(text: string): string {
  return text.length > 40 ? `'${text.slice(0, 40)}…'` : `'${text}'`;
}
