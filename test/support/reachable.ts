/**
 * How much an object holds on to: everything reachable through properties, arrays, maps and sets, an element counting
 * one. What only closures hold is not seen.
 */
export function reachableSize(root: object, stopAt: (value: object) => boolean = () => false): number {
  const seen = new Set<object>();
  const left: unknown[] = [root];
  let size = 0;
  while (left.length > 0) {
    const value = left.pop();
    if (typeof value !== 'object' || value === null || seen.has(value) || stopAt(value)) continue;
    seen.add(value);
    const parts = partsOf(value);
    size += 1 + parts.length;
    for (const part of parts) left.push(part);
  }
  return size;
}

function partsOf(value: object): unknown[] {
  if (value instanceof Map) return [...value.keys(), ...value.values()];
  if (value instanceof Set) return [...value];
  if (Array.isArray(value)) return value;
  const own = Object.getOwnPropertyDescriptors(value);
  return Reflect.ownKeys(own).map((key) => own[key as string]!.value);
}
