/** The classes of the CommonJS build where those of the ES modules are expected, and the other way. */
import * as esm from '@otel-resilience/exporter';
import { resilience } from '@otel-resilience/node';
import { DegradationSampler, TailSamplingSpanProcessor } from '@otel-resilience/sampler';

type Cjs = typeof import('@otel-resilience/exporter', { with: { 'resolution-mode': 'require' }});
type CjsDegradation = typeof import('@otel-resilience/degradation', { with: { 'resolution-mode': 'require' }});
type CjsOtlp = typeof import('@otel-resilience/otlp', { with: { 'resolution-mode': 'require' }});
type CjsProcessor = typeof import('@otel-resilience/processor', { with: { 'resolution-mode': 'require' }});

declare const ofCommonJs: InstanceType<Cjs['RetryingSpanExporter']>;
declare const otlpOfCommonJs: InstanceType<CjsOtlp['OtlpSpanExporter']>;
declare const CommonJsBreaker: Cjs['CircuitBreakerSpanExporter'];

export const r = resilience({ exporters: [ofCommonJs, otlpOfCommonJs] });
export const outer = new esm.RetryingSpanExporter({ exporter: ofCommonJs });
export const inner = new CommonJsBreaker({ exporter: outer });

declare const controller: InstanceType<CjsDegradation['DegradationController']>;
declare const next: InstanceType<CjsProcessor['AttributeTrimmingSpanProcessor']>;

export const sampler = new DegradationSampler({ controller });
export const tail = new TailSamplingSpanProcessor({ controller, next });
