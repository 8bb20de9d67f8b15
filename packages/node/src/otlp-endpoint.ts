import { OTLPTraceExporter as GrpcTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { OTLPTraceExporter as HttpTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { createEmptyMetadata } from '@opentelemetry/otlp-grpc-exporter-base';
import {
  adaptSpanExporter,
  type Clock,
  ConfigurationError,
  type SpanBatchExporter,
  type SpanExporter,
  systemClock,
} from '@otel-resilience/core';
import type { EnvironmentSettings, OtlpProtocol } from './environment.js';
import { RenewingExporter } from './renewing-exporter.js';

/** A receiver of OTLP traces. What is left out comes from `OTEL_EXPORTER_OTLP_*`. */
export interface OtlpEndpoint {
  /** Shown in status. Default: host and port of the URL. */
  readonly name?: string;
  /** `http://` or `https://`; over HTTP a URL without a path gets `/v1/traces`. */
  readonly url: string;
  /** Sent with every request; never logged or shown. */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * Default: `OTEL_EXPORTER_OTLP_TRACES_PROTOCOL`, `OTEL_EXPORTER_OTLP_PROTOCOL`; else `http/protobuf` for port 4318 and
   * for a path that ends in `/v1/traces`, otherwise `grpc`.
   */
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
  environment: EnvironmentSettings,
  clock: Clock = systemClock,
): SpanBatchExporter {
  const protocol = endpoint?.protocol ?? environment.protocol ?? protocolOf(endpoint?.url ?? environment.endpoint);
  const exporter = protocol === 'grpc' ? grpcExporter(endpoint, clock) : httpExporter(endpoint);
  return adaptSpanExporter(exporter, { maxConcurrentExports: STOCK_CONCURRENCY_LIMIT, clock });
}

/** NodeSDK's default is HTTP, ours is gRPC: an address that is plainly of the other kind must not get the wrong one. */
export function protocolOf(url: string | undefined): OtlpProtocol {
  if (!url || !URL.canParse(url)) return 'grpc';
  const { port, pathname } = new URL(url);
  return port === '4318' || pathname.endsWith('/v1/traces') ? 'http/protobuf' : 'grpc';
}

// Connections with other channel arguments share no subchannel; this many are never open at a time.
const USER_AGENTS = 64;

function grpcExporter(endpoint: OtlpEndpoint | undefined, clock: Clock): SpanExporter {
  return new RenewingExporter((generation) => {
    const userAgent = `otel-resilience (${generation % USER_AGENTS})`;
    if (!endpoint) return new GrpcTraceExporter({ userAgent });
    const { url, headers = {} } = endpoint;
    return new GrpcTraceExporter({
      url,
      userAgent,
      // A getter, since the exporter reads it at the first export: making metadata loads grpc-js, and that must not
      // happen before the instrumentations are registered.
      get metadata() {
        const metadata = createEmptyMetadata();
        for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
        return metadata;
      },
    });
  }, clock);
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
