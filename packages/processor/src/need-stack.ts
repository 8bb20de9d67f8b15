/** 16 kB on the stack. */
const ARGUMENTS: readonly undefined[] = new Array(2_048).fill(undefined);
const nothing = (): void => {};

/**
 * Throws a RangeError where less than 16 kB of the stack are left: an application may catch that it has used it up, and
 * end spans before. For what must not stop half-way, before it begins.
 */
export const needStack = (): void => nothing.apply(undefined, ARGUMENTS as []);
