import { ConfigurationError } from '@otel-resilience/core';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../virtual-clock.js';
import { FaultProxy, type LinkConditions } from './fault-proxy.js';
import { aWhile, body, Client, closeAll, echoServer, proxyTo, until } from './sockets.test-support.js';

afterEach(closeAll);

describe('FaultProxy', () => {
  it('carries bytes both ways unchanged, half-open connections too', async () => {
    const upstream = await echoServer();
    const proxy = await proxyTo({ upstream });
    const client = new Client(proxy);
    const sent = body(3_000_000);
    client.socket.end(sent);
    await new Promise((resolve) => client.socket.on('end', resolve));
    expect(client.received().equals(sent)).toBe(true);
    expect(await client.closed).toBe('');
    await until(() => proxy.snapshot().openConnections === 0);
    expect(proxy.snapshot()).toMatchObject({
      acceptedConnections: 1,
      passedBytes: { toUpstream: 3_000_000, toClient: 3_000_000 },
    });
  });

  it('adds its latency in each direction and keeps the order', async () => {
    const upstream = await echoServer();
    const proxy = await proxyTo({ upstream });
    proxy.set({ latencyMillis: 50, jitterMillis: 20 });
    const client = new Client(proxy);
    const sent = body(100_000);
    const startedAt = performance.now();
    for (let at = 0; at < sent.length; at += 1_000) client.socket.write(sent.subarray(at, at + 1_000));
    const received = await client.receives(sent.length);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(99);
    expect(performance.now() - startedAt).toBeLessThan(2_000); // a delay line, not a delay per chunk
    expect(received.equals(sent)).toBe(true);
  });

  it('throttles each direction to its rate', async () => {
    const upstream = await echoServer((socket) => socket.resume());
    const proxy = await proxyTo({ upstream });
    proxy.set({ throttleBytesPerSecond: 100_000 });
    const startedAt = performance.now();
    new Client(proxy).socket.write(body(30_000));
    await until(() => upstream.received().byteLength === 30_000);
    const millis = performance.now() - startedAt;
    expect(millis).toBeGreaterThan(250);
    expect(millis).toBeLessThan(2_000);
  });

  it('holds back a bounded amount when the receiver does not read', async () => {
    const upstream = await echoServer((socket) => socket.pause());
    const proxy = await proxyTo({ upstream });
    proxy.set({ throttleBytesPerSecond: 1_000 });
    const { socket } = new Client(proxy);
    let taken = 0;
    for (let i = 0; i < 256; i++) {
      socket.write(Buffer.alloc(65_536), () => {
        taken += 65_536;
      });
    }
    await aWhile();
    expect(taken).toBeLessThan(8_000_000); // of 16 MiB: what the two systems' socket buffers take
    expect(socket.writableNeedDrain).toBe(true);
  });

  it('refuses connections, resets those it has, and listens on the same port again', async () => {
    const upstream = await echoServer();
    const proxy = await proxyTo({ upstream });
    const { port } = proxy;
    const before = new Client(proxy);
    before.socket.write('x');
    await before.receives(1);
    await proxy.refuse();
    expect(await before.closed).toBe('ECONNRESET');
    expect(await new Client(proxy).closed).toBe('ECONNREFUSED');
    await proxy.heal();
    expect(proxy.port).toBe(port);
    const after = new Client(proxy);
    after.socket.write('y');
    expect(String(await after.receives(1))).toBe('y');
  });

  it('settles on the last of several calls that were not awaited', async () => {
    const upstream = await echoServer();
    const proxy = await proxyTo({ upstream });
    await Promise.all([proxy.refuse(), proxy.heal(), proxy.refuse(), proxy.blackHole(), proxy.heal()]);
    const client = new Client(proxy);
    client.socket.write('x');
    expect(String(await client.receives(1))).toBe('x');
  });

  it('resets open connections once', async () => {
    const upstream = await echoServer();
    const proxy = await proxyTo({ upstream });
    const client = new Client(proxy);
    client.socket.write('x');
    await client.receives(1);
    proxy.reset();
    expect(await client.closed).toBe('ECONNRESET');
    await until(() => upstream.sockets[0]!.destroyed);
    const next = new Client(proxy);
    next.socket.write('y');
    await next.receives(1);
  });

  it('swallows in a black hole on old and new connections, closes nothing, and resets them afterwards', async () => {
    const upstream = await echoServer();
    const proxy = await proxyTo({ upstream });
    const old = new Client(proxy);
    old.socket.write('x');
    await old.receives(1);
    const quiet = new Client(proxy);
    quiet.socket.write('q');
    await quiet.receives(1);
    await proxy.blackHole();
    const fresh = new Client(proxy);
    const gone = new Client(proxy);
    old.socket.write(Buffer.alloc(10_000_000));
    fresh.socket.write(Buffer.alloc(1_000));
    await new Promise((resolve) => gone.socket.write('z', resolve));
    gone.socket.destroy();
    await until(() => !old.socket.writableNeedDrain); // it is read, not left in buffers
    await aWhile();
    expect(upstream.sockets.length).toBe(2);
    expect(String(upstream.received())).toBe('xq');
    expect(old.socket.destroyed || fresh.socket.destroyed).toBe(false);
    await proxy.heal();
    expect(await Promise.all([old.closed, fresh.closed])).toEqual(['ECONNRESET', 'ECONNRESET']);
    quiet.socket.write('r');
    expect(String(await quiet.receives(2))).toBe('qr');
  });

  it('leaves the connections of a silent black hole silent', async () => {
    const upstream = await echoServer();
    const proxy = await proxyTo({ upstream });
    const client = new Client(proxy);
    client.socket.write('x');
    await client.receives(1);
    await proxy.blackHole({ afterwards: 'silent' });
    client.socket.write('y');
    await aWhile();
    await proxy.heal();
    client.socket.write('z');
    await aWhile();
    expect(client.socket.destroyed).toBe(false);
    expect(String(upstream.received())).toBe('x');
  });

  it('loses nothing in a stall', async () => {
    const upstream = await echoServer();
    const proxy = await proxyTo({ upstream });
    const client = new Client(proxy);
    await proxy.stall();
    client.socket.end('abc');
    await aWhile();
    expect(upstream.sockets.length).toBe(0);
    await proxy.heal();
    expect(String(await client.receives(3))).toBe('abc');
    expect(await client.closed).toBe('');
  });

  it.each(['toUpstream', 'toClient'] as const)('cuts in the middle of a body %s', async (direction) => {
    const upstream = await echoServer();
    const proxy = await proxyTo({ upstream });
    proxy.cutAfter(1_000, { direction, times: 1 });
    const cut = new Client(proxy);
    cut.socket.write(body(5_000));
    // libuv reports a reset that comes right behind data as an end.
    expect(['ECONNRESET', '']).toContain(await cut.closed);
    if (direction === 'toClient') expect(cut.received().byteLength).toBe(1_000);
    expect(upstream.received().byteLength).toBe(direction === 'toUpstream' ? 1_000 : 5_000);
    expect(proxy.snapshot()).toMatchObject({ cuts: 1 });
    expect(proxy.snapshot().passedBytes[direction]).toBe(1_000);
    const next = new Client(proxy);
    next.socket.write(body(5_000));
    await next.receives(5_000);
  });

  it('goes to the next upstream when one refuses, for each connection anew', async () => {
    const a = await echoServer();
    const b = await echoServer();
    const proxy = await proxyTo({ upstreams: [a, b] });
    const first = new Client(proxy);
    first.socket.write('1');
    await first.receives(1);
    await a.close();
    await first.closed;
    const second = new Client(proxy);
    second.socket.write('2');
    await second.receives(1);
    expect([String(a.received()), String(b.received())]).toEqual(['1', '2']);
    await b.close();
    const third = new Client(proxy);
    expect(await third.closed).toBe('ECONNRESET');
    expect(proxy.snapshot().unconnected).toBe(1);
  });

  it('passes on a reset by either side', async () => {
    const upstream = await echoServer();
    const proxy = await proxyTo({ upstream });
    const [first, second] = [new Client(proxy), new Client(proxy)];
    await until(() => upstream.sockets.length === 2);
    first.socket.resetAndDestroy();
    await until(() => upstream.sockets.some(({ destroyed }) => destroyed));
    for (const socket of upstream.sockets) if (!socket.destroyed) socket.resetAndDestroy();
    expect(await second.closed).toBe('ECONNRESET');
    await until(() => proxy.snapshot().openConnections === 0);
  });

  it('gives up an upstream that does not accept in time, by its clock', async () => {
    const clock = new VirtualClock();
    const upstream = await echoServer();
    // An address for documentation: nobody answers there, or the system says at once that it is unreachable.
    const proxy = await proxyTo({ upstreams: [{ host: '192.0.2.1', port: 9 }, upstream], clock });
    const client = new Client(proxy);
    client.socket.write('x');
    await until(() => {
      clock.advance(1_000);
      return client.received().byteLength === 1;
    });
    await proxy.stop();
    expect(clock.pendingTimers).toBe(0);
  });

  it('stops at once, with bytes waiting everywhere and peers that do not read', async () => {
    const clock = new VirtualClock();
    const upstream = await echoServer((socket) => socket.pause());
    const proxy = await proxyTo({ upstream, clock });
    const stuck = new Client(proxy);
    for (let i = 0; i < 200; i++) stuck.socket.write(Buffer.alloc(65_536));
    await aWhile();
    proxy.set({ latencyMillis: 10_000 });
    const late = new Client(proxy);
    late.socket.write('x');
    await until(() => clock.pendingTimers > 0);
    await proxy.stop();
    await Promise.all([stuck.closed, late.closed]);
    expect(clock.pendingTimers).toBe(0);
    expect(proxy.snapshot().openConnections).toBe(0);
    await upstream.close();
    await until(() => !process.getActiveResourcesInfo().some((kind) => kind.startsWith('TCP')));
  });

  it('starts again on its port, with its faults', async () => {
    const upstream = await echoServer();
    const proxy = await proxyTo({ upstream });
    const { url } = proxy;
    await proxy.stop();
    await proxy.refuse();
    await proxy.start();
    expect(await new Client(proxy).closed).toBe('ECONNREFUSED');
    await proxy.heal();
    expect(proxy.url).toBe(url);
    const client = new Client(proxy);
    client.socket.write('x');
    await client.receives(1);
  });

  it('never reorders, loses or invents a byte, however the link changes', async () => {
    const upstream = await echoServer();
    const change = fc.oneof(
      fc.record({ latencyMillis: fc.nat(4), jitterMillis: fc.nat(4) }),
      fc.record({ throttleBytesPerSecond: fc.constantFrom(0, 2_000_000, 20_000_000) }),
      fc.constantFrom('stall', 'heal'),
    );
    const steps = fc.array(fc.tuple(fc.nat(60_000), change), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(steps, async (script) => {
        const proxy = await proxyTo({ upstream });
        const client = new Client(proxy);
        const parts = script.map(([byteLength], index) => Buffer.alloc(byteLength, index + 1));
        for (const [index, [, next]] of script.entries()) {
          client.socket.write(parts[index]!);
          if (next === 'stall') await proxy.stall();
          else if (next === 'heal') await proxy.heal();
          else proxy.set(next as LinkConditions);
          await new Promise((resolve) => setImmediate(resolve));
        }
        await proxy.heal();
        const sent = Buffer.concat(parts);
        await client.receives(sent.byteLength);
        expect(client.received().equals(sent)).toBe(true);
        await proxy.stop();
      }),
      { numRuns: 25 },
    );
  });

  it('names what is wrong with its options', () => {
    expect(() => new FaultProxy({})).toThrow(ConfigurationError);
    expect(() => new FaultProxy({ upstream: { host: 'h', port: 0 } })).toThrow(/FaultProxy.upstream: expected a host/);
    expect(() => new FaultProxy({ upstreams: [] })).toThrow(ConfigurationError);
    const proxy = new FaultProxy({ upstream: { host: 'h', port: 1 } });
    expect(() => proxy.set({ latencyMillis: -1 })).toThrow(/FaultProxy.set.latencyMillis/);
    expect(() => proxy.cutAfter(Number.NaN)).toThrow(ConfigurationError);
  });
});
