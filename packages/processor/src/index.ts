export { AdaptiveBatchSpanProcessor } from './adaptive-batch-span-processor.js';
export type { DropPolicy } from './drop-policies.js';
export type { AdaptiveBatchSpanProcessorOptions } from './options.js';
export type { ProcessorStats } from './processor-stats.js';
