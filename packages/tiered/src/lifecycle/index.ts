export { Lifecycle, type LifecycleStatus } from './lifecycle.js';
export type { LifecycleOptions, LifecycleRunOptions } from './lifecycle-options.js';
export type { LifecycleCount, LifecycleFailure, LifecycleProgress, LifecycleReport } from './lifecycle-report.js';
export { type ArchiveAges, type ArchivePlace, DEFAULT_ARCHIVE_AGES, placeFor } from './place.js';
