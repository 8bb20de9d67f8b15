/** The `code` of an error of the file system, such as `ENOSPC`. */
export const codeOf = (error: unknown): string | undefined => {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
};

export const isMissing = (error: unknown): boolean => codeOf(error) === 'ENOENT';

/** Something else has the name, or had it a moment ago: Windows says EPERM, EACCES or EBUSY then. */
export const isTaken = (error: unknown): boolean =>
  ['EEXIST', 'ENOTEMPTY', 'EPERM', 'EACCES', 'EBUSY'].includes(codeOf(error) ?? '');

/** Whether it went well. What is tried so is either not needed, or covered otherwise. */
export const quietly = (attempt: Promise<unknown>): Promise<boolean> =>
  attempt.then(
    () => true,
    () => false,
  );
