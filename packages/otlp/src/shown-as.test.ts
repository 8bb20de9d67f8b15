import { inspect } from 'node:util';
import { SpanBatch } from '@otel-resilience/core';
import { fakeSpan } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { fixture } from './connection/servers.test-support.js';
import { OtlpSpanExporter } from './otlp-span-exporter.js';

const KEY = fixture('client-key.pem').toString();
const SECRETS = ['s3cret', 'Basic ', Buffer.from('user:s3cret').toString('base64'), KEY.split('\n')[1]!];

function exporter(protocol: 'grpc' | 'http/protobuf') {
  return new OtlpSpanExporter({
    protocol,
    url: 'https://collector.test:4317/?token=s3cret',
    headers: { authorization: 'Bearer s3cret' },
    proxy: 'http://user:s3cret@127.0.0.1:1',
    tls: { cert: fixture('client.pem').toString(), key: KEY, passphrase: 's3cret' },
    metrics: false,
  });
}

describe.each(['grpc', 'http/protobuf'] as const)('an exporter over %s', (protocol) => {
  const url = expect.stringContaining('https://collector.test:4317');
  const deep = { depth: 20, maxStringLength: null, maxArrayLength: null };
  const looks: [string, (value: unknown) => string][] = [
    ['inspect', (value) => inspect(value)],
    ['a deep inspect', (value) => inspect(value, deep)],
    ['a deep inspect with hidden fields', (value) => inspect(value, { ...deep, showHidden: true })],
    ['a deep inspect that ignores custom ones', (value) => inspect(value, { ...deep, customInspect: false })],
    ['JSON', (value) => JSON.stringify(value)],
    ['a copy', (value) => inspect({ ...(value as object) }, { ...deep, showHidden: true })],
  ];

  it.each(looks)('shows no secret in %s, after an export as well, alone or in an object', async (_, look) => {
    const shown = exporter(protocol);
    const check = () => {
      for (const text of [look(shown), look({ a: { b: [shown] } })]) {
        for (const secret of SECRETS) expect(text).not.toContain(secret);
      }
    };
    check();
    const context = { signal: new AbortController().signal, deadline: performance.now() + 1_000 };
    const exporting = shown.exportBatch(SpanBatch.fromSpans([fakeSpan()]), context);
    check();
    await exporting;
    check();
    await shown.shutdown();
    check();
  });

  it('shows what it is and where it sends', () => {
    const shown = exporter(protocol);
    expect(JSON.parse(JSON.stringify(shown))).toEqual({ protocol, url });
    expect(inspect(shown)).toMatch(/^OtlpSpanExporter \{\s+protocol: '.+',\s+url: 'https:\/\/collector\.test:4317/);
    expect(inspect({ a: { b: { c: shown } } })).toContain('[OtlpSpanExporter]');
  });
});
