export { AdaptiveBatchSpanProcessor, type ProcessorStats } from './adaptive-batch-span-processor.js';
export type { DropPolicy } from './drop-policies.js';
export type { AdaptiveBatchSpanProcessorOptions } from './options.js';
