import { type ClientHttp2Session, connect, constants } from 'node:http2';
import { classifyFailure } from '@otel-resilience/core';
import { VirtualClock } from '@otel-resilience/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { closeAll, until } from '../connection/servers.test-support.js';
import { RawServer, type RawStream } from './frames.test-support.js';
import { failureOf, request, shutdownAll, transportTo, warmedUp } from './transport.test-support.js';

afterEach(async () => {
  await shutdownAll();
  await closeAll();
});

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
    await until(() => server.openConnections === 1);
  } finally {
    sessions.request = request;
  }
});

describe('GOAWAY on a new connection', () => {
  it('is no failed attempt when it covers the first call, and that is answered', async () => {
    const open: RawStream[] = [];
    const server = await RawServer.start({ onRequest: (stream) => open.push(stream) });
    const clock = new VirtualClock();
    const transport = transportTo(server.port, { clock });
    const sending = transport.send(request({ clock }));
    await until(() => open.length === 1);
    open[0]!.connection.goaway(open[0]!.id);
    await new Promise((resolve) => setTimeout(resolve, 20)); // the client learns of it
    const next = transport.send(request({ clock })); // fails at once within a back-off
    next.catch(() => {});
    await until(() => open.length === 2);
    for (const stream of open) stream.accept();
    await Promise.all([sending, next]);
  });

  it('is one when the call is not answered after all', async () => {
    const open: RawStream[] = [];
    const server = await RawServer.start({ onRequest: (stream) => open.push(stream) });
    const clock = new VirtualClock();
    const transport = transportTo(server.port, { clock });
    const sending = failureOf(transport.send(request({ clock })));
    await until(() => open.length === 1);
    open[0]!.connection.goaway(open[0]!.id);
    await new Promise((resolve) => setTimeout(resolve, 20));
    open[0]!.connection.socket.destroy();
    await sending;
    await failureOf(transport.send(request({ clock })));
    expect(server.connections.length).toBe(1);
  });
});
