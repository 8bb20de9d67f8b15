import { crc32 } from 'node:zlib';
import { type ArchiveIndex, decodeIndex, MAX_INDEX_BYTES } from '../object-store/archive-index.js';
import type { ArchiveEntry } from '../object-store/archive-listing.js';
import { ArchiveReader } from '../object-store/archive-reader.js';
import type { ObjectHead, ObjectStore, StoreCallOptions } from '../object-store/object-store.js';
import { isNotFound, storeErrorCode } from '../object-store/object-store-error.js';

/** Whether an object may leave the place in which it can still be read. */
export type Readiness =
  /** Its index is there and says of the data what is true; `repaired` if that was made so just now. */
  | { readonly state: 'ready'; readonly index: ArchiveIndex; readonly bytes: number; readonly repaired: boolean }
  | { readonly state: 'damaged' }
  /** Cannot be read any more: it is where it should be already. */
  | { readonly state: 'archived' }
  /** Somebody else has taken it away. */
  | { readonly state: 'gone' };

/**
 * Compares the index with the data by size and CRC-32, which takes the data's head alone where the store knows the
 * checksum. An index that is missing, damaged or of other data is made anew from the data: it is the last chance.
 */
export async function readyToLeave(
  store: ObjectStore,
  entry: ArchiveEntry,
  call: StoreCallOptions,
): Promise<Readiness> {
  const head = await store.head(entry.key, { ...call, checksum: true });
  if (!head) return { state: 'gone' };
  if (head.restore.state === 'archived' || head.restore.state === 'restoring') return { state: 'archived' };
  const { bytes } = head;
  const index = await readIndex(store, entry, call);
  if (index && index.id === entry.id && index.storedBytes === bytes) {
    if (index.crc32 === (await checksum(store, head, call))) return { state: 'ready', index, bytes, repaired: false };
  }
  const { storageClass } = head;
  const current = { ...entry, storedBytes: bytes, storageClass, indexBytes: index && (entry.indexBytes ?? 0) };
  const repair = await new ArchiveReader({ store }).repair(current, call);
  if (repair.state === 'data') return { state: 'damaged' };
  if (repair.state === 'orphan') return { state: 'gone' };
  if (repair.state === 'archived') return { state: 'archived' };
  return { state: 'ready', index: repair.index, bytes, repaired: repair.state === 'index' };
}

async function readIndex(
  store: ObjectStore,
  { indexKey }: ArchiveEntry,
  call: StoreCallOptions,
): Promise<ArchiveIndex | undefined> {
  try {
    return decodeIndex(await store.get(indexKey, { ...call, maxBytes: MAX_INDEX_BYTES }));
  } catch (error) {
    // One that somebody has archived cannot be read either, when it is wanted.
    if (isNotFound(error) || ['TOO_LARGE', 'ARCHIVED'].includes(storeErrorCode(error) ?? '')) return undefined;
    throw error;
  }
}

async function checksum(store: ObjectStore, head: ObjectHead, call: StoreCallOptions): Promise<number> {
  return head.crc32 ?? crc32(await store.get(head.key, { ...call, maxBytes: head.bytes }));
}
