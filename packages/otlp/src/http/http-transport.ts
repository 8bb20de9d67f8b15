import type { OutgoingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import { ExportError } from '@otel-resilience/core';
import { CallScope, orAborted } from '../call-scope.js';
import { OTHER_PROXY_CREDENTIALS, openSocket } from '../connection/open-socket.js';
import { gzip } from '../gzip.js';
import type { OtlpAnswer, OtlpRequest, OtlpTransport } from '../otlp-transport.js';
import type { ProxySettings, TransportOptions } from '../transport-options.js';
import { afterConnecting, withReason } from '../wrong-port.js';
import { ConnectionPool } from './connection-pool.js';
import { exchange, type HttpRequest, type HttpResponse } from './exchange.js';
import { HttpError, isProtobuf } from './http-error.js';

/**
 * OTLP over HTTP/1.1: requests that are encoded already, over connections that are kept.
 *
 * Any 2xx means that the server has accepted the request; a redirect is an error like any other status. A request is
 * repeated once, at once, when a connection that had served another one breaks before a response comes: the server was
 * closing it just then. OTLP allows to repeat after a disconnect, and accepts the duplicates.
 */
export class HttpTransport implements OtlpTransport {
  private readonly options: TransportOptions;
  private readonly pool: ConnectionPool;
  private readonly path: string;
  private readonly headers: OutgoingHttpHeaders;
  private readonly open = new Set<CallScope>();
  private untried = true;

  constructor(options: TransportOptions) {
    this.options = options;
    const { authority, path, clock, connections, compression, userAgent } = options;
    const proxy = relay(options);
    this.pool = new ConnectionPool({ size: connections, open: (signal) => this.connect(signal), clock });
    this.path = proxy ? `http://${authority}${path}` : path;
    this.headers = {
      host: authority,
      connection: 'keep-alive',
      'content-type': 'application/x-protobuf',
      ...(compression === 'gzip' && { 'content-encoding': 'gzip' }),
      'user-agent': userAgent,
      ...(proxy?.authorization && { 'proxy-authorization': proxy.authorization }),
    };
  }

  send(request: OtlpRequest): Promise<OtlpAnswer> {
    return this.sendWithin(new CallScope(request, this.options.clock), request);
  }

  async shutdown(): Promise<void> {
    this.pool.shutdown();
    for (const scope of this.open) scope.abort(new ExportError('SHUTDOWN', 'the transport is shut down'));
  }

  private async sendWithin(scope: CallScope, request: OtlpRequest): Promise<OtlpAnswer> {
    this.open.add(scope);
    try {
      const http = { path: this.path, ...(await this.encode(request, scope.signal)) };
      return read(await this.post(http, scope), this.options);
    } finally {
      this.open.delete(scope);
      scope.close();
    }
  }

  private async encode(request: OtlpRequest, signal: AbortSignal): Promise<Pick<HttpRequest, 'headers' | 'chunks'>> {
    const { compression, gzipLevel } = this.options;
    const compressed = compression === 'gzip' && (await orAborted(gzip(request.chunks, gzipLevel), signal));
    const chunks = compressed ? [compressed] : request.chunks;
    const length = compressed ? compressed.byteLength : request.byteLength;
    return { chunks, headers: { ...request.headers, ...this.headers, 'content-length': length } };
  }

  private async post(request: HttpRequest, scope: CallScope): Promise<HttpResponse> {
    const { signal } = scope;
    const { maxResponseBytes, clock } = this.options;
    for (let repeated = false; ; repeated = true) {
      const connection = await this.pool.acquire(signal);
      let keepMillis = 0;
      try {
        const response = await exchange(connection.socket, request, { maxResponseBytes, signal, clock });
        this.untried = false;
        keepMillis = this.keepMillis(response);
        return response;
      } catch (error) {
        const repeat = !repeated && connection.reused && !signal.aborted && isDisconnect(error);
        // The same has happened to other connections, or will: those that are idle are worth no attempt.
        if (repeat || scope.expired) this.pool.dropIdle();
        if (!repeat) throw this.untried ? explained(error, this.options.secure) : error;
      } finally {
        this.pool.release(connection.socket, keepMillis);
      }
    }
  }

  private connect(signal: AbortSignal): Promise<Socket> {
    const { target, secure, tls, proxy, connectTimeoutMillis, keepalive, clock } = this.options;
    const common = { connectTimeoutMillis, tcpKeepaliveMillis: keepalive.tcpMillis, signal, clock };
    const relaying = relay(this.options);
    if (relaying) return openSocket(relaying.target, { ...common, ...(relaying.secure && { tls: {} }) });
    return openSocket(target, { ...common, ...(secure && { tls }), ...(proxy && { proxy }) });
  }

  /** A second less than the server keeps it, when it says so. */
  private keepMillis({ headers }: HttpResponse): number {
    const { idleMillis } = this.options.keepalive;
    const hint = /(?:^|[\s,;])timeout=(\d{1,9})/i.exec(String(headers['keep-alive'] ?? ''));
    return hint ? Math.min(idleMillis, Number(hint[1]) * 1000 - 1000) : idleMillis;
  }
}

/**
 * A proxy for `http://` is not asked for a tunnel but sent the requests themselves, as everybody does it: many open
 * tunnels to port 443 only.
 */
const relay = ({ secure, proxy }: TransportOptions): ProxySettings | undefined => (secure ? undefined : proxy);

function read(response: HttpResponse, options: TransportOptions): OtlpAnswer {
  const { status, complete, body } = response;
  if (status === 407 && relay(options)) throw refusedByProxy(response);
  if (status < 200 || status > 299) throw new HttpError(response);
  return { body: complete && isProtobuf(response) ? body : NOTHING };
}

const NOTHING = new Uint8Array();

/** No server was asked, as when the proxy refuses a tunnel: not an `HttpError`, whose status would be the server's. */
function refusedByProxy(response: HttpResponse): Error {
  return Object.assign(new Error(withReason(new HttpError(response).message, OTHER_PROXY_CREDENTIALS)), {
    code: 'EPROXYREFUSED',
  });
}

/** Nobody has ever answered: perhaps this is not the port that was meant. */
function explained(error: unknown, secure: boolean): unknown {
  const reason = afterConnecting(error, { protocol: 'http/protobuf', secure });
  if (reason === '') return error;
  const { message, code } = error as Error & { code?: unknown };
  return Object.assign(new Error(withReason(message, reason), { cause: error }), { code });
}

function isDisconnect(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === 'ECONNRESET' || code === 'EPIPE' || code === 'ECONNABORTED';
}
