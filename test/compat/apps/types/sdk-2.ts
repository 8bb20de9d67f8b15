// SDK 2.x
import { BatchSpanProcessor, type SpanExporter } from '@opentelemetry/sdk-trace-base';

export type { ReadableSpan, Sampler, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace-base';
export { AlwaysOnSampler, ParentBasedSampler, TraceIdRatioBasedSampler } from '@opentelemetry/sdk-trace-base';

export const batched = (exporter: SpanExporter): BatchSpanProcessor => new BatchSpanProcessor(exporter);
