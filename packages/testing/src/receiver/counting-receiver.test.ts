import { OTLPTraceExporter as GrpcExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { OTLPTraceExporter as ProtoExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import type { SpanExporter as StockExporter } from '@opentelemetry/sdk-trace-base';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { afterEach, describe, expect, it } from 'vitest';
import { CountingReceiver, type CountingReceiverOptions } from './counting-receiver.js';
import { spanKey } from './decode-request.js';

const PROTOCOLS = ['grpc', 'http/protobuf'] as const;
const opened: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.stop()));
});

async function started(options: CountingReceiverOptions): Promise<CountingReceiver> {
  const receiver = new CountingReceiver(options);
  opened.push(receiver);
  await receiver.start();
  return receiver;
}

function stockExporter(receiver: CountingReceiver, options: object = {}): StockExporter {
  const exporter = new (receiver.protocol === 'grpc' ? GrpcExporter : ProtoExporter)({
    url: receiver.tracesUrl,
    ...options,
  });
  opened.push({ stop: () => exporter.shutdown() });
  return exporter;
}

function makeSpans(count: number): ReadableSpan[] {
  const memory = new InMemorySpanExporter();
  const tracer = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(memory)] }).getTracer('t');
  for (let i = 0; i < count; i++) tracer.startSpan(`span ${i}`, { attributes: { i } }).end();
  return memory.getFinishedSpans();
}

const send = (exporter: StockExporter, spans: ReadableSpan[]) =>
  new Promise<{ code: number; error?: Error }>((resolve) => exporter.export(spans, resolve));

describe.each(PROTOCOLS)('CountingReceiver over %s', (protocol) => {
  it('receives exactly the ids that a stock exporter sent', async () => {
    const receiver = await started({ protocol });
    const exporter = stockExporter(receiver, { compression: 'gzip' });
    const spans = makeSpans(100);
    expect(await send(exporter, spans)).toMatchObject({ code: 0 });
    expect(await send(exporter, spans.slice(0, 10))).toMatchObject({ code: 0 });
    expect([...receiver.spanIds].sort()).toEqual(spans.map((span) => spanKey(span.spanContext())).sort());
    expect(receiver.snapshot()).toEqual({
      requests: 2,
      receivedSpans: 110,
      uniqueSpans: 100,
      duplicates: 10,
      refusedSpans: 0,
      malformedRequests: 0,
    });
  });
});
