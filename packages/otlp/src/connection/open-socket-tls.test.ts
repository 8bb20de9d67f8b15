import { copyFileSync, writeFileSync } from 'node:fs';
import { createServer as createTlsServer, type TLSSocket, type TlsOptions } from 'node:tls';
import { classifyFailure } from '@otel-resilience/core';
import { afterEach, describe, expect, it } from 'vitest';
import type { TlsSettings } from '../transport-options.js';
import {
  CA,
  CLIENT,
  cleanUp,
  echo,
  echoes,
  failure,
  open,
  scratchPath,
  tlsServer,
} from './open-socket.test-support.js';
import { fixture, fixturePath, listening, tcpServer, until } from './servers.test-support.js';

afterEach(cleanUp);

describe('TLS', () => {
  it('trusts the given authority, for names and for addresses', async () => {
    const { port } = await tlsServer();
    expect(await echoes(await open({ host: 'localhost', port }, { tls: CA }))).toBe(true);
    expect(await echoes(await open({ host: '127.0.0.1', port }, { tls: CA }))).toBe(true);
  });

  it('takes PEM from memory as well', async () => {
    const { host, port } = await tlsServer();
    const tls = { ca: [{ pem: fixture('other-ca.pem') }, { pem: fixture('ca.pem').toString() }] };
    expect(await echoes(await open({ host, port }, { tls }))).toBe(true);
  });

  it('a unix socket may speak TLS; its certificate is for localhost', async () => {
    const path = scratchPath('tls.sock');
    const server = createTlsServer({ cert: fixture('server.pem'), key: fixture('server-key.pem') }, echo);
    await listening(server, path);
    expect(await echoes(await open({ path }, { tls: CA }))).toBe(true);
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
    expect(await echoes(await open({ host: 'localhost', port }, { tls: { rejectUnauthorized: false } }))).toBe(true);
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
    expect(await echoes(await open(server, { tls: CLIENT }))).toBe(true);
    expect(subject).toBe('otel-resilience test client');
  });

  it('with an encrypted key too', async () => {
    const server = await tlsServer(WANTS_CLIENT);
    const key = { file: fixturePath('client-key-encrypted.pem') };
    expect(await echoes(await open(server, { tls: { ...CLIENT, key, passphrase: 'correct-horse' } }))).toBe(true);
    const error = await failure(server, { tls: { ...CLIENT, key, passphrase: 'battery-staple' } });
    expect(error.message).toContain(key.file);
    expect(error.message).not.toContain('battery');
    const without = await failure(server, { tls: { ...CLIENT, key } });
    expect(without.message).toContain(`tls.key (${key.file}) is encrypted: set tls.passphrase`);
  });

  it('reads files again for each connection: a renewed certificate is used without a restart', async () => {
    const subjects: unknown[] = [];
    const server = await tlsServer({ requestCert: true, rejectUnauthorized: false, ca: fixture('ca.pem') }, (socket) =>
      subjects.push([socket.authorized, socket.getPeerCertificate().subject.CN]),
    );
    const cert = scratchPath('cert.pem');
    const key = scratchPath('key.pem');
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
    const path = scratchPath('file.pem');
    if (contents !== null) writeFileSync(path, contents);
    const error = await failure(await tlsServer(WANTS_CLIENT), { tls: tls(path) });
    expect(error).toMatchObject({ code });
    expect(error.message).toContain(`${option} (${path})`);
    expect(String(error.stack) + JSON.stringify(error.cause)).not.toMatch(/SECRET|BEGIN/);
    expect(classifyFailure(error).failure).toBe('retryable');
  });
});
