import { randomBytes } from 'node:crypto';
import type { ObjectStore, StoreCallOptions } from '../object-store/object-store.js';
import { ObjectStoreError } from '../object-store/object-store-error.js';

const PREFIX = 'lifecycle-probe-';

/**
 * Resolves if what is put into one store is not seen in the other. Where two are the same place, or one has the other's
 * directory mounted, what was "copied" is the source itself, and its removal would be the end of both.
 */
export async function checkSeparate(from: ObjectStore, to: ObjectStore, call: StoreCallOptions): Promise<void> {
  const key = `${PREFIX}${randomBytes(8).toString('hex')}`;
  await to.put(key, [], { ...call, storageClass: 'STANDARD', ifNoneMatch: true });
  try {
    const isSeen = (await from.head(key, call)) !== undefined;
    if (!isSeen && (await to.head(key, call))) return;
    const where = `${from.status().location} and ${to.status().location}`;
    throw new ObjectStoreError(
      isSeen ? 'REFUSED_REQUEST' : 'CONFLICT',
      isSeen ? `warm and cold are the same place: ${where}` : `cannot tell ${where} apart: the probe is gone`,
    );
  } finally {
    await to.remove(key, call).catch(() => {});
  }
}

/** What one has left that was killed meanwhile. */
export async function removeProbes(store: ObjectStore, call: StoreCallOptions): Promise<void> {
  for await (const { key } of store.list(PREFIX, call)) await store.remove(key, call);
}
