export { AdaptiveBatchSpanProcessor } from './adaptive-batch-span-processor.js';
export type { DropPolicy } from './drop-policies.js';
export type { AdaptiveBatchSpanProcessorOptions } from './options.js';
export type { ProcessorStats } from './processor-stats.js';
export {
  AttributeTrimmingSpanProcessor,
  type AttributeTrimmingStats,
} from './trimming/attribute-trimming-span-processor.js';
export type { AttributeTrimmingSpanProcessorOptions, NumberByLevel } from './trimming/options.js';
export type { TrimCounts, TrimLimits } from './trimming/trim-span.js';
export { REQUIRED_ATTRIBUTES, VERBOSE_ATTRIBUTES } from './trimming/verbose-attributes.js';
