import type { Clock } from '@otel-resilience/core';

/** What a transport is made of. The exporter has read and checked all of it: user's options, environment, defaults. */
export interface TransportOptions {
  /** Where connections go. */
  readonly target: Target;
  /** Whether connections are TLS, as `tls` says. */
  readonly secure: boolean;
  /** `host` or `host:port` as the URL has it (no default port), for `Host` and `:authority`; `localhost` for a unix socket. */
  readonly authority: string;
  /** HTTP: path and query of the request, such as `/v1/traces`. gRPC: a prefix of the method's path, without a slash at its end; usually ''. */
  readonly path: string;
  readonly tls: TlsSettings;
  /** Undefined: connect directly. Never set for a unix socket. */
  readonly proxy: ProxySettings | undefined;
  /** HTTP: connections open at a time, at most. gRPC: HTTP/2 sessions that calls are spread over. */
  readonly connections: number;
  /** For each step of connecting: name and TCP, TLS with the proxy, the tunnel, TLS, the SETTINGS of HTTP/2. */
  readonly connectTimeoutMillis: number;
  readonly compression: Compression;
  /** 1 to 9. */
  readonly gzipLevel: number;
  readonly userAgent: string;
  /** What is read of a response's body, after decompression, at most. */
  readonly maxResponseBytes: number;
  readonly keepalive: KeepaliveSettings;
  readonly clock: Clock;
  /** From 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number;
}

export type Target =
  | { readonly host: string; readonly port: number; readonly path?: undefined }
  /** A unix socket. */
  | { readonly path: string; readonly host?: undefined; readonly port?: undefined };

export type Compression = 'none' | 'gzip';

/** PEM. A file is read again for every new connection, so that a certificate may be renewed in place. */
export type Pem = { readonly file: string } | { readonly pem: string | Uint8Array };

/** Without `ca`: what Node trusts. */
export interface TlsSettings {
  readonly ca?: readonly Pem[];
  /** The client's certificate chain, and its key: mTLS. Both or neither. */
  readonly cert?: Pem;
  readonly key?: Pem;
  /** Of the key. A secret. */
  readonly passphrase?: string;
  /** For SNI and for checking the certificate's name. Default: the host that is connected to. */
  readonly serverName?: string;
  /** Default true. */
  readonly rejectUnauthorized?: boolean;
  /** Default: Node's. */
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3';
}

/** gRPC and `https://` go through a CONNECT tunnel; HTTP to an `http://` URL goes to the proxy itself, in absolute form. */
export interface ProxySettings {
  readonly target: { readonly host: string; readonly port: number };
  /** Whether to speak TLS with the proxy itself (`https://` proxy). */
  readonly secure: boolean;
  /** The value of `Proxy-Authorization`, such as `Basic …`. A secret. */
  readonly authorization?: string;
}

export interface KeepaliveSettings {
  /** TCP keepalive of every connection: idle time before the first probe. */
  readonly tcpMillis: number;
  /** HTTP/1.1: how long a connection may be idle before it is closed here. */
  readonly idleMillis: number;
  /** HTTP/2: from one ping to the next, only while calls are in flight. */
  readonly pingIntervalMillis: number;
  /** HTTP/2: without an answer to a ping for this long, the session is dead. */
  readonly pingTimeoutMillis: number;
}
