/** The classes of the CommonJS build where those of the ES modules are expected, and the other way. */
import * as esm from '@otel-resilience/exporter';
import { resilience } from '@otel-resilience/node';

type Cjs = typeof import('@otel-resilience/exporter', { with: { 'resolution-mode': 'require' }});

declare const ofCommonJs: InstanceType<Cjs['RetryingSpanExporter']>;
declare const CommonJsBreaker: Cjs['CircuitBreakerSpanExporter'];

export const r = resilience({ exporters: [ofCommonJs] });
export const outer = new esm.RetryingSpanExporter({ exporter: ofCommonJs });
export const inner = new CommonJsBreaker({ exporter: outer });
