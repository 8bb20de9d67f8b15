import { dataKeyOf, indexKeyOf, parseArchiveKey } from './archive-key.js';
import type { ListedObject, ListOptions, ObjectStore, StorageClass } from './object-store.js';

/** An archive object as a list shows it: nothing of it has been read. */
export interface ArchiveEntry {
  /** Of the data. */
  readonly key: string;
  readonly indexKey: string;
  readonly id: string;
  /** The hour in which its spans ended, in milliseconds since the epoch: what its age is counted from. */
  readonly hourMillis: number;
  /** As it stands in the key: escaped, or `!mixed`. */
  readonly service: string;
  /** Of the data. `undefined` where there is an index and no data: what a removal that was interrupted leaves. */
  readonly storedBytes: number | undefined;
  readonly storageClass: StorageClass | undefined;
  /** `undefined` where there is data and no index: what a crash between the two leaves. */
  readonly indexBytes: number | undefined;
}

/** Data and indexes together, in the order of their keys. `onForeign` is told of keys that no archive has. */
export async function* listArchive(
  store: ObjectStore,
  prefix: string,
  options: ListOptions,
  onForeign: (key: string) => void = () => {},
): AsyncGenerator<ArchiveEntry> {
  let index: ListedObject | undefined;
  for await (const object of store.list(prefix, options)) {
    const parsed = parseArchiveKey(object.key);
    if (!parsed) {
      onForeign(object.key);
      continue;
    }
    // An index comes just before its data: the rest of the key is the same.
    if (index && (parsed.kind === 'index' || dataKeyOf(index.key) !== object.key)) {
      yield await indexAlone(store, index, options);
      index = undefined;
    }
    if (parsed.kind === 'index') index = object;
    else {
      yield entryOf(index, object);
      index = undefined;
    }
  }
  if (index) yield await indexAlone(store, index, options);
}

/** A list is not of one moment: data that was moved to another class meanwhile is asked for before it is said to be gone. */
async function indexAlone(store: ObjectStore, index: ListedObject, { deadline, signal }: ListOptions) {
  return entryOf(index, await store.head(dataKeyOf(index.key), { deadline, signal }));
}

function entryOf(index: ListedObject | undefined, data: ListedObject | undefined): ArchiveEntry {
  const key = data?.key ?? dataKeyOf(index!.key);
  const { id, hourMillis, service } = parseArchiveKey(key)!;
  return {
    key,
    indexKey: indexKeyOf(key),
    id,
    hourMillis,
    service,
    storedBytes: data?.bytes,
    storageClass: data?.storageClass,
    indexBytes: index?.bytes,
  };
}
