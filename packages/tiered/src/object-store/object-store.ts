import { ConfigurationError, type OptionReader } from '@otel-resilience/core';

/** S3's names; a directory keeps any of them. */
export const STORAGE_CLASSES = [
  'STANDARD',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'REDUCED_REDUNDANCY',
  'GLACIER_IR',
  'GLACIER',
  'DEEP_ARCHIVE',
] as const satisfies readonly string[];

export type StorageClass = (typeof STORAGE_CLASSES)[number];

/** When a call gives up. It rejects then with the code `DEADLINE_EXCEEDED`, or with what the signal was aborted with. */
export interface StoreCallOptions {
  /** By the store's clock; default 30 s from now. */
  readonly deadline?: number;
  readonly signal?: AbortSignal;
}

export interface PutOptions extends StoreCallOptions {
  /** Default `application/octet-stream`. A directory does not keep it. */
  readonly contentType?: string;
  /** Default: the store's own. */
  readonly storageClass?: StorageClass;
  /** Rejects with `EXISTS` where there is an object of this key already, of whatever storage class. Default false. */
  readonly ifNoneMatch?: boolean;
}

export interface GetOptions extends StoreCallOptions {
  /** More than that is not read: `TOO_LARGE`. */
  readonly maxBytes: number;
}

export interface ListOptions extends StoreCallOptions {
  /** Only keys that come after this one, in the order of their UTF-8 bytes. */
  readonly startAfter?: string;
  /** Objects per request; default and at most 1,000. A deadline is that of the whole list; the default that of each page. */
  readonly pageSize?: number;
}

export interface HeadOptions extends StoreCallOptions {
  /** Whether the checksum is wanted: a directory has to read the object for it. Default false. */
  readonly checksum?: boolean;
}

export interface RestoreOptions extends StoreCallOptions {
  /** For how long the copy is kept, in days; default 7. */
  readonly days?: number;
  /** How soon, and at what price; default `Standard`. */
  readonly tier?: 'Expedited' | 'Standard' | 'Bulk';
}

/**
 * Whether an object can be read.
 *
 * - `readable`: at once, its class is none of those that archive;
 * - `archived`: not before `requestRestore`, hours later;
 * - `restoring`: that has been asked for;
 * - `restored`: a copy can be read, until `untilMillis` (wall time) where that is known.
 */
export type RestoreStatus =
  | { readonly state: 'readable' }
  | { readonly state: 'archived' }
  | { readonly state: 'restoring' }
  | { readonly state: 'restored'; readonly untilMillis?: number };

export interface ListedObject {
  readonly key: string;
  readonly bytes: number;
  readonly storageClass: StorageClass;
}

export interface ObjectHead extends ListedObject {
  readonly restore: RestoreStatus;
  /** CRC-32 of the stored bytes, where it was asked for and the store knows it. */
  readonly crc32?: number;
}

export interface ObjectStoreStatus {
  /** Such as `s3://bucket/prefix`; nothing secret. */
  readonly location: string;
  /** `untried` until the first answer. */
  readonly state: 'untried' | 'ready' | 'failing';
  /** What the last call failed with, if it did: one line. */
  readonly error?: string;
  /** Calls that have failed since the last one that did not. */
  readonly failures: number;
  /** What lies in its place and is none of its objects, of which the first few by name. Never touched. */
  readonly foreign: { readonly count: number; readonly names: readonly string[] };
}

/**
 * Where objects are kept. An object comes into being as a whole or not at all, and bytes never change but by another
 * `put` of the same key. Keys are those that `checkKey` takes.
 *
 * Every promise settles by its deadline, and rejects with an {@link ObjectStoreError} whose `failure` says what to do.
 * Nothing is tried twice here: that is for a `RetryingObjectStore`, or for the layers around an `ArchiveWriter`.
 */
export interface ObjectStore {
  /** Finds out whether the store can be written to; rejects if not and it is `required`. Optional, and may be repeated. */
  open(options?: StoreCallOptions): Promise<void>;
  /** Resolves once the object is durable. The chunks, joined, are its content; nobody may write to them meanwhile. */
  put(key: string, chunks: readonly Uint8Array[], options?: PutOptions): Promise<void>;
  /** Rejects with `NOT_FOUND`; with `ARCHIVED` where it has to be restored first. */
  get(key: string, options: GetOptions): Promise<Uint8Array>;
  head(key: string, options?: HeadOptions): Promise<ObjectHead | undefined>;
  /** In the order of the keys' UTF-8 bytes, page by page, as they are asked for. `prefix` may end within a segment. */
  list(prefix: string, options?: ListOptions): AsyncIterable<ListedObject>;
  /** Fine where there is none. */
  remove(key: string, options?: StoreCallOptions): Promise<void>;
  /** The object never ceases to be there. Resolves when the new form has been verified: its size, checksum and class. */
  changeStorageClass(key: string, storageClass: StorageClass, options?: StoreCallOptions): Promise<ObjectHead>;
  /** Asks for a readable copy of an archived object; fine where it is readable, or has been asked for. */
  requestRestore(key: string, options?: RestoreOptions): Promise<RestoreStatus>;
  status(): ObjectStoreStatus;
  /** Open calls may end until the deadline (default 10 s) and are ended then; later ones reject with `SHUTDOWN`. */
  shutdown(options?: { readonly deadline?: number }): Promise<void>;
}

const METHODS: readonly (keyof ObjectStore)[] = [
  'open',
  'put',
  'get',
  'head',
  'list',
  'remove',
  'changeStorageClass',
  'requestRestore',
  'status',
  'shutdown',
];

export function isObjectStore(value: unknown): value is ObjectStore {
  const candidate = value as Record<string, unknown> | null | undefined;
  const isObject = typeof candidate === 'object' && candidate !== null;
  return isObject && METHODS.every((method) => typeof candidate[method] === 'function');
}

/** Reads an option that takes a store: one of ours, or anything with the methods of {@link ObjectStore}. */
export const anObjectStore: OptionReader<ObjectStore> = (value, path) => {
  if (isObjectStore(value)) return value;
  throw new ConfigurationError(path, `an ObjectStore (an object with ${METHODS.join(', ')})`, value);
};

export const isStorageClass = (value: unknown): value is StorageClass =>
  (STORAGE_CLASSES as readonly unknown[]).includes(value);

/** Whether objects of this class have to be restored before they can be read. */
export const isArchiveClass = (storageClass: StorageClass): boolean =>
  storageClass === 'GLACIER' || storageClass === 'DEEP_ARCHIVE';

/** Whether this object has to be, and has not been yet. */
export const isArchived = ({ restore }: ObjectHead): boolean =>
  restore.state === 'archived' || restore.state === 'restoring';
