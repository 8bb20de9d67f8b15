import { classifyFailure } from '@otel-resilience/core';
import { VirtualClock } from '@otel-resilience/testing';
import { afterEach, describe, expect, it } from 'vitest';
import type { Target } from '../transport-options.js';
import type { OpenSocketOptions } from './open-socket.js';
import { CA, cleanUp, echo, echoes, failure, open, scratchPath, tlsServer } from './open-socket.test-support.js';
import { openSockets, tcpServer, until, unusedPort } from './servers.test-support.js';

afterEach(cleanUp);

describe('plain', () => {
  it('connects by name and by address', async () => {
    const { host, port } = await tcpServer(echo);
    expect(await echoes(await open({ host, port }))).toBe(true);
    expect(await echoes(await open({ host: 'localhost', port }))).toBe(true);
  });

  it('connects to a unix socket', async () => {
    const path = scratchPath('collector.sock');
    await tcpServer(echo, path);
    expect(await echoes(await open({ path }))).toBe(true);
  });

  it.each<[string, () => Promise<Target> | Target, string]>([
    ['refused', async () => ({ host: '127.0.0.1', port: await unusedPort() }), 'ECONNREFUSED'],
    [
      'refused at all addresses of a name',
      async () => ({ host: 'localhost', port: await unusedPort() }),
      'ECONNREFUSED',
    ],
    ['no such unix socket', () => ({ path: scratchPath('none.sock') }), 'ENOENT'],
    ['no such name', () => ({ host: 'no-such-host.invalid', port: 4317 }), 'ENOTFOUND|EAI_AGAIN'],
  ])('%s: an error with the code of its cause and the place, worth a retry', async (_, target, code) => {
    const place = await target();
    const error = await failure(place);
    expect(error.code).toMatch(new RegExp(`^(${code})$`));
    expect(error.message).toContain(place.path ?? `${place.host}:${place.port}`);
    expect(error.message).toContain(error.code);
    expect(classifyFailure(error).failure).toBe('retryable');
  });

  it('sets TCP keepalive and no delay', async () => {
    const socket = await open(await tcpServer(echo), { tcpKeepaliveMillis: 45_000 });
    // Node applies them to the handle and keeps them under symbols; the system call cannot be seen from here.
    const kept = Object.getOwnPropertySymbols(socket).map((symbol) => [
      symbol.description,
      (socket as unknown as Record<symbol, unknown>)[symbol],
    ]);
    expect(Object.fromEntries(kept)).toMatchObject({
      kSetNoDelay: true,
      kSetKeepAlive: true,
      kSetKeepAliveInitialDelay: 45,
    });
  });
});

describe('deadline and abort', () => {
  it('an aborted attempt rejects with the reason and closes its socket, in every step', async () => {
    const silent = await tcpServer(() => {});
    const { host, port } = silent;
    const proxy = { target: { host, port }, secure: false };
    const target = { host: 'collector.test', port: 4317 };
    const steps: [Target, Partial<OpenSocketOptions>][] = [
      [{ host, port }, { tls: {} }],
      [target, { proxy }],
      [target, { proxy: { ...proxy, secure: true } }],
    ];
    for (const [to, options] of steps) {
      const controller = new AbortController();
      const before = silent.accepted();
      const opening = failure(to, { ...options, signal: controller.signal });
      await until(() => silent.accepted() > before);
      const reason = new Error('nobody waits');
      controller.abort(reason);
      expect(await opening).toBe(reason);
      await until(() => openSockets() === silent.sockets.size);
      for (const socket of silent.sockets) socket.destroy();
    }
  });

  it('one that is aborted already opens nothing', async () => {
    const server = await tcpServer(echo);
    const error = await failure(server, { signal: AbortSignal.abort(new Error('too late')) });
    expect(error.message).toBe('too late');
    expect(openSockets()).toBe(0);
  });

  it('each step has the timeout for itself, and the step that took longer is named', async () => {
    const clock = new VirtualClock();
    const { host, port, accepted, sockets } = await tcpServer(() => {});
    const opening = failure({ host, port }, { clock, tls: {}, connectTimeoutMillis: 500 });
    await until(() => accepted() === 1);
    await until(() => clock.pendingTimers === 1);
    await new Promise((resolve) => setTimeout(resolve, 20)); // the client learns of the connection
    await clock.advance(499);
    expect(sockets.size).toBe(1);
    await clock.advance(1);
    const error = await opening;
    expect(error).toMatchObject({ code: 'ETIMEDOUT' });
    expect(error.message).toBe(`cannot connect to ${host}:${port}: TLS took longer than 500 ms`);
    expect(clock.pendingTimers).toBe(0);
  });

  it('leaves no timer and no listener behind', async () => {
    const clock = new VirtualClock();
    const server = await tlsServer();
    const { signal } = new AbortController();
    let listeners = 0;
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      listeners++;
      addEventListener.apply(signal, args);
    };
    signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
      listeners--;
      removeEventListener.apply(signal, args);
    };
    const socket = await open(server, { clock, tls: CA, signal });
    expect(clock.pendingTimers).toBe(0);
    expect(listeners).toBe(0);
    expect(socket.listenerCount('secureConnect')).toBe(0);
  });
});
