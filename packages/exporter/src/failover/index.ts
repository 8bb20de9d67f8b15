export { BreakerChain, type BreakerChainLevel, type BreakerChainOptions, breakerChain } from './breaker-chain.js';
export type { EndpointCounts, EndpointStatus } from './endpoint.js';
export { FailoverSpanExporter, type FailoverStats } from './failover-span-exporter.js';
export type { FailoverEndpointOptions, FailoverEvent, FailoverSpanExporterOptions } from './options.js';
export type { FailoverStrategy } from './strategies.js';
