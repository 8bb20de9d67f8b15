import { ConfigurationError } from '@otel-resilience/core';
import type { Target } from './transport-options.js';

export type OtlpProtocol = 'grpc' | 'http/protobuf';

/** Where an exporter sends, as its transport needs it. */
export interface Endpoint {
  readonly target: Target;
  readonly secure: boolean;
  readonly authority: string;
  /** HTTP: path and query. gRPC: ''. */
  readonly path: string;
  /** For people: without the query, which may hold a key. */
  readonly shown: string;
}

export const TRACES_PATH = '/v1/traces';
export const DEFAULT_URL: Readonly<Record<OtlpProtocol, string>> = {
  grpc: 'http://localhost:4317',
  'http/protobuf': `http://localhost:4318${TRACES_PATH}`,
};

const EXPECTED = 'an http:// or https:// URL without credentials, or unix:/path/to/socket';

/**
 * Checks that a value can be the URL of an endpoint; throws a `ConfigurationError`. Credentials in it are refused, and
 * never repeated: URLs end up in logs.
 */
export function checkEndpointUrl(value: unknown, path: string): string {
  if (typeof value === 'string' && (socketPath(value) !== undefined || isHttpUrl(value))) return value;
  throw new ConfigurationError(path, EXPECTED, typeof value === 'string' ? withoutSecrets(value) : value);
}

/**
 * The protocol that a URL is plainly meant for, `http/protobuf` for port 4318 and for a path that ends in `/v1/traces`;
 * otherwise `grpc`.
 */
export function protocolOf(url: string | undefined): OtlpProtocol {
  if (!url || socketPath(url) !== undefined || !URL.canParse(url)) return 'grpc';
  const { port, pathname } = new URL(url);
  return port === '4318' || pathname.endsWith(TRACES_PATH) ? 'http/protobuf' : 'grpc';
}

/** What an HTTP URL's path becomes: `/v1/traces` if there is none, with `/v1/traces` added, or what it is. */
export type PathRule = 'unlessThereIsOne' | 'added' | 'asItIs';

/** Reads a URL that {@link checkEndpointUrl} has let pass. */
export function readEndpointUrl(url: string, protocol: OtlpProtocol, rule: PathRule = 'unlessThereIsOne'): Endpoint {
  const isHttp = protocol === 'http/protobuf';
  const socket = socketPath(url);
  if (socket !== undefined) {
    const path = isHttp ? TRACES_PATH : '';
    return { target: { path: socket }, secure: false, authority: 'localhost', path, shown: `unix:${socket}` };
  }
  const { protocol: scheme, hostname, port, host, origin, pathname, search } = new URL(url);
  const secure = scheme === 'https:';
  const path = isHttp ? tracesPath(pathname, rule) : '';
  return {
    target: { host: withoutBrackets(hostname), port: Number(port || (secure ? 443 : 80)) },
    secure,
    authority: host,
    path: isHttp ? path + search : '',
    shown: origin + path,
  };
}

function tracesPath(pathname: string, rule: PathRule): string {
  if (rule === 'asItIs') return pathname;
  return rule === 'added' || pathname === '/' ? pathname.replace(/\/$/, '') + TRACES_PATH : pathname;
}

/** What must not be shown of a URL: credentials, and a query. */
export function withoutSecrets(url: string): string {
  return url.replace(/[^/]*@/, '***@').replace(/\?.*/s, '?***');
}

function isHttpUrl(value: string): boolean {
  if (!/^https?:\/\//i.test(value) || !URL.canParse(value)) return false;
  const { hostname, username, password } = new URL(value);
  return hostname !== '' && !username && !password;
}

/** As gRPC names sockets: `unix:path` and `unix:///absolute/path`. */
function socketPath(url: string): string | undefined {
  return /^unix:(?:\/\/(?=\/))?(?!\/\/)([^\0]+)$/.exec(url)?.[1];
}

const withoutBrackets = (hostname: string): string => hostname.replace(/^\[(.*)\]$/, '$1');
