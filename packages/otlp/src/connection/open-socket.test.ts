import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer, type TLSSocket, type TlsOptions } from 'node:tls';
import { classifyFailure, systemClock } from '@otel-resilience/core';
import { VirtualClock } from '@otel-resilience/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ProxySettings, Target, TlsSettings } from '../transport-options.js';
import { type OpenSocketOptions, openSocket } from './open-socket.js';
import {
  closeAll,
  fixture,
  fixturePath,
  type Listening,
  listening,
  openSockets,
  tcpServer,
  until,
  unusedPort,
} from './servers.test-support.js';

let folder: string;
const opened: Socket[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'open-socket-'));
});

afterEach(async () => {
  for (const socket of opened.splice(0)) socket.destroy();
  await closeAll();
  await until(() => openSockets() === 0, 1_000);
  rmSync(folder, { recursive: true });
});

async function open(target: Target, options: Partial<OpenSocketOptions> = {}): Promise<Socket> {
  const { signal } = new AbortController();
  const socket = await openSocket(target, { connectTimeoutMillis: 2_000, signal, clock: systemClock, ...options });
  opened.push(socket);
  return socket;
}

const failure = async (target: Target, options: Partial<OpenSocketOptions> = {}) => {
  const error: Error & { code?: unknown } = await open(target, options).then(
    () => expect.fail('connected'),
    (thrown) => thrown,
  );
  return error;
};

const echo = (socket: Socket) => socket.pipe(socket);

async function expectEcho(socket: Socket): Promise<void> {
  socket.write('ping');
  const [reply] = await new Promise<Buffer[]>((resolve) => socket.once('data', (bytes: Buffer) => resolve([bytes])));
  expect(String(reply)).toBe('ping');
}

function tlsServer(options: TlsOptions = {}, onSocket: (socket: TLSSocket) => void = echo): Promise<Listening> {
  const server = createTlsServer({ cert: fixture('server.pem'), key: fixture('server-key.pem'), ...options });
  server.on('secureConnection', (socket) => {
    socket.on('error', () => {});
    onSocket(socket);
  });
  return listening(server);
}

const CA = { ca: [{ file: fixturePath('ca.pem') }] } satisfies TlsSettings;
const CLIENT = { ...CA, cert: { file: fixturePath('client.pem') }, key: { file: fixturePath('client-key.pem') } };

describe('plain', () => {
  it('connects by name and by address', async () => {
    const { host, port } = await tcpServer(echo);
    await expectEcho(await open({ host, port }));
    await expectEcho(await open({ host: 'localhost', port }));
  });

  it('connects to a unix socket', async () => {
    const path = join(folder, 'collector.sock');
    await tcpServer(echo, path);
    await expectEcho(await open({ path }));
  });

  it.each<[string, () => Promise<Target> | Target, string]>([
    ['refused', async () => ({ host: '127.0.0.1', port: await unusedPort() }), 'ECONNREFUSED'],
    [
      'refused at all addresses of a name',
      async () => ({ host: 'localhost', port: await unusedPort() }),
      'ECONNREFUSED',
    ],
    ['no such unix socket', () => ({ path: join(folder, 'none.sock') }), 'ENOENT'],
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

describe('TLS', () => {
  it('trusts the given authority, for names and for addresses', async () => {
    const { port } = await tlsServer();
    await expectEcho(await open({ host: 'localhost', port }, { tls: CA }));
    await expectEcho(await open({ host: '127.0.0.1', port }, { tls: CA }));
  });

  it('takes PEM from memory as well', async () => {
    const { host, port } = await tlsServer();
    const tls = { ca: [{ pem: fixture('other-ca.pem') }, { pem: fixture('ca.pem').toString() }] };
    await expectEcho(await open({ host, port }, { tls }));
  });

  it('a unix socket may speak TLS; its certificate is for localhost', async () => {
    const path = join(folder, 'tls.sock');
    const server = createTlsServer({ cert: fixture('server.pem'), key: fixture('server-key.pem') }, echo);
    await listening(server, path);
    await expectEcho(await open({ path }, { tls: CA }));
  });

  it('sends the server name by SNI, the given one or the host', async () => {
    const names: unknown[] = [];
    const { port } = await tlsServer({}, (socket) =>
      names.push((socket as TLSSocket & { servername: unknown }).servername),
    );
    await open({ host: 'localhost', port }, { tls: CA });
    await open({ host: '127.0.0.1', port }, { tls: { ...CA, serverName: 'collector.test' } });
    await open({ host: '127.0.0.1', port }, { tls: CA });
    await until(() => names.length === 3);
    expect(names).toEqual(['localhost', 'collector.test', false]);
  });

  it('offers the protocols asked for', async () => {
    const { port } = await tlsServer({ ALPNProtocols: ['h2', 'http/1.1'] });
    const socket = (await open({ host: 'localhost', port }, { tls: CA, alpn: ['h2'] })) as TLSSocket;
    expect(socket.alpnProtocol).toBe('h2');
  });

  it.each<[string, TlsOptions, TlsSettings, string]>([
    ['an unknown authority', {}, {}, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    ['another authority', {}, { ca: [{ pem: fixture('other-ca.pem') }] }, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    ['another name', {}, { ...CA, serverName: 'elsewhere.test' }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
    [
      'an expired certificate',
      { cert: fixture('server-expired.pem'), key: fixture('server-expired-key.pem') },
      CA,
      'CERT_HAS_EXPIRED',
    ],
    [
      'too old a version',
      { maxVersion: 'TLSv1.2' },
      { ...CA, minVersion: 'TLSv1.3' },
      'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
    ],
  ])('refuses %s: a disconnect, since certificates get renewed', async (_, server, tls, code) => {
    const { port, sockets } = await tlsServer(server);
    const error = await failure({ host: 'localhost', port }, { tls });
    expect(error).toMatchObject({ code });
    expect(classifyFailure(error).failure).toBe('retryable');
    await until(() => sockets.size === 0);
  });

  it('a server without TLS is an error, not a hang', async () => {
    const plain = await tcpServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    expect((await failure(plain, { tls: CA })).code).toMatch(/^(ERR_SSL|EPROTO)/);
  });

  it('takes any certificate when told to', async () => {
    const { port } = await tlsServer({ cert: fixture('server-expired.pem'), key: fixture('server-expired-key.pem') });
    await expectEcho(await open({ host: 'localhost', port }, { tls: { rejectUnauthorized: false } }));
  });
});

describe('mTLS', () => {
  const WANTS_CLIENT: TlsOptions = { requestCert: true, rejectUnauthorized: true, ca: fixture('ca.pem') };

  it('shows the certificate of the client', async () => {
    let subject: unknown;
    const server = await tlsServer(WANTS_CLIENT, (socket) => {
      subject = socket.getPeerCertificate().subject.CN;
      echo(socket);
    });
    await expectEcho(await open(server, { tls: CLIENT }));
    expect(subject).toBe('otel-resilience test client');
  });

  it('with an encrypted key too', async () => {
    const server = await tlsServer(WANTS_CLIENT);
    const key = { file: fixturePath('client-key-encrypted.pem') };
    await expectEcho(await open(server, { tls: { ...CLIENT, key, passphrase: 'correct-horse' } }));
    const error = await failure(server, { tls: { ...CLIENT, key, passphrase: 'battery-staple' } });
    expect(error.message).toContain(key.file);
    expect(error.message).not.toContain('battery');
  });

  it('reads files again for each connection: a renewed certificate is used without a restart', async () => {
    const subjects: unknown[] = [];
    const server = await tlsServer({ requestCert: true, rejectUnauthorized: false, ca: fixture('ca.pem') }, (socket) =>
      subjects.push([socket.authorized, socket.getPeerCertificate().subject.CN]),
    );
    const cert = join(folder, 'cert.pem');
    const key = join(folder, 'key.pem');
    const use = (name: string) => {
      copyFileSync(fixturePath(`${name}.pem`), cert);
      copyFileSync(fixturePath(`${name}-key.pem`), key);
    };
    const tls = { ...CA, cert: { file: cert }, key: { file: key } };
    use('client-expired');
    await open(server, { tls });
    use('client');
    await open(server, { tls });
    await until(() => subjects.length === 2);
    expect(subjects).toEqual([
      [false, 'otel-resilience test client-expired'],
      [true, 'otel-resilience test client'],
    ]);
  });

  it.each<[string, (path: string) => TlsSettings, string | null, string, string]>([
    ['a missing authority', (path) => ({ ca: [{ file: path }] }), null, 'tls.ca', 'ENOENT'],
    ['a garbled authority', (path) => ({ ca: [{ file: path }] }), 'SECRET', 'tls.ca', 'ERR_TLS_MATERIAL'],
    ['a missing certificate', (path) => ({ ...CLIENT, cert: { file: path } }), null, 'tls.cert', 'ENOENT'],
    [
      'a garbled certificate',
      (path) => ({ ...CLIENT, cert: { file: path } }),
      'SECRET',
      'tls.cert',
      'ERR_TLS_MATERIAL',
    ],
    ['a missing key', (path) => ({ ...CLIENT, key: { file: path } }), null, 'tls.key', 'ENOENT'],
    [
      'half a key',
      (path) => ({ ...CLIENT, key: { file: path } }),
      '-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----',
      'tls.key',
      'ERR_TLS_MATERIAL',
    ],
    [
      'the key of another certificate',
      (path) => ({ ...CLIENT, key: { file: path } }),
      fixture('server-key.pem').toString(),
      'tls.key',
      'ERR_TLS_MATERIAL',
    ],
  ])('%s is an error that names option and file, and never what is in it', async (_, tls, contents, option, code) => {
    const path = join(folder, 'file.pem');
    if (contents !== null) writeFileSync(path, contents);
    const error = await failure(await tlsServer(WANTS_CLIENT), { tls: tls(path) });
    expect(error).toMatchObject({ code });
    expect(error.message).toContain(`${option} (${path})`);
    expect(String(error.stack) + JSON.stringify(error.cause)).not.toMatch(/SECRET|BEGIN/);
    expect(classifyFailure(error).failure).toBe('retryable');
  });
});

describe('through a proxy', () => {
  const TARGET = { host: 'collector.test', port: 443 };

  /** A proxy that connects every tunnel to `upstream`. */
  async function proxyServer(upstream: { port: number }, { secure = false, early = '', name = 'server' } = {}) {
    const requests: IncomingMessage[] = [];
    const options = { cert: fixture(`${name}.pem`), key: fixture(`${name}-key.pem`) };
    const server: Server = secure ? createHttpsServer(options) : createHttpServer();
    server.on('connect', (request: IncomingMessage, socket: Socket) => {
      requests.push(request);
      const onward = connect(upstream.port, '127.0.0.1', () => {
        socket.write(`HTTP/1.1 200 Connection established\r\n\r\n${early}`);
        socket.pipe(onward).pipe(socket);
      });
      socket.on('error', () => onward.destroy()).on('close', () => onward.destroy());
      onward.on('error', () => socket.destroy()).on('close', () => socket.destroy());
    });
    const { host, port } = await listening(server);
    return { requests, settings: { target: { host, port }, secure } satisfies ProxySettings };
  }

  it('opens a tunnel to the target by name, which only the proxy resolves', async () => {
    const { settings, requests } = await proxyServer(await tcpServer(echo));
    await expectEcho(await open(TARGET, { proxy: settings }));
    expect(requests[0]!.url).toBe('collector.test:443');
    expect(requests[0]!.headers).toEqual({ host: 'collector.test:443', connection: expect.any(String) });
  });

  it('shows its authorization to the proxy alone', async () => {
    const seen: string[] = [];
    const { settings, requests } = await proxyServer(await tcpServer((s) => s.on('data', (b) => seen.push(String(b)))));
    const socket = await open(TARGET, { proxy: { ...settings, authorization: 'Basic dTpw' } });
    socket.write('hello');
    await until(() => seen.length > 0);
    expect(requests[0]!.headers['proxy-authorization']).toBe('Basic dTpw');
    expect(seen).toEqual(['hello']);
  });

  it('writes an IPv6 address in brackets', async () => {
    const { settings, requests } = await proxyServer(await tcpServer(echo));
    await open({ host: '::1', port: 4317 }, { proxy: settings });
    expect(requests[0]!.url).toBe('[::1]:4317');
  });

  it('speaks TLS with the target inside the tunnel, and checks the name of the target', async () => {
    const { settings } = await proxyServer(await tlsServer({ ALPNProtocols: ['h2'] }));
    const socket = await open(TARGET, { proxy: settings, tls: CA, alpn: ['h2'] });
    await expectEcho(socket);
    expect((socket as TLSSocket).alpnProtocol).toBe('h2');
    const error = await failure({ host: 'elsewhere.test', port: 443 }, { proxy: settings, tls: CA });
    expect(error).toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
    expect(error.message).toContain(`elsewhere.test:443 through the proxy 127.0.0.1:${settings.target.port}`);
  });

  it('speaks TLS with the proxy, and TLS with the target inside', async () => {
    const { settings } = await proxyServer(await tlsServer(), { secure: true });
    await expectEcho(await open(TARGET, { proxy: settings, tls: CA }));
    await expectEcho(await open(TARGET, { proxy: settings, tls: CLIENT }));
    const expired = await proxyServer(await tlsServer(), { secure: true, name: 'server-expired' });
    expect(await failure(TARGET, { proxy: expired.settings, tls: CA })).toMatchObject({ code: 'CERT_HAS_EXPIRED' });
    const insecure = { ...CA, rejectUnauthorized: false };
    await expectEcho(await open(TARGET, { proxy: expired.settings, tls: insecure }));
  });

  it('loses nothing that the server says at once', async () => {
    const { settings } = await proxyServer(await tcpServer(() => {}), { early: 'welcome' });
    const socket = await open(TARGET, { proxy: settings });
    const [bytes] = await new Promise<Buffer[]>((resolve) => socket.once('data', (b: Buffer) => resolve([b])));
    expect(String(bytes)).toBe('welcome');
  });

  it.each<[string, string, string]>([
    ['refuses', 'HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n', 'EPROXYREFUSED'],
    ['answers with an error and a body', 'HTTP/1.1 503 Down\r\nContent-Length: 5\r\n\r\nsorry', 'EPROXYREFUSED'],
    ['is none', 'SSH-2.0-OpenSSH_9.6\r\n', 'HPE_INVALID_CONSTANT'],
    ['says nothing and leaves', '', 'ECONNRESET'],
    ['has a head without end', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}`, 'HPE_HEADER_OVERFLOW'],
  ])('a proxy that %s: worth a retry, and no secret is told', async (_, answer, code) => {
    const proxy = await tcpServer((socket) => socket.once('data', () => socket.end(answer)));
    const authorization = 'Basic c2VjcmV0';
    const error = await failure(TARGET, { proxy: { target: proxy, secure: false, authorization } });
    expect(error).toMatchObject({ code });
    expect(error.message).not.toContain('c2VjcmV0');
    expect(classifyFailure(error).failure).toBe('retryable');
    await until(() => proxy.sockets.size === 0);
  });
});
