export { BudgetTrigger, type BudgetTriggerOptions } from './budget-trigger.js';
export { EndpointTrigger, type EndpointTriggerOptions } from './endpoint-trigger.js';
export { ErrorRateTrigger, type ErrorRateTriggerOptions } from './error-rate-trigger.js';
export type { PipelineTriggerOptions } from './gauge-trigger.js';
export { LatencyTrigger, type LatencyTriggerOptions } from './latency-trigger.js';
export { QueueTrigger, type QueueTriggerOptions } from './queue-trigger.js';
export { QuotaTrigger, type QuotaTriggerOptions } from './quota-trigger.js';
export { SpoolTrigger, type SpoolTriggerOptions } from './spool-trigger.js';
export { TimeoutRateTrigger, type TimeoutRateTriggerOptions } from './timeout-rate-trigger.js';
