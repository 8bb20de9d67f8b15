export type { ArchiveIndex } from './archive-index.js';
export type { ArchiveEntry } from './archive-listing.js';
export { DamagedArchiveError } from './archive-object.js';
export {
  type ArchiveProblem,
  ArchiveReader,
  type ArchiveReaderOptions,
  type FindOptions,
  type FoundArchive,
  type ListArchiveOptions,
  type ReadableArchive,
  type Verification,
} from './archive-reader.js';
export type { ArchiveSelection } from './archive-selection.js';
export { ArchiveWriter, type ArchiveWriterOptions, type ArchiveWriterStats } from './archive-writer.js';
export { type CopyObjectOptions, copyObject } from './copy-object.js';
export { FileObjectStore, type FileObjectStoreOptions } from './file-object-store.js';
export { checkKey, escapeKeySegment } from './object-key.js';
export {
  type GetOptions,
  type HeadOptions,
  type ListedObject,
  type ListOptions,
  type ObjectHead,
  type ObjectStore,
  type ObjectStoreStatus,
  type PutOptions,
  type RestoreOptions,
  type RestoreStatus,
  STORAGE_CLASSES,
  type StorageClass,
  type StoreCallOptions,
} from './object-store.js';
export { ObjectStoreError, type ObjectStoreErrorCode } from './object-store-error.js';
export { RetryingObjectStore, type RetryingObjectStoreOptions, type StoreBreaker } from './retrying-object-store.js';
export { TraceIdFilter } from './trace-id-filter.js';
