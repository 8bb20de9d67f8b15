import { createServer } from 'node:http';
import { createServer as createHttp2Server, createSecureServer } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { classifyFailure, SpanBatch, systemClock } from '@otel-resilience/core';
import { fakeSpans } from '@otel-resilience/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { closeAll, fixture, fixturePath, listening } from './connection/servers.test-support.js';
import type { OtlpProtocol } from './endpoint-url.js';
import { OtlpSpanExporter, type OtlpSpanExporterOptions } from './index.js';

const IDENTITY = { cert: fixture('server.pem'), key: fixture('server-key.pem') };
const CA = { ca: fixturePath('ca.pem') };

/** Answers the first bytes with others, and closes the connection. */
const answering = (bytes: string | Buffer, greeting = '') =>
  createTcpServer((socket: Socket) => {
    socket.write(Buffer.from(greeting, 'hex'));
    socket.once('data', () => socket.end(bytes));
  });

const SERVERS = {
  http: () => createServer((_, response) => response.writeHead(404).end()),
  'http of Go': () => answering('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'),
  https: () => createHttpsServer(IDENTITY, (_, response) => response.writeHead(404).end()),
  'https without ALPN': () => createTlsServer(IDENTITY, (socket) => socket.on('error', () => {})),
  'https with HTTP/2': () => createSecureServer(IDENTITY, (_, response) => response.writeHead(404).end()),
  'https of Go': () => answering('HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n'),
  'TLS that sends an alert': () => answering(Buffer.from([0x15, 3, 1, 0, 2, 2, 70])),
  gRPC: () => createHttp2Server(),
  'gRPC of Go': () => answering('', '000006040000000000000500004000'),
  'gRPC with TLS': () => createSecureServer(IDENTITY),
  'gRPC of Go with TLS': () => createTlsServer(IDENTITY, (socket) => socket.on('error', () => {}).end()),
} as const;

const context = () => ({ signal: new AbortController().signal, deadline: systemClock.now() + 5_000 });

async function send(protocol: OtlpProtocol, scheme: string, port: number, options: OtlpSpanExporterOptions = {}) {
  const tls = scheme === 'https' ? { tls: CA } : {};
  const url = `${scheme}://localhost:${port}`;
  const exporter = new OtlpSpanExporter({ protocol, url, metrics: false, ...tls, ...options });
  const { error } = await exporter.exportBatch(SpanBatch.fromSpans(fakeSpans(1)), context());
  await exporter.shutdown();
  return error;
}

afterEach(closeAll);

const HTTP = "set protocol: 'http/protobuf' (usually port 4318)";
const GRPC = "set protocol: 'grpc' (usually port 4317)";
const TLS = 'use https://';
const NO_TLS = 'use http://';

describe('an exporter that', () => {
  it.each<[OtlpProtocol, 'http' | 'https', keyof typeof SERVERS, string]>([
    ['grpc', 'http', 'http', HTTP],
    ['grpc', 'http', 'http of Go', HTTP],
    ['grpc', 'http', 'https', TLS],
    ['grpc', 'http', 'TLS that sends an alert', TLS],
    ['grpc', 'http', 'gRPC with TLS', TLS],
    ['grpc', 'https', 'https', HTTP],
    ['grpc', 'https', 'https without ALPN', HTTP],
    ['grpc', 'https', 'https with HTTP/2', HTTP],
    ['grpc', 'https', 'http', NO_TLS],
    ['grpc', 'https', 'gRPC', NO_TLS],
    ['http/protobuf', 'http', 'gRPC', GRPC],
    ['http/protobuf', 'http', 'gRPC of Go', GRPC],
    ['http/protobuf', 'http', 'https', TLS],
    ['http/protobuf', 'http', 'https of Go', TLS],
    ['http/protobuf', 'http', 'TLS that sends an alert', TLS],
    ['http/protobuf', 'https', 'gRPC with TLS', GRPC],
    ['http/protobuf', 'https', 'gRPC of Go with TLS', GRPC],
    ['http/protobuf', 'https', 'http', NO_TLS],
    ['http/protobuf', 'https', 'gRPC', NO_TLS],
  ])('speaks %s by %s:// to %s is told what to change', async (protocol, scheme, server, advice) => {
    const { port } = await listening(SERVERS[server]() as never);
    const error = await send(protocol, scheme, port);
    expect(error?.message).toContain(`perhaps the port `);
    expect(error?.message).toContain(advice);
    expect(error?.message).not.toMatch(/openssl|ssl3_/);
    expect(error?.message.length).toBeLessThanOrEqual(200); // what status shows
  });

  it('speaks TLS to a proxy that does not is told so', async () => {
    const { port } = await listening(SERVERS.http() as never);
    const error = await send('grpc', 'https', 4317, { proxy: `https://localhost:${port}` });
    expect(error?.message).toContain("perhaps the proxy's port has no TLS: use http://");
  });

  it('has no or wrong credentials for a proxy is told so; the spans are kept', async () => {
    const proxy = await listening(
      createServer().on('connect', (_, socket) => {
        socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n');
      }),
    );
    const error = await send('grpc', 'https', 4317, { proxy: `http://me:hunter2@localhost:${proxy.port}` });
    expect(error?.message).toContain('the proxy answered CONNECT with 407');
    expect(error?.message).toContain("user and password of the proxy's URL");
    expect(error?.message).not.toContain('hunter2');
    expect(classifyFailure(error).failure).toBe('retryable');
  });

  it.each(['grpc', 'http/protobuf'] as const)('has had an answer over %s hears of no mistake', async (protocol) => {
    const connections: Socket[] = [];
    const server =
      protocol === 'grpc'
        ? createHttp2Server().on('stream', (stream) => {
            stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '0' });
            stream.resume().end();
          })
        : createServer((_, response) => response.end());
    server.on('connection', (socket: Socket) => connections.push(socket));
    const { port } = await listening(server as never);
    const exporter = new OtlpSpanExporter({ protocol, url: `http://localhost:${port}`, metrics: false });
    const exported = () => exporter.exportBatch(SpanBatch.fromSpans(fakeSpans(1)), context());
    expect(await exported()).toMatchObject({ delivered: 1 });
    server.on('connection', (socket: Socket) => socket.destroy());
    for (const socket of connections) socket.destroy();
    const { error } = await exported();
    expect(error).toMatchObject({ code: 'ECONNRESET', message: expect.not.stringContaining('perhaps') });
    await exporter.shutdown();
  });

  it('finds nobody listening hears of no mistake', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    for (const protocol of ['grpc', 'http/protobuf'] as const) {
      expect((await send(protocol, 'http', port))?.message).not.toContain('perhaps');
    }
  });
});
