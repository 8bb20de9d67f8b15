import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect, type Server, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { classifyFailure } from '@otel-resilience/core';
import { afterEach, describe, expect, it } from 'vitest';
import type { ProxySettings } from '../transport-options.js';
import { CA, CLIENT, cleanUp, echo, echoes, failure, firstBytes, open, tlsServer } from './open-socket.test-support.js';
import { fixture, listening, openSockets, tcpServer, until } from './servers.test-support.js';

afterEach(cleanUp);

describe('through a proxy', () => {
  const TARGET = { host: 'collector.test', port: 443 };

  /** A proxy that connects every tunnel to `upstream`. */
  async function proxyServer(upstream: { port: number }, { secure = false, early = '', name = 'server' } = {}) {
    const requests: IncomingMessage[] = [];
    const options = { cert: fixture(`${name}.pem`), key: fixture(`${name}-key.pem`) };
    const server: Server = secure ? createHttpsServer(options) : createHttpServer();
    server.on('connect', (request: IncomingMessage, socket: Socket) => {
      requests.push(request);
      const onward = connect(upstream.port, '127.0.0.1', () => {
        socket.write(`HTTP/1.1 200 Connection established\r\n\r\n${early}`);
        socket.pipe(onward).pipe(socket);
      });
      socket.on('error', () => onward.destroy()).on('close', () => onward.destroy());
      onward.on('error', () => socket.destroy()).on('close', () => socket.destroy());
    });
    const { host, port } = await listening(server);
    return { requests, settings: { target: { host, port }, secure } satisfies ProxySettings };
  }

  it('opens a tunnel to the target by name, which only the proxy resolves', async () => {
    const { settings, requests } = await proxyServer(await tcpServer(echo));
    expect(await echoes(await open(TARGET, { proxy: settings }))).toBe(true);
    expect(requests[0]!.url).toBe('collector.test:443');
    expect(requests[0]!.headers).toEqual({ host: 'collector.test:443', connection: expect.any(String) });
  });

  it('shows its authorization to the proxy alone', async () => {
    const seen: string[] = [];
    const { settings, requests } = await proxyServer(await tcpServer((s) => s.on('data', (b) => seen.push(String(b)))));
    const socket = await open(TARGET, { proxy: { ...settings, authorization: 'Basic dTpw' } });
    socket.write('hello');
    await until(() => seen.length > 0);
    expect(requests[0]!.headers['proxy-authorization']).toBe('Basic dTpw');
    expect(seen).toEqual(['hello']);
  });

  it('writes an IPv6 address in brackets', async () => {
    const { settings, requests } = await proxyServer(await tcpServer(echo));
    await open({ host: '::1', port: 4317 }, { proxy: settings });
    expect(requests[0]!.url).toBe('[::1]:4317');
  });

  it('speaks TLS with the target inside the tunnel, and checks the name of the target', async () => {
    const { settings } = await proxyServer(await tlsServer({ ALPNProtocols: ['h2'] }));
    const socket = await open(TARGET, { proxy: settings, tls: CA, alpn: ['h2'] });
    expect(await echoes(socket)).toBe(true);
    expect((socket as TLSSocket).alpnProtocol).toBe('h2');
    const error = await failure({ host: 'elsewhere.test', port: 443 }, { proxy: settings, tls: CA });
    expect(error).toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
    expect(error.message).toContain(`elsewhere.test:443 through the proxy 127.0.0.1:${settings.target.port}`);
  });

  it('speaks TLS with the proxy, and TLS with the target inside', async () => {
    const { settings } = await proxyServer(await tlsServer(), { secure: true });
    expect(await echoes(await open(TARGET, { proxy: settings, tls: CA }))).toBe(true);
    expect(await echoes(await open(TARGET, { proxy: settings, tls: CLIENT }))).toBe(true);
    const expired = await proxyServer(await tlsServer(), { secure: true, name: 'server-expired' });
    expect(await failure(TARGET, { proxy: expired.settings, tls: CA })).toMatchObject({ code: 'CERT_HAS_EXPIRED' });
    const insecure = { ...CA, rejectUnauthorized: false };
    expect(await echoes(await open(TARGET, { proxy: expired.settings, tls: insecure }))).toBe(true);
  });

  it('even TLS within TLS lets the process end when it is not referenced, and is closed as one', async () => {
    const { settings } = await proxyServer(await tlsServer(), { secure: true });
    const socket = await open(TARGET, { proxy: settings, tls: CA });
    const referenced = openSockets();
    socket.unref();
    expect(openSockets()).toBe(referenced - 1);
    socket.ref();
    expect(openSockets()).toBe(referenced);
    socket.destroy();
    await until(() => openSockets() === 0);
  });

  it('loses nothing that the server says at once', async () => {
    const { settings } = await proxyServer(await tcpServer(() => {}), { early: 'welcome' });
    const socket = await open(TARGET, { proxy: settings });
    expect(await firstBytes(socket)).toBe('welcome');
  });

  it.each<[string, string, string]>([
    ['refuses', 'HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n', 'EPROXYREFUSED'],
    ['answers with an error and a body', 'HTTP/1.1 503 Down\r\nContent-Length: 5\r\n\r\nsorry', 'EPROXYREFUSED'],
    ['is none', 'SSH-2.0-OpenSSH_9.6\r\n', 'HPE_INVALID_CONSTANT'],
    ['says nothing and leaves', '', 'ECONNRESET'],
    ['has a head without end', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}`, 'HPE_HEADER_OVERFLOW'],
  ])('a proxy that %s: worth a retry, and no secret is told', async (_, answer, code) => {
    const proxy = await tcpServer((socket) => socket.once('data', () => socket.end(answer)));
    const authorization = 'Basic c2VjcmV0';
    const error = await failure(TARGET, { proxy: { target: proxy, secure: false, authorization } });
    expect(error).toMatchObject({ code });
    expect(error.message).not.toContain('c2VjcmV0');
    expect(classifyFailure(error).failure).toBe('retryable');
    await until(() => proxy.sockets.size === 0);
  });
});
