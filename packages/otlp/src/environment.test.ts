import { DiagLogLevel, diag } from '@opentelemetry/api';
import { ConfigurationError, systemClock } from '@otel-resilience/core';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { OtlpEnvironment } from './environment.js';

const warnings: string[] = [];

beforeEach(() => {
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
  vi.restoreAllMocks();
  diag.disable();
});

describe('OtlpEnvironment', () => {
  it('asks for nothing when nothing is set, or set to empty', () => {
    for (const env of [{}, { OTEL_EXPORTER_OTLP_ENDPOINT: ' ', OTEL_EXPORTER_OTLP_TIMEOUT: '' }]) {
      const read = new OtlpEnvironment(env);
      const { protocol, endpoint, compression, timeoutMillis, certificate, clientCertificate } = read;
      const all = [protocol, endpoint, compression, timeoutMillis, certificate, clientCertificate];
      expect(all.every((value) => value === undefined)).toBe(true);
      expect(read.headers).toEqual({});
      expect(read.endpointFor('grpc').shown).toBe('http://localhost:4317');
      expect(read.endpointFor('http/protobuf').shown).toBe('http://localhost:4318/v1/traces');
    }
  });

  it('reads what is for traces before what is for all', () => {
    const all = { PROTOCOL: 'grpc', COMPRESSION: 'none', TIMEOUT: '1', CERTIFICATE: 'all.pem' };
    const traces = { PROTOCOL: 'http/protobuf', COMPRESSION: 'gzip', TIMEOUT: '2000', CERTIFICATE: 'traces.pem' };
    const prefixed = (prefix: string, values: object) =>
      Object.fromEntries(Object.entries(values).map(([name, value]) => [`OTEL_EXPORTER_OTLP_${prefix}${name}`, value]));
    expect(new OtlpEnvironment({ ...prefixed('', all), ...prefixed('TRACES_', traces) })).toMatchObject({
      protocol: 'http/protobuf',
      compression: 'gzip',
      timeoutMillis: 2_000,
      certificate: 'traces.pem',
    });
    expect(new OtlpEnvironment(prefixed('', all))).toMatchObject({
      protocol: 'grpc',
      compression: 'none',
      timeoutMillis: 1,
    });
    expect(warnings).toEqual([]);
  });

  it.each([
    [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' }, 'http/protobuf'],
    [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'carrier-pigeon' }, undefined],
    [{ OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'pigeon', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, 'grpc'],
  ])('%j: the protocol is %s, with a warning', (env, protocol) => {
    expect(new OtlpEnvironment(env).protocol).toBe(protocol);
    expect(warnings).toEqual([expect.stringContaining('expected grpc or http/protobuf')]);
  });

  it.each([
    ['OTEL_EXPORTER_OTLP_TIMEOUT', 'soon', 'an integer of at least 1'],
    ['OTEL_EXPORTER_OTLP_TIMEOUT', '0', 'an integer of at least 1'],
    ['OTEL_EXPORTER_OTLP_COMPRESSION', 'zstd', 'one of none, gzip'],
  ])('%s=%s: is ignored with a warning, or throws when strict', (name, value, expected) => {
    const read = (env: object) => {
      const { compression, timeoutMillis } = new OtlpEnvironment({ [name]: value, ...env });
      return [compression, timeoutMillis];
    };
    expect(read({})).toEqual([undefined, undefined]);
    expect(warnings).toEqual([expect.stringContaining(`${name}: expected ${expected}, got '${value}'`)]);
    expect(() => read({ OTEL_RESILIENCE_STRICT: 'true' })).toThrow(ConfigurationError);
  });

  it('takes a client certificate and its key together, or neither', () => {
    const half = { OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: 'cert.pem' };
    expect(new OtlpEnvironment(half).clientCertificate).toBeUndefined();
    expect(warnings).toEqual([expect.stringContaining('OTEL_EXPORTER_OTLP_CLIENT_KEY beside it')]);
    const both = { ...half, OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY: 'key.pem' };
    expect(new OtlpEnvironment(both).clientCertificate).toEqual({ cert: 'cert.pem', key: 'key.pem' });
  });
});

describe('endpoints', () => {
  const ALL = 'OTEL_EXPORTER_OTLP_ENDPOINT';
  const TRACES = 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT';

  it.each([
    [{ [ALL]: 'http://a:4318' }, 'http://a:4318/v1/traces'],
    [{ [ALL]: 'http://a:4318/' }, 'http://a:4318/v1/traces'],
    [{ [ALL]: 'https://a/otlp' }, 'https://a/otlp/v1/traces'],
    [{ [ALL]: 'https://a/otlp/' }, 'https://a/otlp/v1/traces'],
    [{ [ALL]: 'http://a:4318/v1/traces' }, 'http://a:4318/v1/traces/v1/traces'],
    [{ [TRACES]: 'https://a/custom' }, 'https://a/custom'],
    [{ [TRACES]: 'https://a' }, 'https://a/'],
    [{ [TRACES]: 'https://a/custom', [ALL]: 'http://b' }, 'https://a/custom'],
    [{ [TRACES]: 'nonsense', [ALL]: 'http://b' }, 'http://b/v1/traces'],
    [{ [ALL]: 'unix:/run/otel.sock' }, 'unix:/run/otel.sock'],
  ])('HTTP, %j: %s', (env, shown) => {
    expect(new OtlpEnvironment(env).endpointFor('http/protobuf').shown).toBe(shown);
  });

  it.each([
    [{ [ALL]: 'http://a:4317' }, 'http://a:4317'],
    [{ [ALL]: 'http://a:4317/ignored' }, 'http://a:4317'],
    [{ [ALL]: 'collector:4317' }, 'https://collector:4317'],
    [{ [ALL]: 'collector:4317', OTEL_EXPORTER_OTLP_INSECURE: 'TRUE' }, 'http://collector:4317'],
    [{ [TRACES]: 'collector:4317', OTEL_EXPORTER_OTLP_TRACES_INSECURE: 'true' }, 'http://collector:4317'],
    [{ [ALL]: 'https://a:4317', OTEL_EXPORTER_OTLP_INSECURE: 'true' }, 'https://a:4317'],
    [{ [ALL]: 'unix:///run/otel.sock' }, 'unix:/run/otel.sock'],
  ])('gRPC, %j: %s', (env, shown) => {
    expect(new OtlpEnvironment(env).endpointFor('grpc').shown).toBe(shown);
  });

  it('does not show the secrets of one it cannot use', () => {
    expect(new OtlpEnvironment({ [ALL]: 'https://me:hunter2@a?key=hunter3' }).endpointFor('grpc').shown).toBe(
      'http://localhost:4317',
    );
    expect(warnings).toEqual([expect.stringMatching(/OTEL_EXPORTER_OTLP_ENDPOINT: expected an http(?!.*hunter)/)]);
  });
});

describe('headers', () => {
  const headers = (all: string, traces = '') =>
    new OtlpEnvironment({ OTEL_EXPORTER_OTLP_HEADERS: all, OTEL_EXPORTER_OTLP_TRACES_HEADERS: traces }).headers;

  it('are percent-encoded pairs, in lower case; those for traces come before the others', () => {
    expect(headers(' X-Tenant = blue%2C%20green , authorization=Basic%20YTpi== ,,empty=', 'x-tenant=red')).toEqual({
      'x-tenant': 'red',
      authorization: 'Basic YTpi==',
      empty: '',
    });
    expect(headers('cookie=a=1;b=2')).toEqual({ cookie: 'a=1;b=2' });
    expect(warnings).toEqual([]);
  });

  it.each(['hunter2', 'a=%hunter2', 'a=hunter2%0A', 'grpc-timeout=hunter2', 'hunter2-bin=1', 'hun ter2=1'])(
    '%s: left out with a warning that shows nothing of it',
    (entry) => {
      expect(headers(`good=1,${entry}`)).toEqual({ good: '1' });
      expect(warnings).toEqual([
        expect.stringMatching(/^otel-resilience: OTEL_EXPORTER_OTLP_HEADERS, entry 2: (?!.*hun)/),
      ]);
    },
  );
});
