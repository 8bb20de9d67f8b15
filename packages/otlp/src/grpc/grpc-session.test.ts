import { constants } from 'node:http2';
import { afterEach, describe, expect, it } from 'vitest';
import { closeAll, until } from '../connection/servers.test-support.js';
import { type RawStream, RESPONSE } from './frames.test-support.js';
import { failureOf, request, shutdownAll, warmedUp } from './transport.test-support.js';

afterEach(async () => {
  await shutdownAll();
  await closeAll();
});

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

describe('a connection that is alive, but answers no call', () => {
  /** A server that answers pings and opens windows, so that there is always a byte from it. */
  const setUp = () => warmedUp({ windows: true });

  /** One call after the other, as of a retry or a spool's probes. */
  async function timeOut({ begin, clock }: Awaited<ReturnType<typeof setUp>>, calls: number) {
    for (let call = 0; call < calls; call++) {
      const { sending } = await begin(1_000);
      await clock.advance(1_000);
      expect(await failureOf(sending)).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    }
  }

  it('is left for another after three calls in a row: there may be another server behind the same address', async () => {
    const world = await setUp();
    await timeOut(world, 3);
    expect(world.connections()).toBe(1);
    const { sending, stream } = await world.begin();
    expect(stream.connection).toBe(world.server.connections[1]);
    stream.accept();
    await sending;
    await until(() => world.server.openConnections === 1);
  });

  it('is kept when one of them was answered, with whatever status', async () => {
    const world = await setUp();
    await timeOut(world, 2);
    const { sending, stream } = await world.begin();
    stream.headers([...RESPONSE, ['grpc-status', '14']], { endStream: true });
    await failureOf(sending);
    await timeOut(world, 2);
    (await world.begin()).stream.accept();
    expect(world.connections()).toBe(1);
  });

  it('goes on for the calls that are still open on it', async () => {
    const world = await setUp();
    const patient = await world.begin(60_000);
    await timeOut(world, 3);
    const { sending, stream } = await world.begin();
    expect(world.connections()).toBe(2);
    stream.accept();
    patient.stream.accept();
    await Promise.all([sending, patient.sending]);
    await until(() => world.server.openConnections === 1);
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
