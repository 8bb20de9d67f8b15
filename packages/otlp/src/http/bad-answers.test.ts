import type { Socket } from 'node:net';
import { classifyFailure } from '@otel-resilience/core';
import { VirtualClock } from '@otel-resilience/testing';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { closeAll, openSockets, tcpServer, until } from '../connection/servers.test-support.js';
import { answer, failureOf, OK, otlpRequest, rawHttpServer, shutdownAll, transportTo } from './http.test-support.js';

const PROTOBUF = { 'Content-Type': 'application/x-protobuf' };

afterEach(async () => {
  await shutdownAll();
  await closeAll();
  await until(() => openSockets() === 0, 1_000);
});

/** Answers each request with these bytes. */
const answering = (bytes: string | Buffer, then: (socket: Socket) => void = () => {}) =>
  rawHttpServer((socket) => socket.write(bytes, () => then(socket)));

const end = (socket: Socket) => socket.end();
const reset = (socket: Socket) => socket.resetAndDestroy();

describe('an answer that is none: a disconnect, worth a retry', () => {
  it.each<[string, string | Buffer, (socket: Socket) => void, RegExp]>([
    ['FIN before a response', '', end, /^ECONNRESET$/],
    ['a reset before a response', '', reset, /^ECONNRESET$/],
    ['half a status line', 'HTTP/1.1 20', end, /^(ECONNRESET|HPE_INVALID_EOF_STATE)$/],
    ['half a head', 'HTTP/1.1 200 OK\r\nContent-Type: app', end, /^(ECONNRESET|HPE_INVALID_EOF_STATE)$/],
    ['half a head, then a reset', 'HTTP/1.1 200 OK\r\nContent-Type: app', reset, /^ECONNRESET$/],
    ['garbage', Buffer.from(Array.from({ length: 4_096 }, (_, i) => (i * 131) % 256)), () => {}, /^HPE_/],
    ['another protocol', 'SSH-2.0-OpenSSH_9.6\r\n', () => {}, /^HPE_/],
    ['HTTP/2', Buffer.from('00000c04000000000000030000006400040000ffff', 'hex'), () => {}, /^HPE_/],
    ['a huge header', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(1_000_000)}\r\n\r\n`, () => {}, /^HPE_HEADER_OVERFLOW$/],
    ['very many headers', `HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(100_000)}\r\n`, () => {}, /^HPE_HEADER_OVERFLOW$/],
    ['an upgrade', 'HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n', () => {}, /^ECONNRESET$/],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx', () => {}, /^HPE_/],
    ['only 1xx, then FIN', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(3), end, /^ECONNRESET$/],
  ])('%s', async (_, bytes, then, code) => {
    const server = await answering(bytes, then);
    const error = await failureOf(transportTo(server.port).send(otlpRequest()));
    expect(error.code).toMatch(code);
    expect(classifyFailure(error).failure).toBe('retryable');
    await until(() => server.sockets.size === 0);
  });

  it('1xx without end is bounded by the deadline', async () => {
    const clock = new VirtualClock();
    let written = 0;
    const server = await answering('', (socket) => {
      const drip = setInterval(() => socket.write('HTTP/1.1 102 Processing\r\n\r\n', () => written++), 1);
      socket.on('close', () => clearInterval(drip));
    });
    const sending = failureOf(transportTo(server.port, { clock }).send(otlpRequest({ clock, timeoutMillis: 5_000 })));
    await until(() => written > 10);
    await clock.advance(5_000);
    expect(await sending).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await until(() => server.sockets.size === 0);
  });
});

describe('the status decides, as soon as there is a whole head', () => {
  it.each<[string, string, (socket: Socket) => void]>([
    ['half a body, then FIN', answer(200, 'x', { ...PROTOBUF, 'Content-Length': '100' }), end],
    ['half a body, then a reset', answer(200, 'x', { ...PROTOBUF, 'Content-Length': '100' }), reset],
    ['a body too large', answer(200, 'x'.repeat(200_000), PROTOBUF), () => {}],
    ['a body without end', 'HTTP/1.1 200 OK\r\n\r\n', (socket) => drip(socket, Buffer.alloc(65_536))],
    ['a garbled chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', () => {}],
    ['half a chunk, then FIN', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nxx', end],
    ['another content type', answer(200, '<html>', { 'Content-Type': 'text/html' }), () => {}],
    ['no content type', answer(200, 'ok'), () => {}],
    ['an encoding not asked for', answer(200, 'x', { ...PROTOBUF, 'Content-Encoding': 'br' }), () => {}],
    ['no length, ended by FIN', 'HTTP/1.1 200 OK\r\n\r\nok', end],
    ['HTTP/1.0', 'HTTP/1.0 200 OK\r\n\r\n', end],
    ['202', answer(202), () => {}],
    ['204', 'HTTP/1.1 204 No Content\r\n\r\n', () => {}],
    ['200 after 100 and 103', `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n${OK}`, () => {}],
  ])('2xx is a success with nothing to read: %s', async (_, bytes, then) => {
    const server = await answering(bytes, then);
    const { body } = await transportTo(server.port).send(otlpRequest());
    expect(body.byteLength).toBe(0);
  });

  const drip = (socket: Socket, bytes: Buffer) => {
    const timer = setInterval(() => socket.write(bytes), 1);
    socket.on('close', () => clearInterval(timer));
  };

  /** A connection that is open already, over which the next answer has nine bytes of which one comes. */
  async function halfAnswering(status: number) {
    const clock = new VirtualClock();
    const server = await rawHttpServer((socket, request) => {
      socket.write(String(request).endsWith('half') ? answer(status, 'a', { 'Content-Length': '9' }) : OK);
    });
    const transport = transportTo(server.port, { clock });
    await transport.send(otlpRequest({ clock }));
    const half = { clock, chunks: [Buffer.from('half')] };
    // Of the idle connection; then of the deadline; then of the body.
    const timers = clock.pendingTimers;
    const send = async (timeoutMillis: number) => {
      const sending = transport.send(otlpRequest({ ...half, timeoutMillis })).catch((error) => error);
      await until(() => clock.pendingTimers === timers + 2);
      return { sending };
    };
    return { clock, server, transport, send };
  }

  it.each([200, 503])('the body of a %i has a second to come: a slow drip makes no timeout of it', async (status) => {
    const { clock, server, transport, send } = await halfAnswering(status);
    const { sending } = await send(60_000);
    await clock.advance(999);
    expect(server.sockets.size).toBe(1);
    await clock.advance(1);
    expect(await sending).toMatchObject(status === 200 ? { body: new Uint8Array() } : { code: 503 });
    await until(() => server.sockets.size === 0);
    await transport.shutdown();
    expect(clock.pendingTimers).toBe(0);
  });

  it.each([200, 503])('a %i that is known counts even when the deadline passes before its body', async (status) => {
    const { clock, transport, send } = await halfAnswering(status);
    const { sending } = await send(500);
    await clock.advance(500);
    expect(await sending).toMatchObject(status === 200 ? { body: new Uint8Array() } : { code: 503 });
    await transport.shutdown();
    expect(clock.pendingTimers).toBe(0);
  });

  it.each([
    [301, 'permanent'],
    [307, 'permanent'],
    [400, 'permanent'],
    [401, 'permanent'],
    [404, 'permanent'],
    [413, 'permanent'],
    [429, 'throttled'],
    [500, 'permanent'],
    [502, 'retryable'],
    [503, 'retryable'],
    [504, 'retryable'],
  ] as const)('%i is %s', async (status, failure) => {
    const elsewhere = await answering(OK);
    const Location = `http://127.0.0.1:${elsewhere.port}/v1/traces`;
    const server = await answering(answer(status, '', { Location }));
    const error = await failureOf(transportTo(server.port).send(otlpRequest({ headers: { authorization: 's' } })));
    expect(error).toMatchObject({ name: 'HttpError', code: status });
    expect(classifyFailure(error).failure).toBe(failure);
    expect(elsewhere.accepted()).toBe(0);
  });

  it('an error keeps the connection; and one in mid-body counts by its status', async () => {
    const server = await answering(answer(503, 'busy'));
    const transport = transportTo(server.port);
    expect(await failureOf(transport.send(otlpRequest()))).toMatchObject({ code: 503, details: 'busy' });
    await failureOf(transport.send(otlpRequest()));
    expect(server.accepted()).toBe(1);
    const cut = await answering(answer(400, 'ba', { 'Content-Length': '3' }), reset);
    expect(await failureOf(transportTo(cut.port).send(otlpRequest()))).toMatchObject({ code: 400 });
  });

  it('what follows an answer on its connection is never taken for the answer to the next request', async () => {
    const server = await rawHttpServer((socket, request) => {
      if (String(request).endsWith('first')) socket.write(OK + answer(400, 'smuggled'));
      else socket.write(OK);
    });
    const transport = transportTo(server.port);
    await transport.send(otlpRequest({ chunks: [Buffer.from('first')] }));
    await transport.send(otlpRequest({ chunks: [Buffer.from('second')] }));
    expect(server.accepted()).toBe(2);
  });
});

describe('an answer while the request is still being written', () => {
  const large = otlpRequest({ chunks: [Buffer.alloc(16 * 1024 * 1024)] });

  it('counts, and the rest is not sent', async () => {
    let received = 0;
    const server = await tcpServer((socket) => {
      socket.once('data', () => socket.write(answer(413, 'too large')));
      socket.on('data', (bytes: Buffer) => {
        received += bytes.byteLength;
        socket.pause();
        setTimeout(() => socket.resume(), 5);
      });
    });
    const clock = new VirtualClock(); // so that nothing is settled by time
    const error = await failureOf(transportTo(server.port, { clock }).send({ ...large, deadline: 1e9 }));
    expect(error).toMatchObject({ code: 413, details: 'too large' });
    await until(() => server.sockets.size === 0);
    expect(received).toBeLessThan(16 * 1024 * 1024);
  });

  it('counts when the server closes after it', async () => {
    const server = await tcpServer((socket) => {
      socket.once('data', () => socket.end(answer(503, 'busy', { 'Retry-After': '3' })));
    });
    expect(await failureOf(transportTo(server.port).send(large))).toMatchObject({ code: 503, retryAfter: '3' });
  });
});

it('no bytes whatever make it hang, throw or leak', async () => {
  const piece = fc.oneof(
    fc.constantFrom('HTTP/1.1 200 OK\r\n', 'HTTP/1.1 503 Busy\r\n', 'HTTP/1.1 100 Continue\r\n\r\n', '\r\n\r\n'),
    fc.constantFrom('Content-Length: 3\r\n', 'Content-Length: -1\r\n', 'Transfer-Encoding: chunked\r\n'),
    fc.constantFrom('Connection: close\r\n', 'Keep-Alive: timeout=0\r\n', '3\r\nabc\r\n0\r\n\r\n', 'abc'),
    fc.string({ maxLength: 20 }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 8 }), fc.boolean(), async (pieces, rudely) => {
      const server = await answering(pieces.join(''), rudely ? reset : end);
      const transport = transportTo(server.port);
      const result = await transport.send(otlpRequest({ timeoutMillis: 1_000 })).catch((error) => error);
      if (result instanceof Error) {
        const { code } = result as Error & { code?: unknown };
        expect(['string', 'number']).toContain(typeof code);
        expect(code).not.toBe('DEADLINE_EXCEEDED');
      } else expect(result.body).toBeInstanceOf(Uint8Array);
      await shutdownAll();
      await closeAll();
    }),
    { numRuns: 200 },
  );
});
