export { BudgetTrigger, type BudgetTriggerOptions } from './budget-trigger.js';
export { EndpointTrigger } from './endpoint-trigger.js';
export { ErrorRateTrigger, type ErrorRateTriggerOptions } from './error-rate-trigger.js';
export type { PipelineTriggerOptions } from './gauge-trigger.js';
export { LatencyTrigger } from './latency-trigger.js';
export { QueueTrigger } from './queue-trigger.js';
export { QuotaTrigger } from './quota-trigger.js';
export { SpoolTrigger } from './spool-trigger.js';
export { TimeoutRateTrigger } from './timeout-rate-trigger.js';
