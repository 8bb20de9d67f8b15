import { GrowingBytes } from './growing-bytes.js';
import type { PendingChange, Survival } from './survival.js';

/** A write is torn between sectors, never within one. */
export const SECTOR_BYTES = 512;

type FileChange =
  | { readonly kind: 'write'; readonly order: number; readonly position: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly order: number; readonly length: number };

/** A file: what is read from it, what is on the platter, and the changes between the two. */
export class FileNode {
  readonly kind = 'file';
  /** The name it was created under. */
  readonly path: string;
  private cache: GrowingBytes;
  private durable: GrowingBytes;
  private pending: FileChange[] = [];
  private order = 0;

  constructor(path: string, bytes: Uint8Array = new Uint8Array(0)) {
    this.path = path;
    this.cache = GrowingBytes.of(bytes);
    this.durable = GrowingBytes.of(bytes);
  }

  get size(): number {
    return this.cache.length;
  }

  /** Changes so far: a sync is bound to those that were made when it was called. */
  get changes(): number {
    return this.order;
  }

  read(start: number, end: number): Uint8Array {
    return this.cache.view(start, end);
  }

  write(bytes: Uint8Array, position: number): void {
    this.cache.write(bytes, position);
    this.pending.push({ kind: 'write', order: this.order++, position, bytes });
  }

  truncate(length: number): void {
    this.cache.resize(length);
    this.pending.push({ kind: 'truncate', order: this.order++, length });
  }

  /** Makes the first `changes` durable. */
  sync(changes: number): void {
    for (const change of this.take(changes)) {
      if (change.kind === 'write') this.durable.write(change.bytes, change.position);
      else this.durable.resize(change.length);
    }
  }

  /** Linux after a failed fsync: the pages are clean, whatever became of them, and no later sync writes them. */
  loseSync(changes: number, survival: Survival): void {
    applySurvivors(this.durable, this.take(changes), this.path, survival);
  }

  /** What a crash leaves of it. */
  afterCrash(survival: Survival): FileNode {
    const bytes = GrowingBytes.of(this.durable.view());
    applySurvivors(bytes, this.pending, this.path, survival);
    return new FileNode(this.path, bytes.view());
  }

  copy(): FileNode {
    const copy = new FileNode(this.path);
    copy.cache = GrowingBytes.of(this.cache.view());
    copy.durable = GrowingBytes.of(this.durable.view());
    copy.pending = this.pending.slice();
    copy.order = this.order;
    return copy;
  }

  private take(changes: number): FileChange[] {
    const taken = this.pending.filter(({ order }) => order < changes);
    this.pending = this.pending.filter(({ order }) => order >= changes);
    return taken;
  }
}

/**
 * Sectors and lengths survive each on its own: data may be there and the length not, so that it cannot be read, and the
 * length without the data, so that something else is read.
 */
function applySurvivors(
  bytes: GrowingBytes,
  changes: readonly FileChange[],
  path: string,
  { keeps, fill }: Survival,
): void {
  let size = bytes.length;
  let reached = size;
  const keepSize = (wanted: number) => {
    if (keeps({ kind: 'size', path, size: wanted })) size = wanted;
  };
  for (const change of changes) {
    if (change.kind === 'truncate') {
      keepSize(change.length);
      if (size === change.length && bytes.length > size) bytes.resize(size);
      reached = change.length;
      continue;
    }
    for (const { position, piece } of sectors(change.position, change.bytes)) {
      const data: PendingChange = { kind: 'data', path, position, bytes: piece.length };
      if (keeps(data)) bytes.write(piece, position, fill);
      const end = position + piece.length;
      if (end > reached) {
        keepSize(end);
        reached = end;
      }
    }
  }
  bytes.resize(size, fill);
}

function* sectors(position: number, bytes: Uint8Array): Iterable<{ position: number; piece: Uint8Array }> {
  for (let start = 0; start < bytes.length; ) {
    const inSector = (position + start) % SECTOR_BYTES;
    const end = Math.min(bytes.length, start + SECTOR_BYTES - inSector);
    yield { position: position + start, piece: bytes.subarray(start, end) };
    start = end;
  }
}
