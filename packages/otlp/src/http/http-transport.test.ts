import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type Socket, Socket as TcpSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { classifyFailure } from '@otel-resilience/core';
import { CountingReceiver, VirtualClock } from '@otel-resilience/testing';
import { afterEach, describe, expect, it } from 'vitest';
import {
  closeAll,
  fixture,
  fixturePath,
  listening,
  openSockets,
  until,
  unusedPort,
} from '../connection/servers.test-support.js';
import { answer, failureOf, OK, otlpRequest, rawHttpServer, shutdownAll, transportTo } from './http.test-support.js';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  await shutdownAll();
  // Of the transports under test nothing is left, whatever became of their requests.
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await closeAll();
  await until(() => openSockets() === 0, 1_000);
});

interface Seen {
  readonly request: IncomingMessage;
  readonly body: Buffer;
}

/** A real server that collects requests, and answers 200 unless told otherwise. */
async function httpServer(respond: (response: ServerResponse, seen: Seen, index: number) => void = ok) {
  const seen: Seen[] = [];
  const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      seen.push({ request, body: Buffer.concat(chunks) });
      respond(response, seen.at(-1)!, seen.length - 1);
    });
  });
  return { ...(await listening(server)), seen };
}

function ok(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
}

describe('a request', () => {
  it('is a POST of the chunks as they are, with length, type, host, user agent and the given headers', async () => {
    const { port, seen } = await httpServer();
    const chunks = [Buffer.from('one'), Buffer.alloc(100_000, 'x'), Buffer.from('two')];
    const { body } = await transportTo(port).send(otlpRequest({ chunks, headers: { authorization: 'Bearer t' } }));
    expect(body.byteLength).toBe(0);
    expect(seen[0]!.request).toMatchObject({ method: 'POST', url: '/v1/traces', httpVersion: '1.1' });
    expect(seen[0]!.request.headers).toEqual({
      host: `127.0.0.1:${port}`,
      connection: 'keep-alive',
      'content-type': 'application/x-protobuf',
      'content-length': '100006',
      'user-agent': 'otel-resilience-test',
      authorization: 'Bearer t',
    });
    expect(seen[0]!.body.equals(Buffer.concat(chunks))).toBe(true);
  });

  it('may be empty, as a health check is', async () => {
    const { port, seen } = await httpServer();
    await transportTo(port).send(otlpRequest({ chunks: [] }));
    expect(seen[0]!.request.headers['content-length']).toBe('0');
    expect(seen[0]!.body.byteLength).toBe(0);
  });

  it('is compressed when asked for', async () => {
    const { port, seen } = await httpServer();
    const chunks = [Buffer.alloc(50_000, 'spans '), Buffer.alloc(50_000, 'more ')];
    await transportTo(port, { compression: 'gzip', gzipLevel: 6 }).send(otlpRequest({ chunks }));
    const { request, body } = seen[0]!;
    expect(request.headers).toMatchObject({ 'content-encoding': 'gzip', 'content-length': `${body.byteLength}` });
    expect(body.byteLength).toBeLessThan(2_000);
    expect(gunzipSync(body).equals(Buffer.concat(chunks))).toBe(true);
  });

  it('goes over a unix socket', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'http-transport-'));
    cleanups.push(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'collector.sock');
    let host: unknown;
    const server = createServer((request, response) => {
      host = request.headers.host;
      ok(response);
    });
    await listening(server, path);
    await transportTo(0, { target: { path }, authority: 'localhost' }).send(otlpRequest());
    expect(host).toBe('localhost');
  });

  it('goes over TLS, with a certificate of its own', async () => {
    const options = {
      cert: fixture('server.pem'),
      key: fixture('server-key.pem'),
      ca: fixture('ca.pem'),
      requestCert: true,
    };
    const { port } = await listening(createHttpsServer(options, (_, response) => ok(response)));
    const tls = {
      ca: [{ file: fixturePath('ca.pem') }],
      cert: { file: fixturePath('client.pem') },
      key: { file: fixturePath('client-key.pem') },
    };
    const transport = transportTo(port, { secure: true, tls });
    const chunks = [Buffer.alloc(600_000, 1), Buffer.alloc(10)];
    for (let i = 0; i < 3; i++) await transport.send(otlpRequest({ chunks }));
    const error = await failureOf(transportTo(port, { secure: true }).send(otlpRequest()));
    expect(error.code).toBe('SELF_SIGNED_CERT_IN_CHAIN');
  });
});

describe('through a proxy', () => {
  it('https goes through a tunnel', async () => {
    const options = { cert: fixture('server.pem'), key: fixture('server-key.pem') };
    const collector = await listening(createHttpsServer(options, (_, response) => ok(response)));
    const asked: (string | undefined)[] = [];
    const proxy = createServer();
    proxy.on('connect', (request: IncomingMessage, socket: Socket) => {
      asked.push(request.url);
      const onward = new TcpSocket().connect(collector.port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        socket.pipe(onward).pipe(socket);
      });
      onward.on('error', () => socket.destroy());
      socket.on('error', () => onward.destroy()).on('close', () => onward.destroy());
    });
    const { host, port } = await listening(proxy);
    const transport = transportTo(0, {
      target: { host: 'collector.test', port: 4318 },
      authority: 'collector.test:4318',
      secure: true,
      tls: { ca: [{ file: fixturePath('ca.pem') }] },
      proxy: { target: { host, port }, secure: false },
    });
    await transport.send(otlpRequest());
    await transport.send(otlpRequest());
    expect(asked).toEqual(['collector.test:4318']);
  });

  it('http is sent to the proxy itself, with the whole URL', async () => {
    const proxy = await httpServer();
    const transport = transportTo(0, {
      target: { host: 'collector.test', port: 4318 },
      authority: 'collector.test:4318',
      proxy: { target: proxy, secure: false, authorization: 'Basic dTpw' },
    });
    await transport.send(otlpRequest());
    const { request } = proxy.seen[0]!;
    expect(request.url).toBe('http://collector.test:4318/v1/traces');
    expect(request.headers).toMatchObject({ host: 'collector.test:4318', 'proxy-authorization': 'Basic dTpw' });
  });

  it('http that the proxy refuses for its credentials is kept for others, and the error says which', async () => {
    const proxy = await httpServer((response) => response.writeHead(407, { 'content-type': 'text/plain' }).end('no'));
    const options = { target: { host: 'collector.test', port: 4318 }, proxy: { target: proxy, secure: false } };
    const error = await failureOf(transportTo(0, options).send(otlpRequest()));
    expect(classifyFailure(error).failure).toBe('retryable');
    expect(error.message).toMatch(/^HTTP 407 .*: no; it asks for another user and password of the proxy's URL$/);
    // Without a proxy of ours it is the server that says so.
    const direct = await failureOf(transportTo(proxy.port).send(otlpRequest()));
    expect(classifyFailure(direct).failure).toBe('permanent');
  });
});

describe('connections', () => {
  it('one after the other, requests share a connection', async () => {
    const { port, accepted } = await httpServer();
    const transport = transportTo(port);
    for (let i = 0; i < 5; i++) await transport.send(otlpRequest());
    expect(accepted()).toBe(1);
  });

  it('there are never more than allowed; the other requests wait in order', async () => {
    const order: string[] = [];
    const waiting: ServerResponse[] = [];
    const { port, accepted } = await httpServer((response, { body }) => {
      order.push(String(body));
      waiting.push(response);
    });
    const transport = transportTo(port, { connections: 2 });
    const sent = ['a', 'b', 'c', 'd', 'e'].map((name) => transport.send(otlpRequest({ chunks: [Buffer.from(name)] })));
    for (let done = 0; done < 5; done++) {
      await until(() => waiting.length > 0);
      ok(waiting.shift()!);
    }
    await Promise.all(sent);
    expect(order.slice(0, 2).sort()).toEqual(['a', 'b']);
    expect(order.slice(2)).toEqual(['c', 'd', 'e']);
    expect(accepted()).toBe(2);
  });

  it('those that wait are bounded by their deadlines and signals, and leave the line', async () => {
    const clock = new VirtualClock();
    const { port, accepted } = await rawHttpServer(() => {});
    const transport = transportTo(port, { connections: 1, clock });
    const first = failureOf(transport.send(otlpRequest({ clock, timeoutMillis: 10_000 })));
    await until(() => accepted() === 1);
    const second = failureOf(transport.send(otlpRequest({ clock, timeoutMillis: 100 })));
    const controller = new AbortController();
    const third = failureOf(transport.send(otlpRequest({ clock, signal: controller.signal })));
    await clock.advance(100);
    expect(await second).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    controller.abort(new Error('nobody waits'));
    expect((await third).message).toBe('nobody waits');
    await clock.advance(9_900);
    expect(await first).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(clock.pendingTimers).toBe(0);
    expect(accepted()).toBe(1);
  });

  it('a connection that cannot be opened hands its place on: nobody waits for ever', async () => {
    const transport = transportTo(await unusedPort(), { connections: 1 });
    const failures = await Promise.all([1, 2, 3].map(() => failureOf(transport.send(otlpRequest()))));
    expect(failures.map(({ code }) => code)).toEqual(['ECONNREFUSED', 'ECONNREFUSED', 'ECONNREFUSED']);
    for (const failure of failures) expect(classifyFailure(failure).failure).toBe('retryable');
  });

  it.each([
    ['the server says close', { Connection: 'close' }],
    ['the server is about to close', { 'Keep-Alive': 'timeout=1' }],
  ])('is not used again when %s', async (_, headers) => {
    const server = await rawHttpServer((socket) => socket.write(answer(200, '', headers)));
    const transport = transportTo(server.port);
    await transport.send(otlpRequest());
    await until(() => server.sockets.size === 0);
    await transport.send(otlpRequest());
    expect(server.accepted()).toBe(2);
  });

  it('an idle one is closed after a while: ours, or a second less than the server’s', async () => {
    for (const [headers, millis] of [
      [{}, 50_000],
      [{ 'Keep-Alive': 'timeout=5, max=100' }, 4_000],
      [{ 'Keep-Alive': 'timeout=500' }, 50_000],
    ] as const) {
      const clock = new VirtualClock();
      const server = await rawHttpServer((socket) => socket.write(answer(200, '', headers)));
      await transportTo(server.port, { clock }).send(otlpRequest({ clock }));
      await clock.advance(millis - 1);
      expect(clock.pendingTimers).toBe(1);
      expect(server.sockets.size).toBe(1);
      await clock.advance(1);
      await until(() => server.sockets.size === 0);
      expect(clock.pendingTimers).toBe(0);
    }
  });

  it('an idle one that the server closes, or on which it speaks, is forgotten', async () => {
    for (const misbehave of [
      (socket: Socket) => socket.end(),
      (socket: Socket) => socket.resetAndDestroy(),
      (socket: Socket) => socket.write(answer(408)),
    ]) {
      const clock = new VirtualClock();
      const server = await rawHttpServer((socket) => socket.write(OK));
      const transport = transportTo(server.port, { clock });
      await transport.send(otlpRequest({ clock }));
      expect(clock.pendingTimers).toBe(1);
      misbehave([...server.sockets][0]!);
      await until(() => server.sockets.size === 0 && clock.pendingTimers === 0);
      await transport.send(otlpRequest({ clock }));
      expect(server.accepted()).toBe(2);
    }
  });

  it('an idle one does not keep the process alive, one in use does', async () => {
    let release: Socket | undefined;
    const server = await rawHttpServer((socket) => {
      release = socket;
    });
    const transport = transportTo(server.port);
    const serverSide = () => [...server.sockets].filter((socket) => !socket.destroyed).length;
    for (let i = 0; i < 2; i++) {
      const sending = transport.send(otlpRequest());
      await until(() => release !== undefined);
      expect(openSockets()).toBe(1 + serverSide());
      release!.write(OK);
      release = undefined;
      await sending;
      expect(openSockets()).toBe(serverSide());
    }
  });
});

it('a partial success reaches the caller as bytes', async () => {
  const receiver = new CountingReceiver({ protocol: 'http/protobuf' });
  await receiver.start();
  cleanups.push(() => receiver.stop());
  receiver.respond({ kind: 'partialSuccess', rejectedSpans: 3, errorMessage: 'too old' });
  const { body } = await transportTo(receiver.port).send(otlpRequest({ chunks: [] }));
  expect(Buffer.from(body).toString('latin1')).toContain('too old');
});

it('a Retry-After is handed up', async () => {
  const receiver = new CountingReceiver({ protocol: 'http/protobuf' });
  await receiver.start();
  cleanups.push(() => receiver.stop());
  receiver.respond({ kind: 'error', status: 503, retryAfterMillis: 7_000, message: 'busy' });
  const error = await failureOf(transportTo(receiver.port).send(otlpRequest({ chunks: [] })));
  expect(error).toMatchObject({ code: 503, retryAfter: '7', details: 'busy' });
  expect(classifyFailure(error)).toMatchObject({ failure: 'throttled', retryAfterMillis: 7_000 });
});
