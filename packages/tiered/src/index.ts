export type { HotState } from './hot-tier.js';
export { MemorySpool, type MemorySpoolOptions } from './spool/memory-spool.js';
export type { SpanSpool, SpoolAppend, SpoolLease } from './spool/spool.js';
export {
  TieredSpanExporter,
  type TieredSpanExporterOptions,
  type TieredSpanExporterStats,
} from './tiered-span-exporter.js';
