/** What `get` returns, or nothing if it throws: for members of objects that somebody else has made. */
export function unlessThrown<T>(get: () => T): T | undefined {
  try {
    return get();
  } catch {
    return undefined;
  }
}
