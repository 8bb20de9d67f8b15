import { AsyncLocalStorage } from 'node:async_hooks';
import { mkdtempSync, rmSync } from 'node:fs';
import { createSecureServer, createServer, type SecureServerOptions, type ServerHttp2Stream } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { classifyFailure } from '@otel-resilience/core';
import { VirtualClock } from '@otel-resilience/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  closeAll,
  fixture,
  fixturePath,
  listening,
  openSockets,
  until,
  unusedPort,
} from '../connection/servers.test-support.js';
import { RawServer, type RawStream } from './frames.test-support.js';
import { failureOf, request, shutdownAll, transportTo } from './transport.test-support.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'grpc-'));
});

afterEach(async () => {
  await shutdownAll();
  await closeAll();
  rmSync(folder, { recursive: true });
});

const IDENTITY = { cert: fixture('server.pem'), key: fixture('server-key.pem') };
const CA = { ca: [{ file: fixturePath('ca.pem') }] };
const CLIENT = { cert: { file: fixturePath('client.pem') }, key: { file: fixturePath('client-key.pem') } };

function accept(stream: ServerHttp2Stream): void {
  stream.on('error', () => {});
  stream.resume();
  stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '0' }, { endStream: true });
}

async function tlsServer(options: SecureServerOptions = {}) {
  const clients: string[] = [];
  const schemes: unknown[] = [];
  const server = createSecureServer({ ...IDENTITY, ...options });
  server.on('secureConnection', (socket: TLSSocket) => clients.push(String(socket.getPeerCertificate().subject?.CN)));
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    schemes.push(headers[':scheme']);
    accept(stream);
  });
  server.on('sessionError', () => {});
  return { ...(await listening(server)), clients, schemes };
}

describe('a connection', () => {
  it('over TLS negotiates h2', async () => {
    const server = await tlsServer();
    const transport = transportTo(server.port, { secure: true, tls: CA });
    await transport.send(request());
    await transport.send(request());
    expect(server.accepted()).toBe(1);
    expect(server.schemes).toEqual(['https', 'https']);
  });

  it('over TLS shows the client certificate', async () => {
    const server = await tlsServer({ requestCert: true, rejectUnauthorized: true, ca: fixture('ca.pem') });
    await transportTo(server.port, { secure: true, tls: { ...CA, ...CLIENT } }).send(request());
    expect(server.clients).toEqual([expect.stringContaining('client')]);
  });

  it('whose client certificate is refused fails as a disconnect', async () => {
    const server = await tlsServer({ requestCert: true, rejectUnauthorized: true, ca: fixture('ca.pem') });
    const error = await failureOf(transportTo(server.port, { secure: true, tls: CA }).send(request()));
    expect(classifyFailure(error).failure).toBe('retryable');
  });

  it('to a server that is not trusted fails', async () => {
    const server = await tlsServer();
    const error = await failureOf(transportTo(server.port, { secure: true }).send(request()));
    expect(error).toMatchObject({
      name: 'ConnectionError',
      code: expect.stringMatching(/SELF_SIGNED|UNABLE_TO_VERIFY/),
    });
  });

  it('goes through a unix socket', async () => {
    const path = join(folder, 'collector.sock');
    const server = createServer();
    server.on('stream', accept);
    await listening(server as never, path);
    await transportTo(0, { target: { path }, authority: 'localhost' }).send(request());
  });

  it('to a TLS server that speaks only HTTP/1.1 fails clearly', async () => {
    const { port } = await listening(createHttpsServer(IDENTITY));
    const error = await failureOf(transportTo(port, { secure: true, tls: CA }).send(request()));
    expect(error).toMatchObject({
      name: 'ConnectionError',
      message: expect.stringMatching(/HTTP\/2|alpn|application protocol/i),
    });
  });

  it('to a TLS server that negotiates no protocol fails clearly', async () => {
    const { port, sockets } = await listening(createTlsServer(IDENTITY, (socket) => socket.on('error', () => {})));
    const error = await failureOf(transportTo(port, { secure: true, tls: CA }).send(request()));
    expect(error).toMatchObject({ code: 'ERR_NO_HTTP2', message: expect.stringContaining('ALPN h2') });
    await until(() => sockets.size === 0);
  });

  it('in plain text to a TLS server fails in time', async () => {
    const server = await tlsServer();
    expect(await failureOf(transportTo(server.port).send(request()))).toMatchObject({ name: 'ConnectionError' });
  });
});

describe('the process', () => {
  it('is kept alive by a call in flight, and not by an idle connection', async () => {
    const open: RawStream[] = [];
    const server = await RawServer.start({ onRequest: (stream) => open.push(stream) });
    const transport = transportTo(server.port);
    const sending = transport.send(request());
    await until(() => open.length === 1);
    expect(openSockets()).toBe(2); // the server's end is in this process as well
    open[0]!.accept();
    await sending;
    expect(openSockets()).toBe(1);
    const another = transport.send(request());
    await until(() => open.length === 2);
    expect(openSockets()).toBe(2);
    open[1]!.accept();
    await another;
  });

  it('is kept alive by a call that waits until an idle connection has been verified', async () => {
    const server = await RawServer.start({ pong: false, onRequest: (stream) => stream.accept() });
    const clock = new VirtualClock();
    const transport = transportTo(server.port, { clock });
    const send = () => transport.send(request({ clock }));
    await send();
    await clock.advance(1_000_000);
    expect(openSockets()).toBe(1); // the server's end
    const sending = [send(), send()]; // one asks for the verdict, the other waits for it as well
    await until(() => server.pings === 1);
    expect(openSockets()).toBe(2);
    await clock.advance(500);
    await Promise.all(sending);
    await until(() => openSockets() === 1);
    expect(server.connections.length).toBe(2);
  });

  it('has no context of the call kept alive that happened to connect', async () => {
    const storage = new AsyncLocalStorage<object>();
    const seen: unknown[] = [];
    const random = () => {
      seen.push(storage.getStore());
      return 0;
    };
    const transport = transportTo(await unusedPort(), { random });
    await storage.run({}, () => failureOf(transport.send(request())));
    expect(seen).toEqual([undefined]);
  });
});
