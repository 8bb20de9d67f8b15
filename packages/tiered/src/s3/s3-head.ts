import type { HeadObjectCommandOutput } from '@aws-sdk/client-s3';
import {
  isArchiveClass,
  type ObjectHead,
  type RestoreStatus,
  type StorageClass,
} from '../object-store/object-store.js';
import { ObjectStoreError } from '../object-store/object-store-error.js';
import { parseCrc32 } from './s3-checksum.js';

/** With the ETag, by which a copy is bound to what was looked at. */
export type TaggedHead = ObjectHead & { readonly tag?: string };

export function readS3Head(key: string, answer: HeadObjectCommandOutput, checksum: boolean): TaggedHead {
  const storageClass = (answer.StorageClass as StorageClass | undefined) ?? 'STANDARD';
  const crc32 = answer.ChecksumType === 'COMPOSITE' ? undefined : parseCrc32(answer.ChecksumCRC32);
  return {
    key,
    bytes: answer.ContentLength ?? 0,
    storageClass,
    restore: restoreStatus(storageClass, answer),
    ...(checksum && crc32 !== undefined && { crc32 }),
    ...(answer.ETag !== undefined && { tag: answer.ETag }),
  };
}

export function withoutTag({ tag: _, ...head }: TaggedHead): ObjectHead {
  return head;
}

/** Throws unless the copy is what was copied, in this class. */
export function checkCopy(before: ObjectHead, after: ObjectHead, storageClass: StorageClass): void {
  const isSame = after.crc32 === undefined || before.crc32 === undefined || after.crc32 === before.crc32;
  if (after.storageClass === storageClass && after.bytes === before.bytes && isSame) return;
  const what = `${after.bytes} of ${before.bytes} bytes, class ${after.storageClass}`;
  throw new ObjectStoreError('CHECKSUM', `the copy is not what was copied: ${what}`);
}

/** `x-amz-restore: ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"` */
function restoreStatus(storageClass: StorageClass, { Restore, ArchiveStatus }: HeadObjectCommandOutput): RestoreStatus {
  if (!isArchiveClass(storageClass) && !ArchiveStatus) return { state: 'readable' };
  if (Restore === undefined) return { state: 'archived' };
  if (/ongoing-request="true"/.test(Restore)) return { state: 'restoring' };
  const untilMillis = Date.parse(/expiry-date="([^"]+)"/.exec(Restore)?.[1] ?? '');
  return { state: 'restored', ...(Number.isFinite(untilMillis) && { untilMillis }) };
}
