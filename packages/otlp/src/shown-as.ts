/**
 * What logs and `JSON.stringify` show of `object`: its class and `shown`, at any depth. All other fields that it has by
 * now can no longer be listed: they lead to headers, keys and passwords.
 */
export function showAs(object: object, shown: Readonly<Record<string, unknown>>): void {
  for (const key of Object.keys(object)) {
    if (!Object.hasOwn(shown, key)) Object.defineProperty(object, key, { enumerable: false });
  }
  // Not declared as members: the ESM and the CommonJS types of the class stay assignable to each other.
  Object.defineProperty(object, 'toJSON', { value: () => ({ ...shown }) });
  Object.defineProperty(object, Symbol.for('nodejs.util.inspect.custom'), {
    value: (depth: number, options: object, inspect: (value: unknown, options: object) => string) => {
      const { name } = object.constructor;
      return depth < 0 ? `[${name}]` : `${name} ${inspect(shown, options)}`;
    },
  });
}
