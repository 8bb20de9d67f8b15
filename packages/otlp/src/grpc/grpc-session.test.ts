import { type ClientHttp2Session, connect, constants } from 'node:http2';
import { classifyFailure } from '@otel-resilience/core';
import { VirtualClock } from '@otel-resilience/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { closeAll, until } from '../connection/servers.test-support.js';
import { RawServer, type RawServerOptions, type RawStream } from './frames.test-support.js';
import { failureOf, request, shutdownAll, transportTo } from './transport.test-support.js';

afterEach(async () => {
  await shutdownAll();
  await closeAll();
});

/** A server that leaves calls unanswered, and a transport whose time stands still, after a first call that went well. */
async function warmedUp(options: RawServerOptions = {}, transportOptions: Parameters<typeof transportTo>[1] = {}) {
  const clock = new VirtualClock();
  const open: RawStream[] = [];
  let first = true;
  const server = await RawServer.start({
    windows: false, // so that it sends nothing by itself
    ...options,
    onRequest: (stream) => {
      if (first) stream.accept();
      else open.push(stream);
      first = false;
    },
  });
  const transport = transportTo(server.port, { clock, ...transportOptions });
  const send = (timeoutMillis?: number) => transport.send(request({ clock, timeoutMillis }));
  await send();
  /** A call that has reached the server. */
  const begin = async (timeoutMillis?: number) => {
    const before = open.length;
    const sending = send(timeoutMillis);
    sending.catch(() => {});
    await until(() => open.length > before);
    return { sending, stream: open.at(-1)! };
  };
  const connections = () => server.connections.length;
  return { clock, server, transport, send, begin, open, connections };
}

describe('GOAWAY', () => {
  it('lets the calls that it covers end, and takes new ones to another connection', async () => {
    const { server, begin, connections } = await warmedUp();
    const [covered, last] = [await begin(), await begin()];
    server.connections[0]!.goaway(last.stream.id);
    const next = await begin();
    expect(connections()).toBe(2);
    for (const { sending, stream } of [covered, last, next]) {
      stream.accept();
      await sending;
    }
    await until(() => server.openConnections === 1);
  });

  it('that comes twice, first with the highest id and then with the true one, is a graceful shutdown', async () => {
    const { server, begin, open } = await warmedUp();
    const [covered, late] = [await begin(), await begin()];
    server.connections[0]!.goaway(0x7fff_ffff);
    server.connections[0]!.goaway(covered.stream.id);
    await until(() => open.length === 3); // the late one, repeated elsewhere
    expect(open[2]!.connection).toBe(server.connections[1]);
    for (const stream of [covered.stream, open[2]!]) stream.accept();
    await Promise.all([covered.sending, late.sending]);
  });

  it('in the middle of a large request lets it end', async () => {
    const clock = new VirtualClock();
    const server = await RawServer.start({ onRequest: (stream) => stream.accept(), windows: false });
    const transport = transportTo(server.port, { clock });
    const sending = transport.send(request({ clock, body: Buffer.alloc(300_000) }));
    await until(() => server.streams.length === 1 && bytesOf(server.streams[0]!) > 50_000);
    const [connection] = server.connections;
    connection!.goaway(1);
    await until(() => connection!.goawayWith !== undefined);
    connection!.windowUpdate(0, 1_000_000);
    connection!.windowUpdate(1, 1_000_000);
    await sending;
    expect(bytesOf(server.streams[0]!)).toBe(300_005);
    expect(server.connections.length).toBe(1);
    await until(() => server.openConnections === 0);
  });

  it.each([
    ['NO_ERROR', constants.NGHTTP2_NO_ERROR],
    ['INTERNAL_ERROR', constants.NGHTTP2_INTERNAL_ERROR],
    ['ENHANCE_YOUR_CALM', constants.NGHTTP2_ENHANCE_YOUR_CALM],
  ])('%s for calls above its last stream id has them repeated once, at once', async (_, code) => {
    const { server, begin, open, connections } = await warmedUp();
    const { sending } = await begin();
    server.connections[0]!.goaway(1, code);
    await until(() => open.length === 2);
    expect(connections()).toBe(2);
    server.connections[1]!.goaway(0, code);
    expect(classifyFailure(await failureOf(sending)).failure).toBe('retryable');
    expect(connections()).toBe(2);
  });

  it('with an error ends the calls that it covers, and they may be repeated by whoever sent them', async () => {
    const { server, begin } = await warmedUp();
    const { sending, stream } = await begin();
    server.connections[0]!.goaway(stream.id, constants.NGHTTP2_INTERNAL_ERROR);
    expect(await failureOf(sending)).toMatchObject({ code: 'ECONNRESET' });
  });

  it('while nothing is in flight closes the connection', async () => {
    const { server, begin } = await warmedUp();
    server.connections[0]!.goaway(1);
    await until(() => server.openConnections === 0);
    const { sending, stream } = await begin();
    stream.accept();
    await sending;
  });

  it('ENHANCE_YOUR_CALM doubles the ping interval, for every connection to come', async () => {
    const { server, begin, clock } = await warmedUp();
    server.connections[0]!.goaway(1, constants.NGHTTP2_ENHANCE_YOUR_CALM, 'too_many_pings');
    await until(() => server.openConnections === 0);
    const first = await begin();
    first.stream.accept();
    await first.sending;
    const { sending, stream } = await begin(100_000);
    await clock.advance(59_999);
    expect(server.pings).toBe(0);
    await clock.advance(1);
    await until(() => server.pings === 1);
    stream.accept();
    await sending;
  });
});

const bytesOf = (stream: RawStream) => stream.body.reduce((sum, { byteLength }) => sum + byteLength, 0);

describe('pings', () => {
  it('come every interval while a call is in flight, and not when none is', async () => {
    const { server, begin, clock } = await warmedUp();
    await clock.advance(29_000);
    const { sending, stream } = await begin(200_000);
    await clock.advance(29_999);
    expect(server.pings).toBe(0);
    await clock.advance(1);
    await until(() => server.pings === 1);
    await clock.settle();
    await clock.advance(30_000);
    await until(() => server.pings === 2);
    stream.accept();
    await sending;
    await clock.advance(1_000_000);
    expect(server.pings).toBe(2);
    expect(server.openConnections).toBe(1);
  });

  it('are put off by anything that comes', async () => {
    const { server, begin, clock } = await warmedUp();
    const { sending, stream } = await begin(200_000);
    for (let interval = 0; interval < 3; interval++) {
      const before = server.connections[0]!.socket.bytesWritten;
      server.connections[0]!.windowUpdate(0, 1);
      await until(() => server.connections[0]!.socket.bytesWritten > before);
      await new Promise((resolve) => setImmediate(resolve));
      await clock.advance(30_000);
    }
    expect(server.pings).toBe(0);
    stream.accept();
    await sending;
  });

  it('that nobody answers end the connection, and the calls on it', async () => {
    const { server, begin, clock, open } = await warmedUp({ pong: false });
    const { sending } = await begin(200_000);
    await clock.advance(30_000);
    await until(() => server.pings === 1);
    await clock.advance(9_999);
    expect(server.openConnections).toBe(1);
    await clock.advance(1);
    await until(() => open.length === 2); // not a byte had come back: repeated on another connection
    open[1]!.accept();
    await sending;
    expect(server.openConnections).toBe(1);
  });
});

describe('a call whose deadline passes', () => {
  it('without a byte from the server takes the connection with it', async () => {
    const { server, begin, clock } = await warmedUp();
    const { sending } = await begin();
    await clock.advance(10_000);
    expect(await failureOf(sending)).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await until(() => server.openConnections === 0);
    const next = await begin();
    next.stream.accept();
    await next.sending;
  });

  it('does so too when it is the caller whose timer comes first', async () => {
    const { server, transport, clock, open } = await warmedUp();
    const abort = new AbortController();
    const sending = failureOf(transport.send(request({ clock, signal: abort.signal })));
    await until(() => open.length === 1);
    abort.abort(Object.assign(new Error('too late'), { code: 'DEADLINE_EXCEEDED' }));
    await sending;
    await until(() => server.openConnections === 0);
  });

  it('costs its siblings nothing while the server is there', async () => {
    const { server, begin, clock, connections } = await warmedUp();
    const [slow, sibling] = [await begin(10_000), await begin(60_000)];
    await clock.advance(10_000);
    expect(await failureOf(slow.sending)).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await until(() => server.pings === 1 && slow.stream.resetWith === constants.NGHTTP2_CANCEL);
    await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(1_000);
    sibling.stream.accept();
    await sibling.sending;
    const next = await begin();
    next.stream.accept();
    await next.sending;
    expect(connections()).toBe(1);
  });

  it('costs them their connection when the server is not', async () => {
    const { server, begin, clock, open, connections } = await warmedUp({ pong: false });
    const [slow, sibling] = [await begin(10_000), await begin(60_000)];
    await clock.advance(10_000);
    await failureOf(slow.sending);
    expect(server.openConnections).toBe(1);
    await clock.advance(500);
    await until(() => open.length === 3); // the sibling, repeated: not a byte had come back
    open[2]!.accept();
    await sibling.sending;
    expect(connections()).toBe(2);
  });

  it('has the next call wait for the verdict, and then for another connection', async () => {
    const { begin, clock, open, send, connections } = await warmedUp({ pong: false });
    const [slow] = [await begin(10_000), await begin(60_000)];
    await clock.advance(10_000);
    await failureOf(slow.sending);
    const next = send();
    await clock.advance(499);
    expect(open.length).toBe(2);
    await clock.advance(1);
    await until(() => open.length === 4);
    for (const stream of open.slice(2)) stream.accept();
    await next;
    expect(connections()).toBe(2);
  });

  it('after an answer that broke off in the middle leads to a ping, which a dead connection does not survive', async () => {
    const { server, begin, clock } = await warmedUp({ pong: false });
    const { sending, stream } = await begin();
    stream.headers([
      [':status', '200'],
      ['content-type', 'application/grpc'],
    ]);
    await until(() => server.connections[0]!.socket.writableLength === 0);
    await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(10_000);
    await failureOf(sending);
    await clock.advance(500);
    await until(() => server.openConnections === 0);
  });
});

describe('a connection that has been idle for longer than the ping interval', () => {
  it('is verified by a ping before a call is trusted to it', async () => {
    const { server, begin, clock, connections } = await warmedUp();
    await clock.advance(30_001);
    const { sending, stream } = await begin();
    expect(server.pings).toBe(1);
    expect(connections()).toBe(1);
    stream.accept();
    await sending;
  });

  it('is left when it does not answer', async () => {
    const { server, send, clock, open, connections } = await warmedUp({ pong: false });
    await clock.advance(30_001);
    const sending = send();
    await until(() => server.pings === 1);
    await clock.advance(500);
    await until(() => open.length === 1);
    open[0]!.accept();
    await sending;
    expect(connections()).toBe(2);
  });

  it('is taken for one, too, when the machine was suspended and only wall time has gone on', async () => {
    const { server, begin, clock } = await warmedUp();
    clock.jumpWallTime(3_600_000);
    const { sending, stream } = await begin();
    expect(server.pings).toBe(1);
    stream.accept();
    await sending;
    clock.jumpWallTime(-7_200_000);
    const next = await begin();
    expect(server.pings).toBe(1);
    next.stream.accept();
    await next.sending;
  });
});

describe('a server that closes the connection', () => {
  it.each<[string, (stream: RawStream) => unknown]>([
    ['with a reset', (stream) => stream.connection.reset()],
    ['with an end', (stream) => stream.connection.socket.end()],
  ])('%s has a call repeated once, to which not a byte had come back', async (_, close) => {
    const { begin, open, connections } = await warmedUp();
    const { sending, stream } = await begin();
    close(stream);
    await until(() => open.length === 2);
    close(open[1]!);
    expect(await failureOf(sending)).toMatchObject({ code: 'ECONNRESET' });
    expect(connections()).toBe(2);
  });

  it('after it has begun to answer has the call fail as a disconnect', async () => {
    const { server, begin, connections } = await warmedUp();
    const { sending, stream } = await begin();
    stream.headers([
      [':status', '200'],
      ['content-type', 'application/grpc'],
    ]);
    stream.connection.socket.end();
    expect(await failureOf(sending)).toMatchObject({ code: 'ECONNRESET' });
    expect(connections()).toBe(1);
    await until(() => server.openConnections === 0);
  });

  it('while it is idle is noticed, and the next call connects anew', async () => {
    const { server, begin, connections } = await warmedUp();
    server.connections[0]!.socket.end();
    await until(() => server.openConnections === 0);
    const { sending, stream } = await begin();
    stream.accept();
    await sending;
    expect(connections()).toBe(2);
  });
});

it('a session that has run out of stream ids is left for another, and what is in flight on it goes on', async () => {
  const { server, begin } = await warmedUp();
  const another = connect(`http://127.0.0.1:${server.port}`).on('error', () => {});
  const sessions: Pick<ClientHttp2Session, 'request'> = Object.getPrototypeOf(another);
  another.destroy();
  const { request } = sessions;
  let last = true;
  sessions.request = function (this: ClientHttp2Session & { setNextStreamID(id: number): void }, ...args) {
    if (last) this.setNextStreamID(2 ** 31 - 1);
    last = false;
    return request.apply(this, args);
  };
  try {
    const calls = [await begin(), await begin()];
    expect(calls[0]!.stream.id).toBe(2 ** 31 - 1);
    expect(calls[1]!.stream.connection).not.toBe(calls[0]!.stream.connection);
    for (const { sending, stream } of calls) {
      stream.accept();
      await sending;
    }
  } finally {
    sessions.request = request;
  }
});
