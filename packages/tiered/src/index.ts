export type { HotState } from './hot-tier.js';
export type { TieredSpanExporterOptions } from './options.js';
export { MemorySpool, type MemorySpoolOptions } from './spool/memory-spool.js';
export type { SpanSpool, SpoolAppend, SpoolLease } from './spool/spool.js';
export { type HotStatus, TieredSpanExporter, type TieredSpanExporterStats } from './tiered-span-exporter.js';
