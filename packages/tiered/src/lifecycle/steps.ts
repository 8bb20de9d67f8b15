import type { ArchiveEntry } from '../object-store/archive-listing.js';
import { DATA_TYPE, INDEX_TYPE } from '../object-store/archive-writer.js';
import { copyObject } from '../object-store/copy-object.js';
import type { ObjectStore, StorageClass, StoreCallOptions } from '../object-store/object-store.js';
import { isExisting, isNotFound, ObjectStoreError } from '../object-store/object-store-error.js';

/** One object on its way from a store to another. */
export interface Move extends StoreCallOptions {
  readonly from: ObjectStore;
  readonly to: ObjectStore;
  readonly storageClass: StorageClass;
  readonly entry: ArchiveEntry;
}

export type MoveStep = (move: Move) => Promise<unknown>;

export const copyData: MoveStep = ({ from, to, storageClass, entry: { key }, ...call }) =>
  copyObject({ ...call, from, to, key, storageClass, contentType: DATA_TYPE });
export const copyIndex: MoveStep = ({ from, to, entry: { indexKey }, ...call }) =>
  copyObject({ ...call, from, to, key: indexKey, storageClass: 'STANDARD', contentType: INDEX_TYPE });
export const removeData: MoveStep = ({ from, entry, ...call }) => from.remove(entry.key, callOf(call));
export const removeIndex: MoveStep = ({ from, entry, ...call }) => from.remove(entry.indexKey, callOf(call));

/**
 * In this order, and each once the one before is known to be done. Wherever it is interrupted, the object is in one of
 * the two places as a whole, and the same steps once more end it. An index lies where its data is or was, never where
 * the data has not come yet: there it would be taken for what a removal has left.
 */
export const MOVE_STEPS: readonly MoveStep[] = [copyData, copyIndex, removeData, removeIndex];

/** In the class that is cold, where there is one store. The object never ceases to be there. */
export async function changeClass(
  store: ObjectStore,
  entry: ArchiveEntry,
  {
    storageClass,
    expected,
    ...call
  }: StoreCallOptions & {
    readonly storageClass: StorageClass;
    readonly expected: { readonly bytes: number; readonly crc32: number };
  },
): Promise<void> {
  const after = await store.changeStorageClass(entry.key, storageClass, call);
  const isSame = after.bytes === expected.bytes && (after.crc32 === undefined || after.crc32 === expected.crc32);
  if (isSame && after.storageClass === storageClass) return;
  throw new ObjectStoreError('CHECKSUM', `not as it was after the class of ${entry.key} was changed`);
}

/** Whoever is interrupted in between leaves an index, which says that its data is gone. */
export async function removeObject(store: ObjectStore, entry: ArchiveEntry, call: StoreCallOptions): Promise<void> {
  await store.remove(entry.key, call);
  await store.remove(entry.indexKey, call);
}

/** An index whose data is gone from this store. With `next`, where the data may have gone: its index is seen to first. */
export async function removeOrphan(
  store: ObjectStore,
  { key, indexKey }: ArchiveEntry,
  { next, ...call }: StoreCallOptions & { readonly next?: ObjectStore | undefined },
): Promise<boolean> {
  const head = await store.head(indexKey, call);
  if (!head) return false;
  if (next && (await next.head(key, call)) && !(await next.head(indexKey, call))) {
    await copyObject({
      ...call,
      from: store,
      to: next,
      key: indexKey,
      storageClass: 'STANDARD',
      contentType: INDEX_TYPE,
    });
  }
  const index = await store.get(indexKey, { ...call, maxBytes: head.bytes }).catch(absentIfNotFound);
  await store.remove(indexKey, call);
  if (!index) return false;
  // A writer that has just put the data anew may have found the index to be there.
  if (!(await store.head(key, call))) return true;
  try {
    const options = { ...call, storageClass: 'STANDARD', contentType: INDEX_TYPE, ifNoneMatch: true } as const;
    await store.put(indexKey, [index], options);
  } catch (error) {
    if (!isExisting(error)) throw error;
  }
  return false;
}

function absentIfNotFound(error: unknown): undefined {
  if (!isNotFound(error)) throw error;
}

const callOf = ({ deadline, signal }: StoreCallOptions): StoreCallOptions => ({ deadline, signal });
