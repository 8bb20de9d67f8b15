export { ConfigurationError, type ReadableSpan, type SpanExporter, type SpanProcessor } from '@otel-resilience/core';
export type { OtlpProtocol } from '@otel-resilience/otlp';
export type { TriggerSelection } from './default-triggers.js';
export type { DegradationOptions } from './degradation.js';
export type { OtlpEndpoint, Transport } from './otlp-endpoint.js';
export { type Resilience, resilience } from './resilience.js';
export type { NamedExporter, ResilienceOptions } from './resilience-options.js';
export type { ResilienceEndpointStatus, ResilienceStatus, SpanTotals } from './resilience-status.js';
