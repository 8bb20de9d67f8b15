export type { BackoffStrategy } from './backoff.js';
export type { RetryingSpanExporterOptions } from './options.js';
export { RetryBudget, type RetryBudgetOptions, type RetryTokens } from './retry-budget.js';
export { RetryingSpanExporter, type RetryStats } from './retrying-span-exporter.js';
