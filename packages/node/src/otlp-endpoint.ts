import { OTLPTraceExporter as GrpcTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { OTLPTraceExporter as HttpTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { createEmptyMetadata } from '@opentelemetry/otlp-grpc-exporter-base';
import {
  adaptSpanExporter,
  type Clock,
  ConfigurationError,
  type SpanBatchExporter,
  type SpanExporter,
} from '@otel-resilience/core';
import type { OtlpProtocol } from './environment.js';

/** A receiver of OTLP traces. What is left out comes from `OTEL_EXPORTER_OTLP_*`. */
export interface OtlpEndpoint {
  /** Shown in status. Default: host and port of the URL. */
  readonly name?: string;
  /** `http://` or `https://`; over HTTP a URL without a path gets `/v1/traces`. */
  readonly url: string;
  /** Sent with every request; never logged or shown. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: `OTEL_EXPORTER_OTLP_TRACES_PROTOCOL`, `OTEL_EXPORTER_OTLP_PROTOCOL`, or `grpc`. */
  readonly protocol?: OtlpProtocol;
  /** Lower is preferred. Default: the place in the list. */
  readonly priority?: number;
  /** For `strategy: 'weighted'`. Default 1. */
  readonly weight?: number;
}

// The stock OTLP exporters fail the 31st export that is open at a time.
const STOCK_CONCURRENCY_LIMIT = 30;

/** The stock OTLP exporter for an endpoint; without one, for the address that the environment names. */
export function otlpExporter(
  endpoint: OtlpEndpoint | undefined,
  protocol: OtlpProtocol,
  clock?: Clock,
): SpanBatchExporter {
  const exporter = (endpoint?.protocol ?? protocol) === 'grpc' ? grpcExporter(endpoint) : httpExporter(endpoint);
  return adaptSpanExporter(exporter, { maxConcurrentExports: STOCK_CONCURRENCY_LIMIT, ...(clock && { clock }) });
}

function grpcExporter(endpoint: OtlpEndpoint | undefined): SpanExporter {
  if (!endpoint) return new GrpcTraceExporter();
  const { url, headers = {} } = endpoint;
  return new GrpcTraceExporter({
    url,
    // A getter, since the exporter reads it at the first export: making metadata loads grpc-js, and that must not
    // happen before the instrumentations are registered.
    get metadata() {
      const metadata = createEmptyMetadata();
      for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
      return metadata;
    },
  }) as SpanExporter;
}

function httpExporter(endpoint: OtlpEndpoint | undefined): SpanExporter {
  if (!endpoint) return new HttpTraceExporter();
  const url = new URL(endpoint.url);
  if (url.pathname === '/') url.pathname = '/v1/traces';
  return new HttpTraceExporter({ url: url.href, headers: { ...endpoint.headers } }) as SpanExporter;
}

/** Checks that a value can be an endpoint. Credentials in it are refused, and never repeated: URLs end up in logs. */
export function checkEndpointUrl(value: unknown, path: string): string {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined;
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:';
  if (isHttp && !url.username && !url.password) return value as string;
  const shown = typeof value === 'string' ? value.replace(/[^/]*@/, '***@') : value;
  throw new ConfigurationError(path, 'an http:// or https:// URL without credentials', shown);
}
