import { type Clock, ConfigurationError, EnvironmentReader, readOptions, systemClock } from '@otel-resilience/core';
import { proxyFor, readProxyUrl } from './connection/proxy-for.js';
import { type Endpoint, type OtlpProtocol, protocolOf } from './endpoint-url.js';
import { OtlpEnvironment } from './environment.js';
import type { HeadersFunction } from './header-source.js';
import type { Headers } from './headers.js';
import { OTLP_SCHEMA, type OtlpSpanExporterOptions, type OtlpTlsOptions, type PemOrFile } from './options.js';
import type { Pem, ProxySettings, TlsSettings, TransportOptions } from './transport-options.js';
import { userAgent } from './user-agent.js';

/** All that an exporter is made of: options, environment and defaults, read and checked. */
export interface OtlpSettings {
  readonly protocol: OtlpProtocol;
  readonly endpoint: Endpoint;
  readonly transport: TransportOptions;
  readonly headers: {
    readonly base: Headers;
    readonly headers: Headers | HeadersFunction;
    readonly timeoutMillis: number;
  };
  readonly timeoutMillis: number;
  readonly maxRequestBytes: number;
  readonly maxConcurrentExports: number;
  readonly metrics: boolean;
  readonly clock: Clock;
}

const MIB = 1024 * 1024;

/** OTLP's own limits: gRPC servers take 4 MiB by default, the Collector 20 MiB over HTTP. */
const BY_PROTOCOL = {
  grpc: { connections: 1, maxRequestBytes: 4 * MIB, concurrencyPerConnection: Number.POSITIVE_INFINITY },
  'http/protobuf': { connections: 10, maxRequestBytes: 20 * MIB, concurrencyPerConnection: 1 },
} as const satisfies Record<OtlpProtocol, object>;

/** As many as the stock exporters bear. */
const MOST_EXPORTS = 30;
const MAX_RESPONSE_BYTES = 64 * 1024;
const KEEPALIVE = {
  tcpMillis: 30_000,
  // Load balancers close idle connections after 60 s.
  idleMillis: 50_000,
  pingIntervalMillis: 30_000,
  pingTimeoutMillis: 10_000,
} as const;

/** Throws a `ConfigurationError` that names the option. */
export function readSettings(owner: string, options: OtlpSpanExporterOptions): OtlpSettings {
  const read = readOptions(owner, options, OTLP_SCHEMA);
  const environment = new OtlpEnvironment();
  const protocol = read.protocol ?? environment.protocol ?? protocolOf(read.url ?? environment.endpoint);
  const endpoint = environment.endpointFor(protocol, read.url);
  if (read.tls && !endpoint.secure) {
    throw new ConfigurationError(`${owner}.tls`, 'nothing, unless the URL is https://', read.tls);
  }
  const defaults = BY_PROTOCOL[protocol];
  const connections = read.connections ?? defaults.connections;
  const bearable = connections * defaults.concurrencyPerConnection;
  const maxConcurrentExports = read.maxConcurrentExports ?? Math.min(MOST_EXPORTS, bearable);
  if (maxConcurrentExports > bearable) {
    const most = `at most connections (${connections}), over HTTP`;
    throw new ConfigurationError(`${owner}.maxConcurrentExports`, most, maxConcurrentExports);
  }
  const { clock = systemClock, random = Math.random } = read;
  return {
    protocol,
    endpoint,
    transport: {
      target: endpoint.target,
      secure: endpoint.secure,
      authority: endpoint.authority,
      path: endpoint.path,
      tls: endpoint.secure ? tlsSettings(read.tls ?? {}, environment) : {},
      proxy: proxySettings(endpoint, read.proxy),
      connections,
      connectTimeoutMillis: read.connectTimeoutMillis,
      compression: read.compression ?? environment.compression ?? 'none',
      gzipLevel: read.compressionLevel,
      userAgent: userAgent(read.userAgent),
      maxResponseBytes: MAX_RESPONSE_BYTES,
      keepalive: KEEPALIVE,
      clock,
      random,
    },
    headers: {
      base: environment.headers,
      headers: read.headers ?? {},
      timeoutMillis: read.headersTimeoutMillis,
    },
    timeoutMillis: read.timeoutMillis ?? environment.timeoutMillis ?? 10_000,
    maxRequestBytes: read.maxRequestBytes ?? defaults.maxRequestBytes,
    maxConcurrentExports,
    metrics: read.metrics,
    clock,
  };
}

function tlsSettings({ ca, cert, key, ...rest }: OtlpTlsOptions, environment: OtlpEnvironment): TlsSettings {
  const trusted = ca ?? environment.certificate;
  const own = cert && key ? { cert, key } : environment.clientCertificate;
  return {
    ...rest,
    ...(trusted !== undefined && { ca: (Array.isArray(trusted) ? trusted : [trusted]).map(asPem) }),
    ...(own && { cert: asPem(own.cert), key: asPem(own.key) }),
  };
}

const asPem = (given: PemOrFile): Pem =>
  typeof given === 'string' && !given.includes('-----BEGIN') ? { file: given } : { pem: given };

/** As curl, Go and others do, nobody's proxy is asked for this machine. */
const LOOPBACK = /^(?:localhost|.*\.localhost|127(?:\.\d+){3}|::1)$/;

function proxySettings({ target, shown }: Endpoint, option: string | false | undefined): ProxySettings | undefined {
  if (target.path !== undefined || option === false) return undefined;
  if (option !== undefined) return readProxyUrl(option);
  if (LOOPBACK.test(target.host)) return undefined;
  try {
    return proxyFor(shown);
  } catch (thrown) {
    const { path, expected, got } = thrown as ConfigurationError;
    return new EnvironmentReader(process.env).ignore(path, expected, got);
  }
}
