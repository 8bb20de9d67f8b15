export const DISK_OPERATIONS = [
  'makeDirectory',
  'list',
  'create',
  'open',
  'rename',
  'remove',
  'removeDirectory',
  'syncDirectory',
  'size',
  'read',
  'write',
  'sync',
  'truncate',
  'close',
] as const;

/** The methods of `FileSystem` and `OpenFile`; `open` with `create` is a `create`. */
export type DiskOperationKind = (typeof DISK_OPERATIONS)[number];

/** One call, in the order in which they were made. */
export interface DiskOperation {
  /** From 0. */
  readonly index: number;
  readonly kind: DiskOperationKind;
  readonly path: string;
  /** Of a rename: the new path. */
  readonly to?: string;
  /** Of a read or write: where it begins. */
  readonly position?: number;
  /** Of a read or write: how many bytes were asked for; of a truncation: how many are left. */
  readonly bytes?: number;
  /** The error's code, once it has failed. */
  readonly error?: string;
}

/** What {@link DiskOperation} says that depends on its kind. */
export type OperationDetails = Omit<DiskOperation, 'index' | 'kind' | 'error'>;

const SYSTEM_CALLS: Readonly<Record<DiskOperationKind, string>> = {
  makeDirectory: 'mkdir',
  list: 'scandir',
  create: 'open',
  open: 'open',
  rename: 'rename',
  remove: 'unlink',
  removeDirectory: 'rmdir',
  syncDirectory: 'fsync',
  size: 'fstat',
  read: 'read',
  write: 'write',
  sync: 'fdatasync',
  truncate: 'ftruncate',
  close: 'close',
};

export const systemCallOf = (kind: DiskOperationKind): string => SYSTEM_CALLS[kind];
