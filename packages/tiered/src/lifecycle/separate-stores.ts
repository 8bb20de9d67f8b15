import { randomBytes } from 'node:crypto';
import type { Clock } from '@otel-resilience/core';
import type { ObjectStore, StoreCallOptions } from '../object-store/object-store.js';
import { ObjectStoreError } from '../object-store/object-store-error.js';

/** Of an empty object, followed by when it was put. */
const PREFIX = 'lifecycle-probe-';
/** A probe as old as this has nobody any more who waits for it. */
const ABANDONED_MILLIS = 3_600_000;

/**
 * Resolves if what is put into one store is not seen in the other. Where the two are one place, what was "copied" is the
 * source itself, and its removal would be the end of both. Locations do not tell: a directory may be mounted twice, and
 * buckets of different servers may have the same name.
 */
export async function checkSeparate(
  from: ObjectStore,
  to: ObjectStore,
  { clock, ...call }: StoreCallOptions & { readonly clock: Clock },
): Promise<void> {
  const now = Math.max(0, Math.floor(clock.wallTime()));
  await removeAbandoned(to, now, call).catch(() => {});
  const key = `${PREFIX}${now.toString(36)}-${randomBytes(8).toString('hex')}`;
  await to.put(key, [], { ...call, storageClass: 'STANDARD' });
  try {
    const isSeen = (await from.head(key, call)) !== undefined;
    if (!isSeen && (await to.head(key, call))) return;
    const where = `${from.status().location} and ${to.status().location}`;
    if (isSeen) throw new ObjectStoreError('REFUSED_REQUEST', `warm and cold are the same place: ${where}`);
    throw new ObjectStoreError('CONFLICT', `cannot tell ${where} apart: the probe ${key} is gone`);
  } finally {
    await to.remove(key, call).catch(() => {});
  }
}

/** What one has left that was killed meanwhile. */
async function removeAbandoned(store: ObjectStore, now: number, call: StoreCallOptions): Promise<void> {
  for await (const { key } of store.list(PREFIX, call)) {
    const putAt = Number.parseInt(key.slice(PREFIX.length), 36);
    if (Math.abs(now - putAt) > ABANDONED_MILLIS) await store.remove(key, call);
  }
}
