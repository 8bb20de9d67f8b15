import { SpanStatusCode } from '@opentelemetry/api';
import { BasicTracerProvider, type SpanProcessor } from '@opentelemetry/sdk-trace-base';
import { spanKey } from '@otel-resilience/testing';

/** Ends `count` spans of a real SDK in one go, as a burst does; returns their ids as `CountingReceiver` counts them. */
export function endSpans(processor: SpanProcessor, count: number, { error = false } = {}): Set<string> {
  const tracer = new BasicTracerProvider({ spanProcessors: [processor] }).getTracer('test');
  const ids = new Set<string>();
  for (let i = 0; i < count; i++) {
    const span = tracer.startSpan(spanName(i));
    ids.add(spanKey(span.spanContext()));
    if (error) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end();
  }
  return ids;
}

const spanName = (index: number): string => `span ${index}`;

/** The names that `endSpans` gives, from `start` (inclusive) to `end` (exclusive). */
export function spanNames(start: number, end: number): string[] {
  return Array.from({ length: end - start }, (_, index) => spanName(start + index));
}
