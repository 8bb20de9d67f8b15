import { crc32 } from 'node:zlib';
import {
  isArchived,
  type ObjectHead,
  type ObjectStore,
  type StorageClass,
  type StoreCallOptions,
} from './object-store.js';
import { isExisting, ObjectStoreError } from './object-store-error.js';

export interface CopyObjectOptions extends StoreCallOptions {
  readonly from: ObjectStore;
  readonly to: ObjectStore;
  readonly key: string;
  /** Default: that of the other store. */
  readonly storageClass?: StorageClass;
  readonly contentType?: string;
  /** An object that is larger is not read: `TOO_LARGE`. Default 256 MiB. */
  readonly maxBytes?: number;
}

const DEFAULT_MAX_BYTES = 256 * 1024 * 1024;

/**
 * Copies an object from one store to another under the same key. Resolves once the copy is known to be what the source
 * is, by size and CRC-32, so that the source may go; what was copied before, by an attempt that was killed say, is
 * compared and not written again. Where there is something else under that key it is replaced.
 */
export async function copyObject(options: CopyObjectOptions): Promise<ObjectHead> {
  const { from, to, key, storageClass, contentType, maxBytes = DEFAULT_MAX_BYTES, deadline, signal } = options;
  const call = { deadline, signal };
  const source = await from.head(key, { ...call, checksum: true });
  if (!source) throw new ObjectStoreError('NOT_FOUND', `copy ${key}: there is no such object`);
  if (source.bytes > maxBytes) {
    throw new ObjectStoreError('TOO_LARGE', `copy ${key}: ${source.bytes} bytes, where ${maxBytes} are allowed`);
  }
  const bytes = await from.get(key, { ...call, maxBytes: source.bytes });
  const crc = crc32(bytes);
  if (bytes.byteLength !== source.bytes || (source.crc32 !== undefined && source.crc32 !== crc)) {
    throw new ObjectStoreError('CHECKSUM', `copy ${key}: what was read is not what the store says it holds`);
  }
  const isCopy = async (head: ObjectHead | undefined) => {
    if (head?.bytes !== bytes.byteLength) return false;
    if (head.crc32 !== undefined) return head.crc32 === crc;
    if (isArchived(head)) return false;
    return crc32(await to.get(key, { ...call, maxBytes: bytes.byteLength })) === crc;
  };
  const put = (how: { readonly ifNoneMatch?: boolean; readonly storageClass?: StorageClass }) =>
    to.put(key, [bytes], { ...call, storageClass, contentType, ...how });
  const look = () => to.head(key, { ...call, checksum: true });
  try {
    await put({ ifNoneMatch: true });
  } catch (error) {
    if (!isExisting(error)) throw error;
    if (!(await isCopy(await look()))) await put({});
  }
  let copy = await look();
  if (copy && copy.crc32 === undefined && isArchived(copy)) {
    // Neither does the store say what it holds nor can it be read: archived once it has been.
    await put({ storageClass: 'STANDARD' });
    copy = await look();
  }
  if (!copy || !(await isCopy(copy))) {
    throw new ObjectStoreError('CHECKSUM', `copy ${key}: the copy is not what was copied`);
  }
  // One that lies in another archive class cannot be taken out of it; it is as good.
  if (!storageClass || copy.storageClass === storageClass || isArchived(copy)) return copy;
  return to.changeStorageClass(key, storageClass, call);
}
