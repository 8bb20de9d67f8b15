import { crc32 } from 'node:zlib';
import { type ArchiveIndex, decodeIndex, MAX_INDEX_BYTES } from '../object-store/archive-index.js';
import { parseArchiveKey } from '../object-store/archive-key.js';
import type { ArchiveEntry } from '../object-store/archive-listing.js';
import { ArchiveReader } from '../object-store/archive-reader.js';
import { isArchived, type ObjectHead, type ObjectStore, type StoreCallOptions } from '../object-store/object-store.js';
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
  if (isArchived(head)) return { state: 'archived' };
  const { bytes, storageClass } = head;
  const index = await readIndex(store, entry, call);
  if (await isFit(store, head, index, call)) return { state: 'ready', index: index!, bytes, repaired: false };
  const current = { ...entry, storedBytes: bytes, storageClass, indexBytes: index && (entry.indexBytes ?? 0) };
  const repair = await new ArchiveReader({ store }).repair(current, call);
  if (repair.state === 'data') return { state: 'damaged' };
  if (repair.state === 'orphan') return { state: 'gone' };
  if (repair.state === 'archived') return { state: 'archived' };
  return { state: 'ready', index: repair.index, bytes, repaired: repair.state === 'index' };
}

/** Whether the object is there with an index that fits it, so that another copy is not needed. Changes nothing. */
export async function isWhole(store: ObjectStore, entry: ArchiveEntry, call: StoreCallOptions): Promise<boolean> {
  const head = await store.head(entry.key, { ...call, checksum: true });
  if (!head || (isArchived(head) && head.crc32 === undefined)) return false;
  return isFit(store, head, await readIndex(store, entry, call), call);
}

async function isFit(
  store: ObjectStore,
  head: ObjectHead,
  index: ArchiveIndex | undefined,
  call: StoreCallOptions,
): Promise<boolean> {
  if (index?.id !== parseArchiveKey(head.key)?.id || index?.storedBytes !== head.bytes) return false;
  return index.crc32 === (head.crc32 ?? crc32(await store.get(head.key, { ...call, maxBytes: head.bytes })));
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
