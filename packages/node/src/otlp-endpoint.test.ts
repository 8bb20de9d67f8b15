import { ConfigurationError } from '@otel-resilience/core';
import { CountingReceiver, fakeSpans } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import type { OtlpEndpoint } from './otlp-endpoint.js';
import { resilience } from './resilience.js';

const make = (transport: 'otlp' | 'stock', ...endpoints: (string | OtlpEndpoint)[]) =>
  resilience({ transport, endpoints });

describe('an option that only our own transport has', () => {
  it.each<[OtlpEndpoint | string, string]>([
    [{ url: 'http://a', compression: 'gzip' }, 'resilience.endpoints[1].compression: expected nothing'],
    [{ url: 'http://a', tls: {} }, 'resilience.endpoints[1].tls: expected nothing'],
    [{ url: 'http://a', headers: () => ({}) }, 'resilience.endpoints[1].headers: expected an object'],
    ['unix:/run/otel.sock', 'resilience.endpoints[1].url: expected no unix socket'],
  ])('%j: says which transport it needs', (endpoint, message) => {
    expect(() => make('stock', 'http://b', endpoint)).toThrow(message);
    expect(() => make('stock', 'http://b', endpoint)).toThrow("set transport: 'otlp'");
  });
});

describe('options that do not go together', () => {
  it.each<[OtlpEndpoint, string]>([
    [{ url: 'http://a', tls: {} }, 'resilience.endpoints[1].tls: expected nothing'],
    [
      { url: 'http://a:4318', connections: 3, maxConcurrentExports: 4 },
      'resilience.endpoints[1].maxConcurrentExports: expected at most connections (3), over HTTP, got 4',
    ],
  ])('%j: are named as they were given', (endpoint, message) => {
    expect(() => make('otlp', 'http://b', endpoint)).toThrow(ConfigurationError);
    expect(() => make('otlp', 'http://b', endpoint)).toThrow(message);
  });
});

describe.each(['otlp', 'stock'] as const)('headers by the transport %s', (transport) => {
  it('may be a Map', async () => {
    const receiver = new CountingReceiver();
    const url = await receiver.start();
    let key: unknown;
    receiver.respond(({ headers }) => {
      key = headers['x-key'];
      return { kind: 'success' };
    });
    const r = make(transport, { url, protocol: 'grpc', headers: new Map([['x-key', 'k3y']]) });
    for (const span of fakeSpans(1)) r.sdk.spanProcessors[0]!.onEnd(span);
    await r.shutdown();
    await receiver.stop();
    expect(key).toBe('k3y');
  });
});

const WAYS = (['otlp', 'stock'] as const).flatMap((transport) =>
  (['grpc', 'http/protobuf'] as const).map((protocol) => ({ transport, protocol })),
);

describe.each(WAYS)('a server that refuses a key over $protocol by $transport', ({ transport, protocol }) => {
  it('is shown in status with its code, once, and without the key', async () => {
    const receiver = new CountingReceiver({ protocol });
    const url = await receiver.start();
    receiver.respond(({ headers }) => ({
      kind: 'error',
      status: protocol === 'grpc' ? 16 : 401,
      message: `no such key: ${headers['x-key']}`,
    }));
    const r = make(transport, { url, protocol, headers: { 'x-key': 's3cret-key' } });
    for (const span of fakeSpans(1)) r.sdk.spanProcessors[0]!.onEnd(span);
    await r.forceFlush({ timeoutMillis: 5_000 }).catch(() => {});
    const { lastFailure } = r.status().endpoints[0]!;
    expect(lastFailure?.message).toContain(protocol === 'grpc' ? '16 UNAUTHENTICATED' : '401');
    expect(lastFailure?.message.match(/\b(?:16|401)\b/g)).toHaveLength(1);
    expect(JSON.stringify(r.status())).not.toContain('s3cret-key');
    await r.shutdown();
    await receiver.stop();
  });
});

it.each(['grpc', 'http/protobuf'] as const)(
  'spans wait for headers that the server knows, over %s',
  async (protocol) => {
    const receiver = new CountingReceiver({ protocol });
    const url = await receiver.start();
    let valid = 'none yet';
    receiver.respond(({ headers }) =>
      headers['x-key'] === valid ? { kind: 'success' } : { kind: 'error', status: protocol === 'grpc' ? 16 : 401 },
    );
    const r = make('otlp', { url, protocol, headers: async () => ({ 'x-key': 'key-2' }) });
    for (const span of fakeSpans(3)) r.sdk.spanProcessors[0]!.onEnd(span);
    await r.forceFlush({ timeoutMillis: 300 }).catch(() => {});
    expect(r.status().totals).toMatchObject({ waiting: 3, dropped: {} });
    valid = 'key-2';
    await r.forceFlush({ timeoutMillis: 10_000 });
    expect(r.status().totals).toMatchObject({ delivered: 3, waiting: 0, dropped: {} });
    await r.shutdown();
    await receiver.stop();
  },
);
