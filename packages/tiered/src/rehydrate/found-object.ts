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
 * An object that may hold what is wanted, in one source or several. There is one of these for each until the run is
 * over, so it keeps no index: less than 1 kB.
 */
export class FoundObject {
  readonly key: string;
  readonly hourMillis: number;
  /** Those that can be read at once first. */
  readonly copies: Copy[] = [];
  storedBytes = 0;
  /** In it, as the index tells; `undefined` without one. */
  spanCount: number | undefined;
  /** Of those, what is wanted, where the index tells that. */
  expectedSpans: number | undefined;
  /** It is done, or known not to be. */
  isOver = false;

  constructor({ key, hourMillis }: Pick<FoundArchive, 'key' | 'hourMillis'>) {
    this.key = key;
    this.hourMillis = hourMillis;
  }

  /** Whether none of its copies can be read, as their classes tell. */
  get isArchived(): boolean {
    return this.copies.every((copy) => copy.isArchived);
  }

  /** Its share of the work: its spans, or an estimate. */
  get weight(): number {
    return this.spanCount || Math.ceil(this.storedBytes / STORED_BYTES_PER_SPAN) || 1;
  }

  found(source: Source, { storageClass, index, ...archive }: FoundArchive, wanted: ReadSelection): void {
    const isArchived = storageClass !== undefined && isArchiveClass(storageClass);
    this.add({ source, archive: declared(archive, index), isArchived });
    this.storedBytes ||= archive.storedBytes ?? 0;
    if (!index || this.spanCount !== undefined) return;
    this.spanCount = index.spanCount;
    this.expectedSpans = expectedSpans(index, wanted);
  }

  add(copy: Copy): void {
    if (copy.isArchived) this.copies.push(copy);
    else this.copies.unshift(copy);
  }
}

/** Of compressed spans of about 600 bytes. */
const STORED_BYTES_PER_SPAN = 60;

/** Without the trace ids, which are the most of it. */
function declared(
  { key, id, storedBytes }: Pick<FoundArchive, 'key' | 'id' | 'storedBytes'>,
  index: FoundArchive['index'],
): ReadableArchive {
  if (!index) return { key, id, storedBytes };
  const { rawBytes, crc32 } = index;
  return { key, id, storedBytes, index: { storedBytes: index.storedBytes, rawBytes, crc32 } };
}

function expectedSpans(
  { spanCount, services, startMillis, endMillis }: NonNullable<FoundArchive['index']>,
  { fromMillis, toMillis, services: wanted, traceIds }: ReadSelection,
): number | undefined {
  if (traceIds || startMillis < fromMillis || endMillis > toMillis) return undefined;
  if (!wanted) return spanCount;
  let spans = 0;
  for (const service of wanted) spans += services.get(service) ?? 0;
  return spans;
}
