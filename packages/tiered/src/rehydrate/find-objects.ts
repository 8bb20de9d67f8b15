import { hourOf } from '../object-store/archive-key.js';
import type { FoundArchive } from '../object-store/archive-reader.js';
import type { ArchiveSelection, ReadSelection } from '../object-store/archive-selection.js';
import { type FoundObject, foundObject, type Source } from './found-object.js';
import { unlessAborted } from './unless-aborted.js';

export interface FindObjectsOptions {
  readonly sources: readonly Source[];
  readonly select: { readonly given: ArchiveSelection; readonly wanted: ReadSelection };
  readonly signal: AbortSignal;
  /** Told when a source was not looked through to its end, and from which hour on. */
  readonly onError: (error: unknown, hourMillis: number) => void;
}

/** What is in several sources under the same key is one object. In the order of their keys. */
export async function* findObjects(options: FindObjectsOptions): AsyncGenerator<FoundObject> {
  const { sources, select } = options;
  const cursors = sources.map((source) => new Cursor(source, options));
  try {
    for (;;) {
      await Promise.all(cursors.map((cursor) => cursor.fill()));
      const keys = cursors.flatMap(({ archive }) => archive?.key ?? []);
      if (keys.length === 0) return;
      const key = keys.reduce((least, other) => (other < least ? other : least));
      const found = cursors.filter(({ archive }) => archive?.key === key);
      yield foundObject(
        found.map(({ source, archive }) => ({ source, archive: archive! })),
        select.wanted,
      );
      for (const cursor of found) cursor.archive = undefined;
    }
  } finally {
    for (const cursor of cursors) cursor.close();
  }
}

/** Where one source has come to. */
class Cursor {
  readonly source: Source;
  archive: FoundArchive | undefined;
  private readonly options: FindObjectsOptions;
  private readonly found: AsyncGenerator<FoundArchive>;
  private hourMillis: number;
  private ended = false;

  constructor(source: Source, options: FindObjectsOptions) {
    this.source = source;
    this.options = options;
    const { select, signal } = options;
    this.hourMillis = hourOf(select.wanted.fromMillis);
    // Data without an index is read when its turn to be sent has come, and only then.
    this.found = source.reader.find(select.given, { signal, readData: false });
  }

  async fill(): Promise<void> {
    if (this.archive || this.ended) return;
    const { signal, onError } = this.options;
    try {
      const { value } = await unlessAborted(signal, () => this.found.next());
      this.archive = value || undefined;
      this.hourMillis = this.archive?.hourMillis ?? this.hourMillis;
    } catch (error) {
      onError(error, this.hourMillis);
    }
    this.ended = this.archive === undefined;
  }

  /** Not waited for: it may be in the middle of a call that does not end. */
  close(): void {
    this.found.return(undefined).catch(() => {});
  }
}
