export type { ArchiveTierStats } from './archive-tier/archive-tier.js';
export type { ArchiveTierOptions } from './archive-tier/archive-tier-options.js';
export * from './lifecycle/index.js';
export * from './object-store/index.js';
export type { TieredSpanExporterOptions } from './options.js';
export { Pace } from './pace.js';
export { rehydrate } from './rehydrate/rehydrate.js';
export type { RehydrateOptions } from './rehydrate/rehydrate-options.js';
export type { RehydrateProgress } from './rehydrate/rehydrate-progress.js';
export type {
  RehydratedObjects,
  RehydratedSpans,
  RehydrateProblem,
  RehydrateReport,
} from './rehydrate/rehydrate-report.js';
export type { RoutingRule, TierName } from './routing/routing-rules.js';
export { Spool } from './spool/disk-spool.js';
export { type FsckDirectory, type FsckOptions, type FsckProgress, type FsckReport, fsck } from './spool/fsck.js';
export type { FsckCount, FsckProblem, FsckSegment } from './spool/fsck-segment.js';
export { type CheckpointedBooks, LedgerCheckpoint, type LedgerCheckpointOptions } from './spool/ledger-checkpoint.js';
export {
  type ListedDirectory,
  type ListedOwner,
  type ListedSegment,
  type ListSpoolOptions,
  listSpool,
  type SpoolListing,
} from './spool/list-spool.js';
export type { LostToCrash } from './spool/lost-to-crash.js';
export { makeDirectorySync } from './spool/make-directory.js';
export { MemorySpool, type MemorySpoolOptions } from './spool/memory-spool.js';
export { nodeFileSystem } from './spool/node-file-system.js';
export type { SpanSpool, SpoolAppend, SpoolLease } from './spool/spool.js';
export type { SpoolOptions } from './spool/spool-options.js';
export type { SpoolStatus } from './spool/spool-status.js';
export type { TierStatus } from './tier-status.js';
export { TieredSpanExporter } from './tiered-span-exporter.js';
export type { TieredSpanExporterStats } from './tiered-span-exporter-stats.js';
