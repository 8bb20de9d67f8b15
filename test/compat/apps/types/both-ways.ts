/** Our types where the SDK's are expected and the SDK's where ours are, as applications combine them. */
import { OTLPTraceExporter as GrpcExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { OTLPTraceExporter as HttpExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { adaptSpanExporter, type ReadableSpan, type SpanExporter, type SpanProcessor } from '@otel-resilience/core';
import {
  breakerChain,
  CircuitBreakerSpanExporter,
  FailoverSpanExporter,
  RetryingSpanExporter,
} from '@otel-resilience/exporter';
import { resilience } from '@otel-resilience/node';
import { OtlpSpanExporter } from '@otel-resilience/otlp';
import { AdaptiveBatchSpanProcessor } from '@otel-resilience/processor';
import { MemorySpool, TieredSpanExporter } from '@otel-resilience/tiered';
import * as sdk from './sdk.js';

declare const theirSpan: sdk.ReadableSpan;
declare const theirExporter: sdk.SpanExporter;
declare const theirProcessor: sdk.SpanProcessor;
declare const ourSpan: ReadableSpan;
declare const ourExporter: SpanExporter;
declare const ourProcessor: SpanProcessor;

// Theirs as ours
export const span: ReadableSpan = theirSpan;
export const exporter: SpanExporter = theirExporter;
export const processor: SpanProcessor = theirProcessor;

// Ours as theirs
// @ts-expect-error: our attributes are `unknown`, as SDK 3 has them, and our arrays readonly: adaptSpanExporter is the way
export const asTheirSpan: sdk.ReadableSpan = ourSpan;
export const asTheirExporter: sdk.SpanExporter = ourExporter;
export const asTheirProcessor: sdk.SpanProcessor = ourProcessor;

// Stock exporters in our options
const stock = [new GrpcExporter(), new HttpExporter({ url: 'http://collector:4318/v1/traces' })] as const;
export const r = resilience({ exporters: [...stock, theirExporter, { name: 'mine', exporter: stock[0] }] });
const retrying = new RetryingSpanExporter({ exporter: stock[0] });
const breaker = new CircuitBreakerSpanExporter({ exporter: theirExporter });
const failover = new FailoverSpanExporter({
  endpoints: [
    { name: 'a', exporter: breaker },
    { name: 'b', exporter: stock[1] },
  ],
});
const chain = breakerChain({ levels: [{ name: 'a', exporter: adaptSpanExporter(stock[0]) }] });
const tiered = new TieredSpanExporter({ hot: retrying, spool: new MemorySpool() });
const otlp = new OtlpSpanExporter({ url: 'https://collector:4317', headers: async () => ({ authorization: 'x' }) });
const ours = new AdaptiveBatchSpanProcessor({ exporter: theirExporter });

// Ours in NodeSDK and in the stock processor
export const sdks = [
  new NodeSDK({ ...r.sdk }),
  new NodeSDK({ spanProcessors: r.sdk.spanProcessors }),
  new NodeSDK({ spanProcessors: [ours, theirProcessor, sdk.batched(retrying)] }),
  new NodeSDK({ traceExporter: failover }),
  new NodeSDK({ traceExporter: otlp }),
];
export const inStock = [retrying, breaker, failover, chain, tiered, otlp].map((exporter) => sdk.batched(exporter));

// What must not pass, so that it is known that something is checked
// @ts-expect-error: no exporter
resilience({ exporters: [{ export: 1 }] });
// @ts-expect-error: no such option
resilience({ endpoint: 'http://collector:4317' });
// @ts-expect-error: an exporter is no processor
export const wrong: sdk.SpanProcessor = retrying;
// @ts-expect-error: nor is a span an exporter
sdk.batched(theirSpan);
