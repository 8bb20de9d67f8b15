import { DiagLogLevel, diag } from '@opentelemetry/api';
import { ConfigurationError, systemClock } from '@otel-resilience/core';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { OtlpSpanExporterOptions } from './options.js';
import { readSettings } from './settings.js';

const read = (options: OtlpSpanExporterOptions = {}) => readSettings('OtlpSpanExporter', options);
const warnings: string[] = [];
const SET_OUTSIDE = /^(?:OTEL_.*|(?:https?|all|no)_proxy)$/i;

beforeEach(() => {
  for (const name of Object.keys(process.env)) if (SET_OUTSIDE.test(name)) vi.stubEnv(name, undefined);
  warnings.length = 0;
  const ignore = () => {};
  const warn = (line: string) => warnings.push(line);
  const logger = { error: ignore, info: ignore, debug: ignore, verbose: ignore, warn };
  // Warnings wait for the logger of NodeSDK.
  vi.spyOn(systemClock, 'setTimeout').mockImplementation((warnNow) => {
    warnNow();
    return {};
  });
  diag.setLogger(logger, { logLevel: DiagLogLevel.ALL, suppressOverrideMessage: true });
});

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  diag.disable();
});

describe('defaults', () => {
  it('are those that the options name', () => {
    const { protocol, endpoint, transport, timeoutMillis, maxRequestBytes, maxConcurrentExports, metrics } = read();
    expect({ protocol, url: endpoint.shown, timeoutMillis, maxRequestBytes, maxConcurrentExports, metrics }).toEqual({
      protocol: 'grpc',
      url: 'http://localhost:4317',
      timeoutMillis: 10_000,
      maxRequestBytes: 4 * 1024 * 1024,
      maxConcurrentExports: 30,
      metrics: true,
    });
    expect(transport).toMatchObject({
      target: { host: 'localhost', port: 4317 },
      secure: false,
      tls: {},
      proxy: undefined,
      connections: 1,
      connectTimeoutMillis: 500,
      compression: 'none',
      gzipLevel: 1,
    });
  });

  it('of HTTP are others', () => {
    const { endpoint, transport, maxRequestBytes, maxConcurrentExports } = read({ protocol: 'http/protobuf' });
    expect(endpoint.shown).toBe('http://localhost:4318/v1/traces');
    expect(transport.connections).toBe(10);
    expect([maxRequestBytes, maxConcurrentExports]).toEqual([20 * 1024 * 1024, 10]);
  });

  it('give way to the environment, and that to code', () => {
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', 'https://a:4318');
    vi.stubEnv('OTEL_EXPORTER_OTLP_HEADERS', 'x-tenant=blue');
    vi.stubEnv('OTEL_EXPORTER_OTLP_COMPRESSION', 'gzip');
    vi.stubEnv('OTEL_EXPORTER_OTLP_TIMEOUT', '700');
    vi.stubEnv('OTEL_EXPORTER_OTLP_CERTIFICATE', '/etc/ca.pem');
    const fromEnvironment = read();
    expect(fromEnvironment).toMatchObject({
      protocol: 'http/protobuf',
      endpoint: { shown: 'https://a:4318/v1/traces', secure: true },
      transport: { compression: 'gzip', tls: { ca: [{ file: '/etc/ca.pem' }] } },
      headers: { base: { 'x-tenant': 'blue' }, headers: {} },
      timeoutMillis: 700,
    });
    expect(
      read({ url: 'https://b', protocol: 'grpc', compression: 'none', timeoutMillis: 900, tls: { ca: 'b.pem' } }),
    ).toMatchObject({
      protocol: 'grpc',
      endpoint: { shown: 'https://b' },
      transport: { compression: 'none', tls: { ca: [{ file: 'b.pem' }] } },
      timeoutMillis: 900,
    });
    expect(read({ url: 'http://b' }).transport.tls).toEqual({}); // a certificate for all is no reason not to start
  });
});

const PEM = '-----BEGIN CERTIFICATE-----\n…';
const ENCRYPTED = '-----BEGIN ENCRYPTED PRIVATE KEY-----\nhunter2';

describe('tls', () => {
  it('takes PEM as text, as bytes, or in files', () => {
    const bytes = new TextEncoder().encode(PEM);
    const { tls } = read({
      url: 'https://a',
      tls: { ca: [PEM, bytes, 'ca.pem'], cert: 'c.pem', key: bytes },
    }).transport;
    expect(tls).toMatchObject({
      ca: [{ pem: PEM }, { pem: bytes }, { file: 'ca.pem' }],
      cert: { file: 'c.pem' },
      key: { pem: bytes },
      rejectUnauthorized: true,
    });
    bytes.fill(0);
    expect((tls.key as { pem: Uint8Array }).pem[0]).not.toBe(0);
  });

  it('has a client certificate of the environment only as a pair', () => {
    vi.stubEnv('OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE', 'c.pem');
    vi.stubEnv('OTEL_EXPORTER_OTLP_CLIENT_KEY', 'k.pem');
    expect(read({ url: 'https://a' }).transport.tls).toMatchObject({ cert: { file: 'c.pem' }, key: { file: 'k.pem' } });
    const own = { cert: 'mine.pem', key: 'mine.key' };
    expect(read({ url: 'https://a', tls: own }).transport.tls).toMatchObject({ cert: { file: 'mine.pem' } });
  });
});

describe('proxy', () => {
  it('is that of the environment, of the option, or none', () => {
    vi.stubEnv('HTTPS_PROXY', 'http://me:hunter2@proxy:3128');
    const proxy = (options: OtlpSpanExporterOptions) => read(options).transport.proxy;
    expect(proxy({ url: 'https://a' })?.target).toEqual({ host: 'proxy', port: 3128 });
    expect(proxy({ url: 'https://a', proxy: 'https://other' })).toMatchObject({
      target: { host: 'other', port: 443 },
      secure: true,
    });
    expect(proxy({ url: 'https://a', proxy: false })).toBeUndefined();
    expect(proxy({ url: 'http://a' })).toBeUndefined();
    expect(proxy({ url: 'unix:/run/otel.sock', proxy: 'http://other' })).toBeUndefined();
    vi.stubEnv('NO_PROXY', 'a,b');
    expect(proxy({ url: 'https://a' })).toBeUndefined();
  });

  it.each(['localhost', '127.0.0.1', '[::1]', 'x.localhost'])('of the environment is not asked for %s', (host) => {
    vi.stubEnv('HTTP_PROXY', 'http://proxy:3128');
    expect(read({ url: `http://${host}:4317` }).transport.proxy).toBeUndefined();
    expect(read({ url: `http://${host}:4317`, proxy: 'http://proxy:3128' }).transport.proxy).toBeDefined();
  });

  it('of the environment that makes no sense is ignored with a warning that shows nothing of it', () => {
    vi.stubEnv('HTTPS_PROXY', 'socks://me:hunter2@proxy');
    expect(read({ url: 'https://a' }).transport.proxy).toBeUndefined();
    expect(warnings).toEqual([expect.stringMatching(/HTTPS_PROXY(?!.*hunter2)/)]);
  });
});

describe('a wrong option', () => {
  it.each<[OtlpSpanExporterOptions | object, string]>([
    [{ url: 'collector:4317' }, 'OtlpSpanExporter.url'],
    [{ url: 'https://me:hunter2@a' }, 'OtlpSpanExporter.url'],
    [{ protocol: 'http/json' }, 'OtlpSpanExporter.protocol'],
    [{ headers: 'authorization=hunter2' }, 'OtlpSpanExporter.headers'],
    [{ headers: { authorization: 'hunter2\n' } }, 'OtlpSpanExporter.headers.authorization'],
    [{ headers: { 'User-Agent': 'hunter2' } }, 'OtlpSpanExporter.headers'],
    [{ headers: { hunter2: 7 } }, 'OtlpSpanExporter.headers.hunter2'],
    [{ compressionLevel: 10 }, 'OtlpSpanExporter.compressionLevel'],
    [{ url: 'http://a', tls: {} }, 'OtlpSpanExporter.tls'],
    [{ url: 'https://a', tls: { cert: 'hunter2' } }, 'OtlpSpanExporter.tls.key'],
    [{ url: 'https://a', tls: { key: 'hunter2' } }, 'OtlpSpanExporter.tls.cert'],
    [{ url: 'https://a', tls: { ca: [] } }, 'OtlpSpanExporter.tls.ca'],
    [{ url: 'https://a', tls: { ca: [''] } }, 'OtlpSpanExporter.tls.ca[0]'],
    [{ url: 'https://a', tls: { passphrase: 7 } }, 'OtlpSpanExporter.tls.passphrase'],
    [{ url: 'https://a', tls: { pfx: 'x' } }, 'OtlpSpanExporter.tls.pfx'],
    [{ url: 'https://a', tls: { cert: PEM, key: ENCRYPTED } }, 'OtlpSpanExporter.tls.passphrase'],
    [
      { url: 'https://a', tls: { cert: PEM, key: '-----BEGIN RSA PRIVATE KEY-----\r\nProc-Type: 4,ENCRYPTED\r\n' } },
      'OtlpSpanExporter.tls.passphrase',
    ],
    [{ url: 'https://a', tls: { cert: PEM, key: Buffer.from(ENCRYPTED) } }, 'OtlpSpanExporter.tls.passphrase'],
    [{ proxy: 'socks://me:hunter2@a' }, 'OtlpSpanExporter.proxy'],
    [{ proxy: true }, 'OtlpSpanExporter.proxy'],
    [{ connections: 0 }, 'OtlpSpanExporter.connections'],
    [{ protocol: 'http/protobuf', connections: 3, maxConcurrentExports: 4 }, 'OtlpSpanExporter.maxConcurrentExports'],
    [{ userAgent: 'a\nb' }, 'OtlpSpanExporter.userAgent'],
    [{ retry: {} }, 'OtlpSpanExporter.retry'],
  ])('%j: names %s', (options, path) => {
    try {
      read(options as OtlpSpanExporterOptions);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigurationError);
      expect(error).toMatchObject({ path });
      if (!path.endsWith('hunter2')) expect((error as Error).message).not.toContain('hunter2');
    }
  });
});
