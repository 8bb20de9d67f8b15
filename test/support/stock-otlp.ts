import { OTLPTraceExporter as GrpcTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { OTLPTraceExporter as HttpTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import type { CountingReceiver } from '@otel-resilience/testing';

export const PROTOCOLS = ['grpc', 'http/protobuf'] as const;

/** The stock OTLP exporter that a NodeSDK would use for this receiver. */
export function stockOtlpExporter({ protocol, tracesUrl }: CountingReceiver, options: { timeoutMillis?: number } = {}) {
  const Exporter = protocol === 'grpc' ? GrpcTraceExporter : HttpTraceExporter;
  return new Exporter({ url: tracesUrl, ...options });
}
