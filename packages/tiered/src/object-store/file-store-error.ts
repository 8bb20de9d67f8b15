import { toError } from '@otel-resilience/core';
import { codeOf } from '../spool/file-errors.js';
import { ObjectStoreError, type ObjectStoreErrorCode, storeErrorCode } from './object-store-error.js';

const CODES: Readonly<Record<string, ObjectStoreErrorCode>> = {
  ENOENT: 'NOT_FOUND',
  // A key that is the beginning of another one, up to a slash.
  EISDIR: 'INVALID_KEY',
  ENOTEMPTY: 'INVALID_KEY',
  ENOSPC: 'FULL',
  EDQUOT: 'FULL',
  EROFS: 'DENIED',
  EACCES: 'DENIED',
  EPERM: 'DENIED',
  ENAMETOOLONG: 'INVALID_KEY',
};

/** What an error of the file system means for a store. */
export function storeErrorOf(thrown: unknown): ObjectStoreError {
  const error = toError(thrown);
  if (storeErrorCode(error)) return error as ObjectStoreError;
  return new ObjectStoreError(CODES[codeOf(error) ?? ''] ?? 'UNAVAILABLE', error.message, { cause: error });
}
