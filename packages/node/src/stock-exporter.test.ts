import { inspect } from 'node:util';
import { describeError, type ExportContext, SpanBatch, systemClock } from '@otel-resilience/core';
import { CountingReceiver, fakeSpan, fakeSpans } from '@otel-resilience/testing';
import { describe, expect, it, vi } from 'vitest';
import { stockExporter } from './stock-exporter.js';

const context = (): ExportContext => ({ signal: new AbortController().signal, deadline: systemClock.now() + 5_000 });

describe.each(['grpc', 'http/protobuf'] as const)('the stock exporter over %s', (protocol) => {
  it('takes several exports before it is loaded, and closes what it has loaded', async () => {
    const receiver = new CountingReceiver({ protocol });
    await receiver.start();
    const exporter = stockExporter({ url: receiver.tracesUrl, headers: {}, protocol, clock: undefined });
    const batches = fakeSpans(3).map((span) => SpanBatch.fromSpans([span]));
    const outcomes = await Promise.all(batches.map((batch) => exporter.exportBatch(batch, context())));
    expect(outcomes.map(({ delivered }) => delivered)).toEqual([1, 1, 1]);
    await exporter.shutdown();
    expect(await exporter.exportBatch(SpanBatch.fromSpans(fakeSpans(1)), context())).toMatchObject({
      failure: 'shutdown',
    });
    expect(receiver.spanIds.size).toBe(3);
    await receiver.stop();
  });

  it('finds a span that it cannot encode, though that is its very first', async () => {
    const receiver = new CountingReceiver({ protocol });
    await receiver.start();
    const exporter = stockExporter({ url: receiver.tracesUrl, headers: {}, protocol, clock: undefined });
    const bad = { ...fakeSpan(), links: [{ context: undefined as never }] };
    const batch = () => SpanBatch.fromSpans([...fakeSpans(3), bad]);
    const first = await exporter.exportBatch(batch(), context());
    const second = first.remaining ? await exporter.exportBatch(first.remaining, context()) : first;
    expect(second).toMatchObject({ delivered: 3, rejected: 1 });
    await exporter.shutdown();
    await receiver.stop();
  });

  it('repeats nothing that a server has repeated', async () => {
    vi.stubEnv('OTEL_EXPORTER_OTLP_HEADERS', 'x-env=env-s3cret');
    const receiver = new CountingReceiver({ protocol });
    await receiver.start();
    receiver.respond(({ headers }) => {
      const message = `got ${headers['x-key']} ${headers['x-env']}`;
      return { kind: 'error', status: protocol === 'grpc' ? 7 : 403, message };
    });
    const headers = { 'x-key': 'stat1c-key' };
    const exporter = stockExporter({ url: receiver.tracesUrl, headers, protocol, clock: undefined });
    const { error } = await exporter.exportBatch(SpanBatch.fromSpans(fakeSpans(1)), context());
    const shown = inspect(error, { showHidden: true });
    expect(shown).toMatch(/got \*\*\* \*\*\*/);
    expect(shown).not.toMatch(/stat1c-key|env-s3cret/);
    await exporter.shutdown();
    await receiver.stop();
    vi.unstubAllEnvs();
  });

  it('says what is perhaps wrong at the port of the other protocol, or at one without TLS', async () => {
    const other = protocol === 'grpc' ? 'http/protobuf' : 'grpc';
    for (const [receiver, scheme, reason] of [
      [new CountingReceiver({ protocol: other }), 'http', `set protocol: '${other}'`],
      [new CountingReceiver({ protocol }), 'https', 'perhaps the port has no TLS: use http://'],
    ] as const) {
      await receiver.start();
      const url = receiver.url.replace('http://127.0.0.1', `${scheme}://localhost`);
      const exporter = stockExporter({ url, headers: {}, protocol, clock: undefined });
      const { failure, error } = await exporter.exportBatch(SpanBatch.fromSpans(fakeSpans(1)), context());
      expect(failure).toBe('retryable');
      expect(describeError(error!)).toContain(reason);
      await exporter.shutdown();
      await receiver.stop();
    }
  });

  it('has nothing to close when it was never used', async () => {
    await stockExporter({ url: 'http://127.0.0.1:1', headers: {}, protocol, clock: undefined }).shutdown();
  });
});

describe('the stock exporter', () => {
  it('fails, and tries again, when its package is not there', async () => {
    vi.doMock('@opentelemetry/exporter-trace-otlp-proto', () => {
      throw Object.assign(new Error("Cannot find package '@opentelemetry/exporter-trace-otlp-proto'"), {
        code: 'ERR_MODULE_NOT_FOUND',
      });
    });
    const exporter = stockExporter({
      url: 'http://127.0.0.1:1',
      headers: {},
      protocol: 'http/protobuf',
      clock: undefined,
    });
    for (let i = 0; i < 2; i++) {
      const outcome = await exporter.exportBatch(SpanBatch.fromSpans(fakeSpans(2)), context());
      expect(outcome).toMatchObject({ failure: 'retryable', remaining: { spanCount: 2 } });
      expect(outcome.error?.message).toMatch(/./);
    }
    await exporter.shutdown();
    vi.doUnmock('@opentelemetry/exporter-trace-otlp-proto');
  });

  it('is not needed, nor is any package of it, where the transport is ours', async () => {
    const packages = [
      'exporter-trace-otlp-grpc',
      'exporter-trace-otlp-proto',
      'otlp-grpc-exporter-base',
      'otlp-transformer',
    ];
    vi.resetModules();
    for (const name of packages) {
      vi.doMock(`@opentelemetry/${name}`, () => {
        throw new Error(`@opentelemetry/${name} has been loaded`);
      });
    }
    const { resilience } = await import('./index.js');
    const receiver = new CountingReceiver();
    const r = resilience({ transport: 'otlp', endpoints: [await receiver.start()] });
    for (const span of fakeSpans(5)) r.sdk.spanProcessors[0]!.onEnd(span);
    await r.shutdown();
    expect(receiver.spanIds.size).toBe(5);
    await receiver.stop();
    for (const name of packages) vi.doUnmock(`@opentelemetry/${name}`);
  });
});
