import {
  type Clock,
  ConfigurationError,
  oneOf,
  type SpanBatchExporter,
  type SpanExporter,
} from '@otel-resilience/core';
import {
  type Headers,
  type HeadersFunction,
  OTLP_ENDPOINT_SCHEMA,
  OtlpEnvironment,
  type OtlpProtocol,
  OtlpSpanExporter,
  type OtlpSpanExporterOptions,
  protocolOf,
} from '@otel-resilience/otlp';
import type { EnvironmentSettings } from './environment.js';
import { stockExporter } from './stock-exporter.js';

/** Who speaks with collectors: ours, or the exporters of OpenTelemetry JS. */
export type Transport = 'otlp' | 'stock';

const DEFAULT_TRANSPORT: Transport = 'stock';

export const readTransport = oneOf(['otlp', 'stock'], { default: DEFAULT_TRANSPORT });

/**
 * A receiver of OTLP traces: options of the `OtlpSpanExporter`, of which the transport `stock` knows `url`, `headers`
 * that are an object, and `protocol`. What is left out comes from `OTEL_EXPORTER_OTLP_*`.
 */
export interface OtlpEndpoint extends Omit<OtlpSpanExporterOptions, 'url' | 'metrics' | 'clock' | 'random'> {
  /** Shown in status. Default: host and port of the URL. */
  readonly name?: string;
  /**
   * `http://`, `https://`, or (transport `otlp`) `unix:/path/to/socket`; over HTTP one without a path gets `/v1/traces`.
   */
  readonly url: string;
  /** Lower is preferred. Default: the place in the list. */
  readonly priority?: number;
  /** For `strategy: 'weighted'`. Default 1. */
  readonly weight?: number;
}

/** What an endpoint's exporter is made of; without a URL it is the one that the environment names. */
export interface EndpointOptions extends Omit<OtlpSpanExporterOptions, 'headers' | 'metrics' | 'clock' | 'random'> {
  readonly headers?: Headers | HeadersFunction;
}

/** An exporter, and what status says of it; one that the user has made says nothing. */
export interface Leaf {
  readonly exporter: SpanExporter | SpanBatchExporter;
  readonly transport?: Transport;
  readonly protocol?: OtlpProtocol;
  /** Without what must not be shown. */
  readonly url?: string;
}

interface Surroundings {
  readonly transport: Transport;
  readonly environment: EnvironmentSettings;
  readonly metrics: boolean;
  readonly clock: Clock | undefined;
}

/** The exporter for an endpoint. */
export function otlpLeaf(endpoint: EndpointOptions, { transport, environment, metrics, clock }: Surroundings): Leaf {
  const protocol = endpoint.protocol ?? environment.protocol ?? protocolOf(endpoint.url ?? environment.endpoint);
  if (transport === 'otlp') {
    const exporter = new OtlpSpanExporter({ ...endpoint, protocol, metrics, clock });
    return { exporter, transport, protocol, url: exporter.url };
  }
  const { path, shown } = new OtlpEnvironment().endpointFor(protocol, endpoint.url);
  const url =
    endpoint.url !== undefined && protocol === 'http/protobuf' ? new URL(path, endpoint.url).href : endpoint.url;
  const headers = typeof endpoint.headers === 'object' ? endpoint.headers : {};
  return { exporter: stockExporter({ url, headers, protocol, clock }), transport, protocol, url: shown };
}

/** Readers of those options, as part of the options of an endpoint. */
export const ENDPOINT_OPTIONS = OTLP_ENDPOINT_SCHEMA;

const KNOWN_TO_STOCK: ReadonlySet<string> = new Set(['name', 'url', 'headers', 'protocol', 'priority', 'weight']);

const NOT_BY_STOCK = "with the transport 'stock' (set transport: 'otlp')";

/** Throws a `ConfigurationError` for what the stock exporters could not do. `endpoint` is what the user has given. */
export function checkForStock(endpoint: object, path: string): void {
  for (const [option, value] of Object.entries(endpoint)) {
    if (value !== undefined && !KNOWN_TO_STOCK.has(option)) {
      // Not shown: a proxy may have a password in it.
      throw new ConfigurationError(`${path}.${option}`, `nothing, ${NOT_BY_STOCK}`, typeof value);
    }
  }
  const { url, headers } = endpoint as Partial<OtlpEndpoint>;
  if (typeof headers === 'function') {
    throw new ConfigurationError(`${path}.headers`, `an object, ${NOT_BY_STOCK}`, headers);
  }
  if (url?.startsWith('unix:')) {
    throw new ConfigurationError(`${path}.url`, `no unix socket, ${NOT_BY_STOCK}`, url);
  }
}
