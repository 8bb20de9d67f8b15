import { classifyFailure } from '@otel-resilience/core';
import { FaultProxy, VirtualClock } from '@otel-resilience/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { closeAll, tcpServer, until, unusedPort } from '../connection/servers.test-support.js';
import { RawConnection, RawServer, type RawStream, SETTING } from './frames.test-support.js';
import { failureOf, request, shutdownAll, transportTo } from './transport.test-support.js';

afterEach(async () => {
  await shutdownAll();
  await closeAll();
});

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('calls', () => {
  it('are spread over as many connections as are allowed, the least loaded first', async () => {
    const open: RawStream[] = [];
    const server = await RawServer.start({ onRequest: (stream) => open.push(stream) });
    const transport = transportTo(server.port, { connections: 3 });
    const sending: Promise<unknown>[] = [];
    for (let call = 0; call < 12; call++) {
      sending.push(transport.send(request()));
      // A further connection is made while a call is in flight, and nothing waits for it; here the next call does.
      await until(() => open.length === call + 1 && server.connections.length === ([1, 2, 2][call] ?? 3));
      await until(() => server.connections.every(({ settled }) => settled));
      await turn();
    }
    const load = server.connections.map((connection) => connection.streams.size);
    expect(load.length).toBe(3);
    expect(Math.max(...load) - Math.min(...load)).toBeLessThanOrEqual(2);
    for (const stream of open) stream.accept();
    await Promise.all(sending);
  });

  it('go on the connection that there is, while a further one cannot be made', async () => {
    const server = await RawServer.start({
      onRequest: (stream) => stream.accept(),
      onConnection: (connection) => server.connections.length > 1 && connection.socket.destroy(),
    });
    const transport = transportTo(server.port, { connections: 4 });
    await transport.send(request());
    for (let round = 0; round < 5; round++) {
      await Promise.all(Array.from({ length: 10 }, () => transport.send(request())));
    }
    expect(server.connections[0]!.streams.size).toBe(51);
  });

  it('wait while the server takes no more at a time, in vain at most until their deadline', async () => {
    const clock = new VirtualClock();
    const open: RawStream[] = [];
    const server = await RawServer.start({
      settings: [[SETTING.maxConcurrentStreams, 2]],
      onRequest: (stream) => open.push(stream),
    });
    const transport = transportTo(server.port, { clock });
    const send = (timeoutMillis: number) => transport.send(request({ clock, timeoutMillis }));
    const first = [send(60_000), send(60_000)];
    await until(() => open.length === 2);
    const [third, impatient] = [send(60_000), failureOf(send(5_000))];
    await clock.advance(5_000);
    expect(await impatient).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(open.length).toBe(2);
    open[0]!.accept();
    await first[0];
    await until(() => open.length === 3);
    const fourth = send(60_000);
    open[1]!.accept();
    open[2]!.accept();
    await Promise.all([first[1], third]);
    await until(() => open.length === 4);
    open[3]!.accept();
    await fourth;
    expect(server.connections.length).toBe(1);
  });

  it('go on when the server allows more than before', async () => {
    const server = await RawServer.start({
      settings: [[SETTING.maxConcurrentStreams, 0]],
      onRequest: (stream) => stream.accept(),
    });
    const sending = transportTo(server.port).send(request());
    await until(() => server.connections.length === 1 && server.connections[0]!.greeted);
    await turn();
    expect(server.streams.length).toBe(0);
    server.connections[0]!.settings([[SETTING.maxConcurrentStreams, 1]]);
    await sending;
  });

  it('that wait for a place move to another connection when theirs ends', async () => {
    const open: RawStream[] = [];
    const server = await RawServer.start({
      settings: [[SETTING.maxConcurrentStreams, 1]],
      onRequest: (stream) => (stream.id === 1 && server.connections.length === 1 ? stream.accept() : open.push(stream)),
    });
    const transport = transportTo(server.port);
    await transport.send(request());
    const [first, second] = [transport.send(request()), transport.send(request())];
    await until(() => open.length === 1);
    server.connections[0]!.goaway(open[0]!.id);
    await until(() => open.length === 2);
    expect(open[1]!.connection).toBe(server.connections[1]);
    for (const stream of open) stream.accept();
    await Promise.all([first, second]);
  });
});

describe('connecting', () => {
  it('is one attempt for all who wait, and fails them all', async () => {
    const port = await unusedPort();
    const transport = transportTo(port);
    const errors = await Promise.all(Array.from({ length: 5 }, () => failureOf(transport.send(request()))));
    for (const error of errors) expect(error).toBe(errors[0]);
    expect(errors[0]).toMatchObject({ name: 'ConnectionError', code: 'ECONNREFUSED' });
  });

  it('fails a call at once within the back-off, and is tried by the first that comes after it', async () => {
    const clock = new VirtualClock();
    const port = await unusedPort();
    const transport = transportTo(port, { clock });
    const send = () => transport.send(request({ clock }));
    let last: Error | undefined;
    // 100, 200, 400, 500 and 500, less 30 %
    for (const millis of [70, 140, 280, 350, 350]) {
      const error = await failureOf(send());
      expect(error).not.toBe(last);
      await clock.advance(millis - 1);
      expect(await failureOf(send())).toBe(error);
      await clock.advance(1);
      last = error;
    }
  });

  it('begins anew with 100 ms after a call that was answered', async () => {
    const clock = new VirtualClock();
    const proxy = new FaultProxy({ upstream: await RawServer.start({ onRequest: (stream) => stream.accept() }) });
    await proxy.start();
    const transport = transportTo(proxy.port, { clock });
    const send = () => transport.send(request({ clock }));
    for (let outage = 0; outage < 2; outage++) {
      await proxy.refuse();
      const error = await failureOf(send());
      expect(await failureOf(send())).toBe(error);
      await clock.advance(70);
      expect(await failureOf(send())).not.toBe(error);
      await clock.advance(140);
      await proxy.heal();
      await send();
    }
    await proxy.stop();
  });

  it('waits for SETTINGS no longer than for a connection: a port may accept and be nobody', async () => {
    const clock = new VirtualClock();
    const server = await RawServer.start({ settings: undefined });
    const transport = transportTo(server.port, { clock });
    const sending = failureOf(transport.send(request({ clock })));
    await until(() => server.connections[0]?.greeted === true);
    await clock.advance(499);
    expect(server.openConnections).toBe(1);
    await clock.advance(1);
    expect(await sending).toMatchObject({ code: 'ETIMEDOUT', message: expect.stringContaining('SETTINGS') });
    await until(() => server.openConnections === 0);
    expect(clock.pendingTimers).toBe(0);
  });

  it.each<[string, string]>([
    ['HTTP/1.1', 'HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n'],
    ['something else', '220 mail.example ESMTP\r\n'],
  ])('to a server of %s fails in time', async (_, greeting) => {
    const clock = new VirtualClock();
    let heard = 0;
    const server = await tcpServer((socket) => {
      socket.write(greeting);
      socket.on('data', ({ byteLength }) => {
        heard += byteLength;
      });
    });
    const transport = transportTo(server.port, { clock });
    const sending = failureOf(transport.send(request({ clock })));
    await until(() => heard > 0);
    for (let turns = 0; turns < 10; turns++) await turn();
    await clock.advance(500);
    expect(await sending).toMatchObject({ name: 'ConnectionError' });
    await until(() => server.sockets.size === 0);
  });

  it('compresses nothing within the back-off', async () => {
    const clock = new VirtualClock();
    const transport = transportTo(await unusedPort(), { clock, compression: 'gzip' });
    const error = await failureOf(transport.send(request({ clock })));
    const body = Buffer.alloc(1);
    Object.defineProperty(body, 'byteLength', { get: () => expect.fail('read') });
    expect(await failureOf(transport.send({ ...request({ clock }), chunks: [body] }))).toBe(error);
  });

  it('that leads to connections which never answer a call backs off as well', async () => {
    const clock = new VirtualClock();
    const server = await RawServer.start({ onHeaders: (stream) => stream.connection.reset() });
    const transport = transportTo(server.port, { clock });
    const send = () => failureOf(transport.send(request({ clock })));
    for (let call = 0; call < 20; call++) await send();
    expect(server.connections.length).toBe(1);
    await clock.advance(100);
    for (let call = 0; call < 20; call++) await send();
    expect(server.connections.length).toBe(2);
  });

  it.each([0, 2, 11])('to a server that says GOAWAY (%i) in the same breath fails', async (code) => {
    const clock = new VirtualClock();
    const server = await RawServer.start({
      settings: undefined,
      onConnection: ({ socket, settings, goaway }) => {
        const breath: Buffer[] = [];
        const frames = {
          frame: RawConnection.prototype.frame,
          socket: { writable: true, write: (b: Buffer) => breath.push(b) },
        };
        settings.call(frames as never, []);
        goaway.call(frames as never, 0, code);
        socket.write(Buffer.concat(breath));
      },
    });
    const transport = transportTo(server.port, { clock });
    expect(classifyFailure(await failureOf(transport.send(request({ clock })))).failure).toBe('retryable');
    await failureOf(transport.send(request({ clock })));
    expect(server.connections.length).toBe(1);
    await until(() => server.openConnections === 0);
  });

  it('ends with the call that waits for it, but goes on for the next', async () => {
    const clock = new VirtualClock();
    const server = await RawServer.start({ settings: undefined, onRequest: (stream) => stream.accept() });
    const transport = transportTo(server.port, { clock });
    const abort = new AbortController();
    const impatient = failureOf(transport.send(request({ clock, signal: abort.signal })));
    await until(() => server.connections.length === 1);
    abort.abort(new Error('enough'));
    expect(await impatient).toMatchObject({ message: 'enough' });
    const patient = transport.send(request({ clock }));
    server.connections[0]!.settings([]);
    await patient;
    expect(server.connections.length).toBe(1);
  });

  it('has a call that came during an attempt which fails make one of its own, if one is due', async () => {
    const clock = new VirtualClock();
    const server = await RawServer.start({ settings: undefined, onRequest: (stream) => stream.accept() });
    const transport = transportTo(server.port, { clock });
    const [first, second] = [failureOf(transport.send(request({ clock }))), transport.send(request({ clock }))];
    await until(() => server.connections[0]?.greeted === true);
    await clock.advance(500);
    await first;
    await until(() => server.connections.length === 2);
    server.connections[1]!.settings([]);
    await second;
  });
});

describe('shutdown', () => {
  it('ends calls in flight, waiting and connecting, and leaves no socket and no timer', async () => {
    const clock = new VirtualClock();
    const open: RawStream[] = [];
    const server = await RawServer.start({
      settings: [[SETTING.maxConcurrentStreams, 1]],
      onRequest: (stream) => open.push(stream),
    });
    const transport = transportTo(server.port, { clock });
    const unanswered = [transport.send(request({ clock })), transport.send(request({ clock }))].map(failureOf);
    await until(() => open.length === 1);
    const silent = await RawServer.start({ settings: undefined });
    const connecting = transportTo(silent.port, { clock });
    unanswered.push(failureOf(connecting.send(request({ clock }))));
    await until(() => silent.connections.length === 1);
    await Promise.all([transport.shutdown(), connecting.shutdown()]);
    for (const error of await Promise.all(unanswered)) expect(error).toMatchObject({ code: 'SHUTDOWN' });
    expect(clock.pendingTimers).toBe(0);
    await until(() => server.openConnections + silent.openConnections === 0);
    expect(await failureOf(transport.send(request({ clock })))).toMatchObject({ code: 'SHUTDOWN' });
    await transport.shutdown();
  });

  it('does not wait for a peer that reads nothing', async () => {
    const server = await RawServer.start({
      settings: [[SETTING.initialWindowSize, 0x7fff_ffff]],
      onConnection: (connection) => connection.windowUpdate(0, 1_000_000_000),
      onHeaders: ({ connection }) => connection.socket.pause(),
    });
    const transport = transportTo(server.port);
    const sending = failureOf(transport.send(request({ body: Buffer.alloc(50_000_000) })));
    await until(() => server.streams.length === 1);
    await transport.shutdown();
    expect(await sending).toMatchObject({ code: 'SHUTDOWN' });
  });
});
