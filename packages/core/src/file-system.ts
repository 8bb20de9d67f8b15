/**
 * What a spool needs of a file system. Rejections are those of node: an error with a `code` such as `ENOSPC`. Nothing is
 * durable before `sync`, and no new, renamed or removed entry before `syncDirectory`.
 */
export interface FileSystem {
  /** With its parents, mode 0700; one that is there already is left as it is. */
  makeDirectory(path: string): Promise<void>;
  /** The names in it, in any order. */
  list(path: string): Promise<string[]>;
  /** `create`: exclusively (`EEXIST`), mode 0600, for reading and writing; `update`: one that is there, for both. */
  open(path: string, how: 'create' | 'update' | 'read'): Promise<OpenFile>;
  /** Replaces what `to` was. */
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** An empty one. */
  removeDirectory(path: string): Promise<void>;
  /** Makes what was created, renamed and removed in it durable. */
  syncDirectory(path: string): Promise<void>;
}

export interface OpenFile {
  size(): Promise<number>;
  /** How many bytes were read: fewer than there is room for now and then, 0 at the end. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** How many bytes were written, one chunk after the other: fewer than given now and then. */
  write(chunks: readonly Uint8Array[], position: number): Promise<number>;
  /** Makes the content durable (`fdatasync`). */
  sync(): Promise<void>;
  truncate(length: number): Promise<void>;
  close(): Promise<void>;
}
