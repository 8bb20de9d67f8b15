// SDK 3.x
import { BatchSpanProcessor, type SpanExporter } from '@opentelemetry/sdk-trace';

export type { ReadableSpan, Sampler, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace';
export { AlwaysOnSampler, ParentBasedSampler, TraceIdRatioBasedSampler } from '@opentelemetry/sdk-trace';

export const batched = (exporter: SpanExporter): BatchSpanProcessor => new BatchSpanProcessor({ exporter });
