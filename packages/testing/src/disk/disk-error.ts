import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';

export interface DiskError extends Error {
  /** Such as `ENOSPC`. */
  readonly code: string;
  readonly errno: number | undefined;
  readonly syscall: string;
  readonly path: string;
}

// Made anew by each call of it.
const SYSTEM_ERRORS = getSystemErrorMap();

/** As node's `fs` would reject. */
export function diskError(code: string, syscall: string, path: string): DiskError {
  const positive = (constants.errno as Record<string, number | undefined>)[code];
  const errno = positive === undefined ? undefined : -positive;
  const text = (errno !== undefined && SYSTEM_ERRORS.get(errno)?.[1]) || 'scripted';
  return Object.assign(new Error(`${code}: ${text}, ${syscall} '${path}'`), { code, errno, syscall, path });
}
