export { ConfigurationError, type ReadableSpan, type SpanExporter, type SpanProcessor } from '@otel-resilience/core';
export type { OtlpProtocol } from './environment.js';
export type { OtlpEndpoint } from './otlp-endpoint.js';
export { type Resilience, type ResilienceStatus, resilience, type SpanTotals } from './resilience.js';
export type { NamedExporter, ResilienceOptions } from './resilience-options.js';
