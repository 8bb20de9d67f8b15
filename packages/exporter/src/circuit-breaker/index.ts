export { BreakerOpenError } from './breaker-open-error.js';
export {
  type AcquireOptions,
  CircuitBreaker,
  type CircuitBreakerMetrics,
  isCircuitBreaker,
} from './circuit-breaker.js';
export {
  CircuitBreakerSpanExporter,
  type CircuitBreakerSpanExporterOptions,
  isCircuitBreakerSpanExporter,
} from './circuit-breaker-span-exporter.js';
export type {
  CircuitBreakerEventName,
  CircuitBreakerEvents,
  RejectionRateEvent,
  StateChangeEvent,
} from './events.js';
export type { CircuitBreakerOptions, CircuitBreakerPreset, CircuitBreakerStrategy } from './options.js';
export type { BreakerPermit, CallResult } from './permit.js';
export type { BreakerState } from './states.js';
export type { OpenReason } from './strategies.js';
