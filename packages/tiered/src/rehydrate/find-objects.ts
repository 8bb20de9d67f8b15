import { hourOf } from '../object-store/archive-key.js';
import type { ArchiveSelection, ReadSelection } from '../object-store/archive-selection.js';
import { unlessAborted } from '../unless-aborted.js';
import { FoundObject, type Source } from './found-object.js';

export interface FindObjectsOptions {
  /** In the order in which objects move from one to the next. */
  readonly sources: readonly Source[];
  readonly select: { readonly given: ArchiveSelection; readonly wanted: ReadSelection };
  readonly signal: AbortSignal;
  readonly onFound: (object: FoundObject) => void;
  /** Told when a source was not looked through to its end, and from which hour on. */
  readonly onError: (error: unknown, hourMillis: number) => void;
}

/**
 * What may hold what is wanted, in the order of the keys; what is in several sources under the same key is one object. One
 * source is looked through after the other: what a lifecycle moves meanwhile is seen in one of them, or in both.
 */
export async function findObjects(options: FindObjectsOptions): Promise<FoundObject[]> {
  const objects = new Map<string, FoundObject>();
  for (const source of options.sources) await findIn(source, objects, options);
  return [...objects.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}

async function findIn(source: Source, objects: Map<string, FoundObject>, options: FindObjectsOptions): Promise<void> {
  const { select, signal, onFound, onError } = options;
  // Data without an index is read when its turn to be sent has come, and only then.
  const found = source.reader.find(select.given, { signal, readData: false });
  let hourMillis = hourOf(select.wanted.fromMillis);
  try {
    for (;;) {
      const { value: archive } = await unlessAborted(signal, () => found.next());
      if (!archive) return;
      hourMillis = archive.hourMillis;
      const known = objects.get(archive.key);
      const object = known ?? new FoundObject(archive);
      object.found(source, archive, select.wanted);
      if (known) continue;
      objects.set(object.key, object);
      onFound(object);
    }
  } catch (error) {
    onError(error, hourMillis);
    // Not waited for: it may be in the middle of a call that does not end.
    found.return(undefined).catch(() => {});
  }
}
