import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base';
import { SpanBatch, SpanBatchBuilder } from '@otel-resilience/core';
import { makeSpanTemplates, spanEnder } from './varied-spans.mjs';

/** A batch of varied spans, encoded already: as many as make so many bytes. */
export function encodedBatch(bytes) {
  const end = spanEnder(new BasicTracerProvider(), makeSpanTemplates({ seed: 1 }));
  const builder = new SpanBatchBuilder();
  for (let i = 0; builder.byteLength < bytes; i++) builder.add(end(i));
  return SpanBatch.fromEncoded(builder.seal());
}
