import {
  aClock,
  boolean,
  type Clock,
  ConfigurationError,
  callback,
  integer,
  list,
  millis,
  type OptionReader,
  oneOf,
  optional,
  positiveInteger,
  shape,
  text,
} from '@otel-resilience/core';
import { isEncryptedPem } from './connection/tls-material.js';
import { checkEndpointUrl, type OtlpProtocol } from './endpoint-url.js';
import type { HeadersFunction } from './header-source.js';
import { type Headers, type HeadersInput, readHeaders } from './headers.js';
import type { Compression } from './transport-options.js';
import { userAgentPrefix } from './user-agent.js';

/** PEM, as text or bytes, or the path of a file that holds it, which is read again for every connection. */
export type PemOrFile = string | Uint8Array;

export interface OtlpTlsOptions {
  /** Certificates to trust instead of those Node trusts. Default `OTEL_EXPORTER_OTLP_(TRACES_)CERTIFICATE`. */
  readonly ca?: PemOrFile | readonly PemOrFile[];
  /**
   * Our own certificate, with its chain, where the server asks for one (mTLS); `key` beside it. Default
   * `OTEL_EXPORTER_OTLP_(TRACES_)CLIENT_CERTIFICATE`.
   */
  readonly cert?: PemOrFile;
  /** Default `OTEL_EXPORTER_OTLP_(TRACES_)CLIENT_KEY`. */
  readonly key?: PemOrFile;
  /** Of the key. */
  readonly passphrase?: string;
  /** The name that the server's certificate must have. Default: the host of the URL. */
  readonly serverName?: string;
  /** Whether a certificate that nobody vouches for ends the connection. Default true. */
  readonly rejectUnauthorized?: boolean;
  /** Default: Node's, TLSv1.2. */
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3';
}

/**
 * Options of {@link OtlpSpanExporter}. A wrong one throws a `ConfigurationError` that names its path. What is left out
 * comes from `OTEL_EXPORTER_OTLP_TRACES_*`, then from `OTEL_EXPORTER_OTLP_*`, then from the defaults below; a variable
 * that makes no sense is logged and ignored, unless `OTEL_RESILIENCE_STRICT=true`.
 */
export interface OtlpSpanExporterOptions {
  /**
   * Default `…_PROTOCOL`; else `http/protobuf` for a URL with port 4318 or a path that ends in `/v1/traces`, otherwise
   * `grpc`.
   */
  readonly protocol?: OtlpProtocol;
  /**
   * `http://host:port`, `https://host:port`, or `unix:/path/to/socket`, without credentials. Over HTTP one without a
   * path gets `/v1/traces`; over gRPC a path has no meaning. Default `…_ENDPOINT`, else `http://localhost:4317` for gRPC
   * and `http://localhost:4318/v1/traces` for HTTP.
   */
  readonly url?: string;
  /**
   * Sent with every request, beside those of `…_HEADERS`, before which they come. A function, which may be async, is
   * called when the first request needs its answer, and again when a server has answered 401 or UNAUTHENTICATED; a request
   * so answered is repeated once, and then `retryable`. While nothing it gives is taken, it is called every 30 s at last.
   * Never logged or shown, nor what a server repeats of them.
   */
  readonly headers?: HeadersInput | HeadersFunction;
  /** How long one call of the `headers` function may take, in milliseconds, at least 1. Default 5,000. */
  readonly headersTimeoutMillis?: number;
  /** Default `…_COMPRESSION`, else `none`. */
  readonly compression?: Compression;
  /** Of gzip: 1 to 9. Default 1, which takes two fifths of the time of 6, for an eighth more bytes. */
  readonly compressionLevel?: number;
  /** For `https://` only. */
  readonly tls?: OtlpTlsOptions;
  /**
   * An `http://` or `https://` URL, possibly with credentials, or `false` for none. Default `HTTPS_PROXY` or `HTTP_PROXY`,
   * by the scheme of the URL, but for `NO_PROXY` and for this machine itself. gRPC and `https://` go through a CONNECT
   * tunnel; HTTP to an `http://` URL goes to the proxy itself, in requests of absolute form.
   */
  readonly proxy?: string | false;
  /** HTTP: connections at a time, at most. gRPC: connections over which calls are spread. Default 10 and 1. */
  readonly connections?: number;
  /**
   * How long an export may take, in milliseconds, at least 1: connecting, headers, parts and the one repetition
   * included. Default `…_TIMEOUT`, else 10,000, as OTLP has it.
   */
  readonly timeoutMillis?: number;
  /** How long each step of connecting may take, in milliseconds, at least 1. Default 500. */
  readonly connectTimeoutMillis?: number;
  /**
   * Larger requests are split, by their bytes before compression. Default 4 MiB for gRPC, what its servers take, and
   * 20 MiB for HTTP, what the Collector takes.
   */
  readonly maxRequestBytes?: number;
  /** Exports open at a time; others wait for their turn. Default `connections` for HTTP, 30 for gRPC. */
  readonly maxConcurrentExports?: number;
  /** Products of your own, such as `shop/2.3`, to stand before ours in the User-Agent. Default: none. */
  readonly userAgent?: string;
  /** Whether to publish metrics through the global meter provider, if there is one. Default true. */
  readonly metrics?: boolean;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Returns numbers from 0 (inclusive) to 1 (exclusive), for jitter. Default `Math.random`. */
  readonly random?: () => number;
}

const pem: OptionReader<PemOrFile> = (value, path) => {
  if (value instanceof Uint8Array && value.byteLength > 0) return Uint8Array.from(value);
  if (typeof value === 'string' && value !== '') return value;
  // Not shown: it may be a key.
  throw new ConfigurationError(path, 'PEM, or the path of a file', typeof value);
};

const certificates: OptionReader<PemOrFile | readonly PemOrFile[]> = (value, path) =>
  Array.isArray(value) ? list(pem, { min: 1 })(value, path) : pem(value, path);

const secretText: OptionReader<string> = (value, path) => {
  if (typeof value === 'string') return value;
  throw new ConfigurationError(path, 'a string', typeof value);
};

const tlsShape = shape({
  ca: optional(certificates),
  cert: optional(pem),
  key: optional(pem),
  passphrase: optional(secretText),
  serverName: optional(text()),
  rejectUnauthorized: boolean({ default: true }),
  minVersion: optional(oneOf(['TLSv1.2', 'TLSv1.3'], { default: 'TLSv1.2' })),
});

const tlsOptions: OptionReader<OtlpTlsOptions> = (value, path) => {
  const tls = tlsShape(value, path);
  if (tls.key !== undefined && tls.passphrase === undefined && isEncryptedPem(tls.key)) {
    throw new ConfigurationError(`${path}.passphrase`, 'that of the key, which is encrypted', undefined);
  }
  if ((tls.cert === undefined) === (tls.key === undefined)) return tls;
  const [lacking, given] = tls.cert === undefined ? ['cert', 'key'] : ['key', 'cert'];
  throw new ConfigurationError(`${path}.${lacking}`, `${lacking} beside ${given}`, undefined);
};

const headersOrFunction: OptionReader<Headers | HeadersFunction> = (value, path) =>
  typeof value === 'function' ? (value as HeadersFunction) : readHeaders(value, path);

const proxyUrl: OptionReader<string | false> = (value, path) => {
  if (value === false) return false;
  if (typeof value === 'string' && /^https?:\/\//i.test(value) && URL.canParse(value)) return value;
  // Not shown: it may have a password in it.
  throw new ConfigurationError(path, 'an http:// or https:// URL, or false', typeof value);
};

/**
 * Readers of the options that belong to one endpoint, for whoever reads them as part of options of its own. What they
 * return can be handed to {@link OtlpSpanExporter}.
 */
export const OTLP_ENDPOINT_SCHEMA = {
  protocol: optional(oneOf(['grpc', 'http/protobuf'], { default: 'grpc' })),
  url: optional(checkEndpointUrl),
  headers: optional(headersOrFunction),
  headersTimeoutMillis: millis({ default: 5_000, min: 1 }),
  compression: optional(oneOf(['none', 'gzip'], { default: 'none' })),
  compressionLevel: integer({ default: 1, min: 1, max: 9 }),
  tls: optional(tlsOptions),
  proxy: optional(proxyUrl),
  connections: optional(positiveInteger({ default: 1, max: 1_000 })),
  timeoutMillis: optional(millis({ default: 10_000, min: 1 })),
  connectTimeoutMillis: millis({ default: 500, min: 1 }),
  maxRequestBytes: optional(positiveInteger({ default: 1 })),
  maxConcurrentExports: optional(positiveInteger({ default: 1 })),
  userAgent: optional(userAgentPrefix),
};

export const OTLP_SCHEMA = {
  ...OTLP_ENDPOINT_SCHEMA,
  metrics: boolean({ default: true }),
  clock: optional(aClock),
  random: optional(callback<() => number>()),
};
