import { request } from 'node:http';
import { connect, isIP, isIPv6, type Socket } from 'node:net';
import { type ConnectionOptions, rootCertificates, connect as startTls } from 'node:tls';
import { type Clock, suppressTracing } from '@otel-resilience/core';
import { afterPoll } from '../after-poll.js';
import type { ProxySettings, Target, TlsSettings } from '../transport-options.js';
import { afterTls } from '../wrong-port.js';
import { ConnectionError } from './connection-error.js';
import { sharedLookup } from './shared-lookup.js';
import { readTlsFiles, type TlsMaterial } from './tls-material.js';

export interface OpenSocketOptions {
  /** Undefined: no TLS. */
  readonly tls?: TlsSettings;
  /** Undefined: connect directly. */
  readonly proxy?: ProxySettings;
  /** The protocols to offer in TLS, the preferred one first, such as `['h2']`. */
  readonly alpn?: readonly string[];
  /**
   * How long each step may take: finding the address and connecting, TLS with the proxy, the tunnel, TLS. So that a
   * server on another continent, for which all of them together take longer, can still be reached.
   */
  readonly connectTimeoutMillis: number;
  /** TCP keepalive: idle time before the first probe. Default 30,000. */
  readonly tcpKeepaliveMillis?: number;
  /** Gives up: the half-open socket is destroyed, and the promise rejects with the signal's reason. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

/**
 * Opens one connection: TCP (or a unix socket), through a proxy's CONNECT tunnel if there is one, with TLS if there is
 * TLS. Resolves with a socket that is ready to be written to and keeps the process alive; rejects with a
 * {@link ConnectionError} that has the `code` of its cause and names no secret. Certificates in files are read again
 * each time. Of several addresses Node tries one after the other (`autoSelectFamily`).
 */
export function openSocket(target: Target, options: OpenSocketOptions): Promise<Socket> {
  return suppressTracing(() => new Opening(target, options).run());
}

class Opening {
  private readonly target: Target;
  private readonly options: OpenSocketOptions;
  private readonly abandoned: Promise<never>;
  private abandon!: (reason: unknown) => void;
  private socket: Socket | undefined;
  private callOff = () => {};

  constructor(target: Target, options: OpenSocketOptions) {
    this.target = target;
    this.options = options;
    this.abandoned = new Promise((_, reject) => {
      this.abandon = reject;
    });
    this.abandoned.catch(() => {});
  }

  async run(): Promise<Socket> {
    const { signal } = this.options;
    signal.throwIfAborted();
    const onAbort = () => this.abandon(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await this.open();
    } catch (error) {
      this.socket?.destroy();
      if (signal.aborted) throw signal.reason;
      throw error instanceof ConnectionError ? error : new ConnectionError(this.place(), error);
    } finally {
      this.callOff();
      signal.removeEventListener('abort', onAbort);
    }
  }

  private async open(): Promise<Socket> {
    const { target, options } = this;
    const { tls, proxy } = options;
    const material = tls && (await this.step('reading certificates', readTlsFiles(tls)));
    const overTcp = proxy ? proxy.target : target;
    this.socket = this.connectTcp(overTcp);
    await this.step('connecting', happening(this.socket, 'connect'));
    if (proxy?.secure) await this.secure(proxyTls(proxy, tls, material), 'TLS with the proxy');
    if (proxy) this.socket = await this.step('the tunnel', openTunnel(this.socket, target, proxy));
    if (tls) await this.secure(targetTls(target, tls, material, options.alpn), 'TLS');
    return this.socket;
  }

  private connectTcp({ host, port, path }: Target): Socket {
    const keepAliveInitialDelay = this.options.tcpKeepaliveMillis ?? 30_000;
    return quiet(
      path === undefined
        ? connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay, lookup: sharedLookup })
        : connect({ path }),
    );
  }

  private async secure(options: ConnectionOptions, name: string): Promise<void> {
    this.socket = quiet(startTls({ ...options, socket: this.socket }));
    const ofProxy = name !== 'TLS';
    const secured = happening(this.socket, 'secureConnect').catch((error) => {
      throw new ConnectionError(this.place(), error, afterTls(error, { ofProxy }));
    });
    await this.step(name, secured);
  }

  /** Each step has the whole timeout; an abort ends any. */
  private async step<T>(name: string, work: Promise<T>): Promise<T> {
    const { clock, connectTimeoutMillis } = this.options;
    this.callOff();
    this.callOff = afterPoll(clock, connectTimeoutMillis, () => {
      const cause = Object.assign(new Error(`${name} took longer than ${connectTimeoutMillis} ms`), {
        code: 'ETIMEDOUT',
      });
      this.abandon(new ConnectionError(this.place(), cause));
    });
    return Promise.race([work, this.abandoned]);
  }

  private place(): string {
    const { target, options } = this;
    return options.proxy ? `${show(target)} through the proxy ${show(options.proxy.target)}` : show(target);
  }
}

/** Whatever happens to a socket that nobody looks at any more must not end the process. */
function quiet<S extends Socket>(socket: S): S {
  return socket.on('error', () => {});
}

function happening(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error) => {
      socket.off(event, done).off('error', settle).off('close', closed);
      if (error) reject(error);
      else resolve();
    };
    const done = () => settle();
    const closed = () => settle(reset('the connection was closed'));
    socket.on(event, done).on('error', settle).on('close', closed);
  });
}

/** What a 407 says. */
export const OTHER_PROXY_CREDENTIALS = "it asks for another user and password of the proxy's URL";

function openTunnel(socket: Socket, target: Target, { authorization }: ProxySettings): Promise<Socket> {
  const authority = show(target);
  return new Promise((resolve, reject) => {
    const connecting = request({
      method: 'CONNECT',
      path: authority,
      headers: { host: authority, ...(authorization && { 'proxy-authorization': authorization }) },
      createConnection: () => socket,
    });
    connecting.on('connect', ({ statusCode = 0 }, _, head: Buffer) => {
      if (statusCode < 200 || statusCode > 299) {
        const asked = statusCode === 407 ? `: ${OTHER_PROXY_CREDENTIALS}` : '';
        const message = `the proxy answered CONNECT with ${statusCode}${asked}`;
        reject(Object.assign(new Error(message), { code: 'EPROXYREFUSED' }));
        return;
      }
      if (head.byteLength > 0) socket.unshift(head);
      resolve(socket);
    });
    connecting.on('error', reject);
    connecting.end();
  });
}

const reset = (message: string) => Object.assign(new Error(message), { code: 'ECONNRESET' });

function targetTls(
  { host }: Target,
  tls: TlsSettings,
  material: TlsMaterial | undefined,
  alpn: readonly string[] | undefined,
): ConnectionOptions {
  const name = tls.serverName ?? host ?? 'localhost';
  return {
    ...material,
    ...named(name),
    rejectUnauthorized: tls.rejectUnauthorized ?? true,
    ...(tls.minVersion && { minVersion: tls.minVersion }),
    ...(alpn && { ALPNProtocols: [...alpn] }),
  };
}

/** The `ca` of the endpoint is trusted beside what Node trusts; the client's key is not for the proxy. */
function proxyTls(
  { target }: ProxySettings,
  tls: TlsSettings | undefined,
  material: TlsMaterial | undefined,
): ConnectionOptions {
  return {
    ...named(target.host),
    rejectUnauthorized: tls?.rejectUnauthorized ?? true,
    ...(material?.ca && { ca: [...rootCertificates, ...material.ca] }),
  };
}

/** The name that the certificate must have; SNI takes no IP addresses. */
const named = (host: string): ConnectionOptions => ({ host, ...(isIP(host) === 0 && { servername: host }) });

function show({ host, port, path }: Target): string {
  return path ?? `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}
