import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, connect as dial, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { type ExportContext, ExportError, type ReadableSpan, SpanBatch, systemClock } from '@otel-resilience/core';
import { OtlpSpanExporter, type OtlpSpanExporterOptions } from '@otel-resilience/otlp';
import {
  CountingReceiver,
  type CountingReceiverOptions,
  FaultProxy,
  fakeSpan,
  fakeSpans,
  spanKey,
} from '@otel-resilience/testing';
import { afterEach, describe, expect, it } from 'vitest';

const PROTOCOLS = ['grpc', 'http/protobuf'] as const;
const COMPRESSIONS = ['none', 'gzip'] as const;
const KINDS = PROTOCOLS.flatMap((protocol) => COMPRESSIONS.map((compression) => ({ protocol, compression })));

const closing: Array<() => unknown> = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function open(protocol: CountingReceiverOptions['protocol'], options: CountingReceiverOptions = {}) {
  const receiver = new CountingReceiver({ protocol, ...options });
  await receiver.start();
  closing.push(() => receiver.stop());
  return receiver;
}

function exporterFor(url: string, options: OtlpSpanExporterOptions) {
  const exporter = new OtlpSpanExporter({ url, metrics: false, ...options });
  closing.push(() => exporter.shutdown({ deadline: systemClock.now() + 1_000 }));
  const abort = new AbortController();
  const context = (millis: number): ExportContext => ({ signal: abort.signal, deadline: systemClock.now() + millis });
  const send = (spans: readonly ReadableSpan[] | number, millis = 5_000) =>
    exporter.exportBatch(SpanBatch.fromSpans(typeof spans === 'number' ? fakeSpans(spans) : spans), context(millis));
  return { exporter, abort, send };
}

const missing = (receiver: CountingReceiver, spans: readonly ReadableSpan[]) =>
  spans.filter((span) => !receiver.spanIds.has(spanKey(span.spanContext()))).length;

describe.each(KINDS)('over $protocol, compression $compression', (kind) => {
  const { protocol } = kind;

  it('every span arrives once, with its content, and with headers and user agent', async () => {
    const receiver = await open(protocol, { keepSpans: true });
    const seen: Array<Readonly<Record<string, unknown>>> = [];
    receiver.respond(({ headers }) => {
      seen.push(headers);
      return { kind: 'success' };
    });
    const { send } = exporterFor(receiver.url, { ...kind, headers: { 'X-Tenant': 'blue' }, userAgent: 'shop/2.3' });
    const spans = fakeSpans(2_000);
    const halves = [spans.slice(0, 1_000), spans.slice(1_000)];
    for (const { delivered } of await Promise.all(halves.map((half) => send(half)))) expect(delivered).toBe(1_000);
    expect([missing(receiver, spans), receiver.duplicates]).toEqual([0, 0]);
    expect(receiver.spans[0]).toMatchObject({ name: spans[0]!.name, attributes: { 'http.request.method': 'GET' } });
    for (const headers of seen) {
      expect(headers['x-tenant']).toBe('blue');
      expect(headers['user-agent']).toMatch(/^shop\/2\.3 otel-resilience-otlp\/\d+\.\d+\.\d+ \(JavaScript\)/);
    }
  });

  it('a request over the server’s limit arrives in parts, and costs only what is too large by itself', async () => {
    const receiver = await open(protocol, { maxRequestBytes: 50_000 });
    const { send } = exporterFor(receiver.url, kind);
    const spans = fakeSpans(300);
    const huge = fakeSpan({ attributes: { payload: 'x'.repeat(60_000) } });
    const outcome = await send([...spans.slice(0, 100), huge, ...spans.slice(100)]);
    expect(outcome).toMatchObject({ delivered: 300, rejected: 1, dropped: {} });
    expect([missing(receiver, spans), receiver.duplicates]).toEqual([0, 0]);
  });

  it('no request is over maxRequestBytes', async () => {
    const receiver = await open(protocol);
    const sizes: number[] = [];
    receiver.respond(({ byteLength }) => {
      sizes.push(byteLength);
      return { kind: 'success' };
    });
    const { send } = exporterFor(receiver.url, { ...kind, maxRequestBytes: 20_000 });
    const spans = fakeSpans(500);
    expect(await send(spans)).toMatchObject({ delivered: 500 });
    expect(missing(receiver, spans)).toBe(0);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(20_000);
  });

  it('an empty batch is a request, and an answer', async () => {
    const receiver = await open(protocol);
    const { send } = exporterFor(receiver.url, kind);
    expect(await send(0)).toMatchObject({ delivered: 0 });
    expect(receiver.requests).toBe(1);
    await receiver.stop();
    expect(await send(0)).toMatchObject({ failure: 'retryable' });
  });
});

describe.each(PROTOCOLS)('over %s', (protocol) => {
  const isGrpc = protocol === 'grpc';
  const UNAUTHENTICATED = isGrpc ? 16 : 401;
  const UNAVAILABLE = isGrpc ? 14 : 503;
  const RESOURCE_EXHAUSTED = isGrpc ? 8 : 429;

  it('says what the server has said', async () => {
    const receiver = await open(protocol);
    receiver.script([
      { kind: 'error', status: UNAVAILABLE },
      { kind: 'error', status: UNAVAILABLE, retryAfterMillis: 3_000 },
      { kind: 'error', status: RESOURCE_EXHAUSTED, retryAfterMillis: 3_000 },
      { kind: 'error', status: isGrpc ? 3 : 400 },
      { kind: 'partialSuccess', rejectedSpans: 3, errorMessage: 'too old' },
      { kind: 'partialSuccess', rejectedSpans: 30 },
    ]);
    const { send } = exporterFor(receiver.url, { protocol });
    expect(await send(10)).toMatchObject({ failure: 'retryable', error: { code: UNAVAILABLE } });
    expect(await send(10)).toMatchObject({ failure: 'throttled', retryAfterMillis: 3_000 });
    expect(await send(10)).toMatchObject({ failure: 'throttled', retryAfterMillis: 3_000 });
    expect(await send(10)).toMatchObject({ failure: 'permanent' });
    expect(await send(10)).toMatchObject({ delivered: 7, rejected: 3 });
    expect(await send(10)).toMatchObject({ delivered: 0, rejected: 10 });
  });

  it('new headers are asked for once when the server has refused the old ones', async () => {
    const receiver = await open(protocol);
    let valid = 'Bearer 1';
    receiver.respond(({ headers }) =>
      headers.authorization === valid ? { kind: 'success' } : { kind: 'error', status: UNAUTHENTICATED },
    );
    let calls = 0;
    const headers = async () => ({ authorization: `Bearer ${++calls}` });
    const { send } = exporterFor(receiver.url, { protocol, headers });
    expect(await send(5)).toMatchObject({ delivered: 5 });
    valid = 'Bearer 2';
    const outcomes = await Promise.all([send(5), send(5), send(5)]);
    expect(outcomes.map(({ delivered }) => delivered)).toEqual([5, 5, 5]);
    expect(calls).toBe(2);
    valid = 'nobody’s';
    // Later ones may be known: the spans are kept.
    expect(await send(5)).toMatchObject({ failure: 'retryable', error: { code: UNAUTHENTICATED } });
    expect(calls).toBe(3);
  });

  it('keeps its deadline with a server that does not answer, and works again after', async () => {
    const receiver = await open(protocol);
    receiver.script([{ kind: 'never' }, { kind: 'never' }]);
    const { send } = exporterFor(receiver.url, { protocol, timeoutMillis: 400 });
    for (const millis of [200, 5_000]) {
      const startedAt = performance.now();
      expect(await send(5, millis)).toMatchObject({ failure: 'retryable', error: { code: 'DEADLINE_EXCEEDED' } });
      const took = performance.now() - startedAt;
      expect(took).toBeGreaterThanOrEqual(Math.min(millis, 400) - 5);
      expect(took).toBeLessThan(Math.min(millis, 400) + 300);
    }
    expect(await send(5)).toMatchObject({ delivered: 5 });
  });

  it('stops waiting at once when its caller does', async () => {
    const receiver = await open(protocol);
    receiver.respond({ kind: 'never' });
    const { send, abort } = exporterFor(receiver.url, { protocol });
    const outcome = send(5);
    while (receiver.requests === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    const startedAt = performance.now();
    abort.abort(new ExportError('SHUTDOWN', 'given up'));
    expect(await outcome).toMatchObject({ failure: 'shutdown', error: { message: 'given up' } });
    expect(performance.now() - startedAt).toBeLessThan(200);
  });

  it('a shutdown lets what is open end, and ends what does not', async () => {
    const receiver = await open(protocol);
    receiver.script([{ kind: 'success', delayMillis: 300 }, { kind: 'never' }]);
    const { send, exporter } = exporterFor(receiver.url, { protocol });
    const outcomes = [send(5)];
    while (receiver.requests < 1) await new Promise((resolve) => setTimeout(resolve, 5));
    outcomes.push(send(6));
    while (receiver.requests < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    const startedAt = performance.now();
    await exporter.shutdown({ deadline: systemClock.now() + 1_000 });
    expect(performance.now() - startedAt).toBeLessThan(1_200);
    const [slow, hanging] = await Promise.all(outcomes);
    expect(slow).toMatchObject({ delivered: 5 });
    expect(hanging).toMatchObject({ failure: 'shutdown' });
    expect(await send(1)).toMatchObject({ failure: 'shutdown' });
  });

  it('is back within a second when the server is', async () => {
    const receiver = await open(protocol);
    const proxy = new FaultProxy({ upstream: { host: receiver.host, port: receiver.port } });
    await proxy.start();
    closing.push(() => proxy.stop());
    const { send } = exporterFor(proxy.url, { protocol });
    expect(await send(5)).toMatchObject({ delivered: 5 });
    for (const fault of ['refuse', 'blackHole'] as const) {
      await (fault === 'refuse' ? proxy.refuse() : proxy.blackHole({ afterwards: 'silent' }));
      for (let i = 0; i < 8; i++) expect(await send(5, 250)).toMatchObject({ failure: 'retryable' });
      await proxy.heal();
      const healedAt = performance.now();
      while ((await send(5, 1_000)).delivered === 0) await new Promise((resolve) => setTimeout(resolve, 10));
      expect(performance.now() - healedAt).toBeLessThan(1_000);
    }
  });

  it('in a stock BatchSpanProcessor, a burst before the flush arrives whole', async () => {
    const receiver = await open(protocol);
    const { exporter } = exporterFor(receiver.url, { protocol });
    const processor = new BatchSpanProcessor(exporter as never, { maxQueueSize: 65_536 });
    const provider = new BasicTracerProvider({ spanProcessors: [processor] });
    const tracer = provider.getTracer('burst');
    for (let i = 0; i < 30_000; i++) tracer.startSpan(`span ${i}`).end();
    await provider.shutdown();
    expect(receiver.spanIds.size).toBe(30_000);
  });

  it('reaches a server behind a unix socket', async () => {
    const receiver = await open(protocol);
    const folder = mkdtempSync(join(tmpdir(), 'otlp-'));
    chmodSync(folder, 0o700);
    closing.push(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'otlp.sock');
    const relay = await listen(path, receiver.port);
    closing.push(() => relay.close());
    const { send } = exporterFor(`unix:${path}`, { protocol });
    expect(await send(50)).toMatchObject({ delivered: 50 });
    expect(receiver.spanIds.size).toBe(50);
  });
});

/** A unix socket that is a TCP port. */
async function listen(path: string, port: number): Promise<Server> {
  const server = createServer((socket) => {
    const upstream = dial(port, '127.0.0.1');
    socket.pipe(upstream).pipe(socket);
    for (const end of [socket, upstream]) end.on('error', () => [socket, upstream].map((one) => one.destroy()));
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return server;
}
