import type { ArchiveReader, FoundArchive, ReadableArchive } from '../object-store/archive-reader.js';
import type { ReadSelection } from '../object-store/archive-selection.js';
import { isArchiveClass, type ObjectStore } from '../object-store/object-store.js';

/** A place in which objects are. */
export interface Source {
  readonly store: ObjectStore;
  readonly reader: ArchiveReader;
}

/** An object as one of the sources has it. */
export interface Copy {
  readonly source: Source;
  readonly archive: ReadableArchive;
  /** By its class: it may have been restored. */
  readonly isArchived: boolean;
}

/**
 * An object that may hold what is wanted. There is one of these for each until the run is over, so it keeps no index:
 * about 500 bytes.
 */
export interface FoundObject {
  readonly key: string;
  readonly hourMillis: number;
  /** Those that can be read at once first. */
  readonly copies: readonly Copy[];
  readonly storedBytes: number;
  /** In it. An estimate where no index tells, so that it has a share of the progress. */
  readonly weight: number;
  /** In it, as the index tells; `undefined` without one. */
  readonly spanCount: number | undefined;
  /** Of those, what is wanted, where the index tells that. */
  readonly expectedSpans: number | undefined;
}

/** Of compressed spans of about 600 bytes. */
const STORED_BYTES_PER_SPAN = 60;

export function foundObject(
  found: ReadonlyArray<{ source: Source; archive: FoundArchive }>,
  wanted: ReadSelection,
): FoundObject {
  const { key, hourMillis } = found[0]!.archive;
  const copies = found
    .map(({ source, archive }) => ({
      source,
      archive: declared(archive),
      isArchived: archive.storageClass !== undefined && isArchiveClass(archive.storageClass),
    }))
    .sort((a, b) => Number(a.isArchived) - Number(b.isArchived));
  const index = found.find(({ archive }) => archive.index)?.archive.index;
  const storedBytes = copies[0]!.archive.storedBytes ?? 0;
  return {
    key,
    hourMillis,
    copies,
    storedBytes,
    weight: index?.spanCount || Math.ceil(storedBytes / STORED_BYTES_PER_SPAN) || 1,
    spanCount: index?.spanCount,
    expectedSpans: index && expectedOf(index, wanted),
  };
}

export const needsRestore = ({ copies }: FoundObject): boolean => copies.every(({ isArchived }) => isArchived);

/** Without the trace ids, which are the most of it. */
function declared({ key, id, storedBytes, index }: FoundArchive): ReadableArchive {
  if (!index) return { key, id, storedBytes };
  const { rawBytes, crc32 } = index;
  return { key, id, storedBytes, index: { storedBytes: index.storedBytes, rawBytes, crc32 } };
}

function expectedOf(
  { spanCount, services, startMillis, endMillis }: NonNullable<FoundArchive['index']>,
  { fromMillis, toMillis, services: wanted, traceIds }: ReadSelection,
): number | undefined {
  if (traceIds || startMillis < fromMillis || endMillis > toMillis) return undefined;
  if (!wanted) return spanCount;
  let spans = 0;
  for (const service of wanted) spans += services.get(service) ?? 0;
  return spans;
}
