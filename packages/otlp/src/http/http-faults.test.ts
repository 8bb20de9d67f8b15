import type { Socket } from 'node:net';
import { classifyFailure, ExportError, systemClock } from '@otel-resilience/core';
import { CountingReceiver, FaultProxy, VirtualClock } from '@otel-resilience/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { closeAll, openSockets, tcpServer, until } from '../connection/servers.test-support.js';
import { gzip } from '../gzip.js';
import { failureOf, OK, otlpRequest, rawHttpServer, shutdownAll, transportTo } from './http.test-support.js';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  await shutdownAll();
  // Of the transports under test nothing is left, whatever became of their requests.
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await closeAll();
  await until(() => openSockets() === 0, 1_000);
});

describe('the race of reuse', () => {
  /** Answers `good` requests on each connection; what comes after that is reset unanswered. */
  const forgetful = (good: number, onRequest: (body: string) => void = () => {}) => {
    const served = new WeakMap<Socket, number>();
    return rawHttpServer((socket, request) => {
      onRequest(String(request.subarray(request.indexOf('\r\n\r\n') + 4)));
      const count = (served.get(socket) ?? 0) + 1;
      served.set(socket, count);
      if (count <= good) socket.write(OK);
      else socket.resetAndDestroy();
    });
  };

  it('a used connection that breaks before a response: the request is repeated at once on a new one', async () => {
    const bodies: string[] = [];
    const server = await forgetful(1, (body) => bodies.push(body));
    const transport = transportTo(server.port);
    await transport.send(otlpRequest({ chunks: [Buffer.from('first')] }));
    await transport.send(otlpRequest({ chunks: [Buffer.from('sec'), Buffer.from('ond')] }));
    expect(bodies).toEqual(['first', 'second', 'second']);
    expect(server.accepted()).toBe(2);
  });

  it('a new connection that breaks is a failure, without a repetition', async () => {
    const server = await forgetful(0);
    const error = await failureOf(transportTo(server.port).send(otlpRequest()));
    expect(error.code).toBe('ECONNRESET');
    expect(classifyFailure(error).failure).toBe('retryable');
    expect(server.accepted()).toBe(1);
  });

  it('is repeated once only', async () => {
    let alive = true;
    let requests = 0;
    const server = await rawHttpServer((socket) => {
      requests++;
      if (alive) socket.write(OK);
      else socket.resetAndDestroy();
    });
    const transport = transportTo(server.port);
    await transport.send(otlpRequest());
    alive = false;
    expect(await failureOf(transport.send(otlpRequest()))).toMatchObject({ code: 'ECONNRESET' });
    expect(requests).toBe(3);
  });

  it('is repeated once only, even if the second connection has been used as well', async () => {
    let bad = 0;
    const server = await rawHttpServer((socket, request) => {
      if (!String(request).endsWith('bad')) socket.write(OK);
      else if (++bad) socket.resetAndDestroy();
    });
    const transport = transportTo(server.port, { connections: 1 });
    const send = (name: string) => transport.send(otlpRequest({ chunks: [Buffer.from(name)] }));
    await send('good');
    const failing = failureOf(send('bad'));
    // The first of them opens a connection in the place of the broken one, on which the repetition comes last.
    await Promise.all([send('good'), send('good')]);
    expect(await failing).toMatchObject({ code: 'ECONNRESET' });
    expect([bad, server.accepted()]).toEqual([2, 2]);
  });

  it('idle siblings of a broken connection are not tried', async () => {
    const clients = new Set<Socket>();
    const server = await rawHttpServer((socket) => {
      clients.add(socket);
      if (clients.size >= 2) for (const client of clients) client.write(OK);
    });
    const transport = transportTo(server.port, { connections: 3 });
    await Promise.all([transport.send(otlpRequest()), transport.send(otlpRequest())]);
    for (const client of clients) {
      client.removeAllListeners('data');
      client.once('data', () => client.resetAndDestroy());
    }
    clients.clear();
    clients.add([...server.sockets][0]!);
    const sending = transport.send(otlpRequest());
    await until(() => server.accepted() === 3);
    await sending;
  });
});

describe('deadline and abort', () => {
  it('a server that does not answer: DEADLINE_EXCEEDED, and its connections are not trusted any more', async () => {
    const clock = new VirtualClock();
    let silent = false;
    const server = await rawHttpServer((socket) => {
      if (!silent) setTimeout(() => socket.write(OK), 20);
    });
    const transport = transportTo(server.port, { clock });
    await Promise.all([transport.send(otlpRequest({ clock })), transport.send(otlpRequest({ clock }))]);
    expect(server.sockets.size).toBe(2);
    silent = true;
    const sending = failureOf(transport.send(otlpRequest({ clock, timeoutMillis: 300 })));
    await clock.advance(299);
    expect(server.sockets.size).toBe(2);
    await clock.advance(1);
    const error = await sending;
    expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(classifyFailure(error).failure).toBe('retryable');
    await until(() => server.sockets.size === 0);
    expect(clock.pendingTimers).toBe(0);
  });

  it('an aborted request closes its connection, and no other', async () => {
    const waiting: Socket[] = [];
    const server = await rawHttpServer((socket) => waiting.push(socket));
    const transport = transportTo(server.port);
    const controller = new AbortController();
    const aborted = failureOf(transport.send(otlpRequest({ signal: controller.signal })));
    await until(() => waiting.length === 1);
    const other = transport.send(otlpRequest());
    await until(() => waiting.length === 2);
    const reason = new Error('nobody waits');
    controller.abort(reason);
    expect(await aborted).toBe(reason);
    await until(() => server.sockets.size === 1);
    waiting[1]!.write(OK);
    await other;
  });

  it('an abort before sending opens nothing', async () => {
    const server = await rawHttpServer(() => {});
    const signal = AbortSignal.abort(new Error('too late'));
    const transport = transportTo(server.port, { compression: 'gzip' });
    expect((await failureOf(transport.send(otlpRequest({ signal })))).message).toBe('too late');
    expect(server.accepted()).toBe(0);
  });

  it('an abort does not wait for compression', async () => {
    const { port } = await rawHttpServer(() => {});
    const controller = new AbortController();
    const bytes = Buffer.from(Array.from({ length: 4_000_000 }, (_, i) => (i * i) % 251));
    const chunks = [bytes];
    let compressed = false;
    gzip([bytes.subarray(0, 2_000_000)], 9).then(() => {
      compressed = true;
    });
    const transport = transportTo(port, { compression: 'gzip', gzipLevel: 9 });
    const sending = failureOf(transport.send(otlpRequest({ chunks, signal: controller.signal })));
    controller.abort(new Error('nobody waits'));
    expect((await sending).message).toBe('nobody waits');
    expect(compressed).toBe(false);
  });

  it('a deadline bounds connecting too', async () => {
    const silent = await tcpServer(() => {});
    const clock = new VirtualClock();
    const transport = transportTo(silent.port, { clock, secure: true, connectTimeoutMillis: 60_000 });
    const sending = failureOf(transport.send(otlpRequest({ clock, timeoutMillis: 200 })));
    await until(() => silent.accepted() === 1);
    await clock.advance(200);
    expect(await sending).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await until(() => silent.sockets.size === 0);
    expect(clock.pendingTimers).toBe(0);
  });

  it('a server that stops reading in mid-body holds nothing up beyond the deadline', async () => {
    const server = await tcpServer((socket) => socket.pause());
    const transport = transportTo(server.port);
    const chunks = [Buffer.alloc(32 * 1024 * 1024)];
    const startedAt = performance.now();
    const error = await failureOf(transport.send(otlpRequest({ chunks, timeoutMillis: 200 })));
    expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(performance.now() - startedAt).toBeLessThan(1_500);
    await until(() => openSockets() <= server.sockets.size);
  });
});

describe('shutdown', () => {
  it('ends what is open with SHUTDOWN and leaves no socket and no timer, in every state', async () => {
    const clock = new VirtualClock();
    const server = await rawHttpServer((socket, request) => {
      if (String(request).endsWith('answer')) socket.write(OK);
    });
    const silent = await tcpServer(() => {});
    const busy = transportTo(server.port, { clock, connections: 2 });
    const connecting = transportTo(silent.port, { clock, secure: true });
    await Promise.all([1, 2].map(() => busy.send(otlpRequest({ clock, chunks: [Buffer.from('answer')] }))));
    const open = [1, 2, 3].map(() => failureOf(busy.send(otlpRequest({ clock }))));
    open.push(failureOf(connecting.send(otlpRequest({ clock }))));
    await until(() => silent.accepted() === 1);
    await Promise.all([busy.shutdown(), connecting.shutdown()]);
    for (const error of await Promise.all(open)) {
      expect(error).toBeInstanceOf(ExportError);
      expect(error.code).toBe('SHUTDOWN');
    }
    await until(() => server.sockets.size === 0 && silent.sockets.size === 0);
    expect(clock.pendingTimers).toBe(0);
    expect(await failureOf(busy.send(otlpRequest({ clock })))).toMatchObject({ code: 'SHUTDOWN' });
    expect(clock.pendingTimers).toBe(0);
    await busy.shutdown();
  });
});

describe('against faults of the network', () => {
  async function setUp(options: Parameters<typeof transportTo>[1] = {}) {
    const receiver = new CountingReceiver({ protocol: 'http/protobuf' });
    await receiver.start();
    cleanups.push(() => receiver.stop());
    const proxy = new FaultProxy({ upstream: receiver });
    await proxy.start();
    cleanups.push(() => proxy.stop());
    const transport = transportTo(proxy.port, options);
    return { receiver, proxy, transport };
  }

  it('cut in the middle of the request: a disconnect', async () => {
    const { proxy, transport, receiver } = await setUp();
    proxy.cutAfter(200_000);
    const error = await failureOf(transport.send(otlpRequest({ chunks: [Buffer.alloc(1_000_000)] })));
    expect(error.code).toMatch(/^(ECONNRESET|EPIPE)$/);
    expect(classifyFailure(error).failure).toBe('retryable');
    await proxy.heal();
    await transport.send(otlpRequest({ chunks: [] }));
    expect(receiver.requests).toBe(1);
  });

  it('a black hole: the first request after it is answered at once, on a new connection', async () => {
    const { proxy, transport } = await setUp({ connections: 4 });
    await Promise.all([1, 2, 3, 4].map(() => transport.send(otlpRequest({ chunks: [] }))));
    await proxy.blackHole({ afterwards: 'silent' });
    expect(await failureOf(transport.send(otlpRequest({ chunks: [], timeoutMillis: 100 })))).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    await proxy.heal();
    const startedAt = systemClock.now();
    await transport.send(otlpRequest({ chunks: [] }));
    expect(systemClock.now() - startedAt).toBeLessThan(500);
  });

  it('refused, then back', async () => {
    const { proxy, transport } = await setUp();
    await transport.send(otlpRequest({ chunks: [] }));
    await proxy.refuse();
    expect((await failureOf(transport.send(otlpRequest({ chunks: [] })))).code).toMatch(/^ECONN(REFUSED|RESET)$/);
    await proxy.heal();
    await transport.send(otlpRequest({ chunks: [] }));
  });
});
