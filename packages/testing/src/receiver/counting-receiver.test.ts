import { gzipSync } from 'node:zlib';
import { createTraceState } from '@opentelemetry/api';
import { OTLPTraceExporter as GrpcExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { OTLPTraceExporter as HttpExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { JsonTraceSerializer, ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import type { ReadableSpan as StockSpan } from '@opentelemetry/sdk-trace-base';
import { ConfigurationError, type ReadableSpan } from '@otel-resilience/core';
import { afterEach, describe, expect, it } from 'vitest';
import { fakeSpan, fakeSpans } from '../fake-span.js';
import { VirtualClock } from '../virtual-clock.js';
import { CountingReceiver, type CountingReceiverOptions } from './counting-receiver.js';
import { spanKey } from './decode-request.js';

type Result = { code: number; error?: Error & { code?: number | string; metadata?: { get(name: string): unknown[] } } };

const toClose: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of toClose.splice(0).reverse()) await close();
});

async function started(options: CountingReceiverOptions): Promise<CountingReceiver> {
  const receiver = new CountingReceiver(options);
  toClose.push(() => receiver.stop());
  await receiver.start();
  return receiver;
}

/** Sends through the stock exporter of the receiver's protocol. */
function stockSender({ protocol, tracesUrl }: CountingReceiver, options: object = {}) {
  const exporter = new (protocol === 'grpc' ? GrpcExporter : HttpExporter)({ url: tracesUrl, ...options });
  toClose.push(() => exporter.shutdown());
  return (spans: readonly ReadableSpan[]) =>
    new Promise<Result>((resolve) => exporter.export(spans as unknown as StockSpan[], resolve));
}

const encoded = (spans: readonly ReadableSpan[]): Buffer<ArrayBuffer> =>
  Buffer.from(ProtobufTraceSerializer.serializeRequest(spans as unknown as StockSpan[])!);

function post(url: string, body: Uint8Array<ArrayBuffer> | string, headers: Record<string, string> = {}) {
  return fetch(url, { method: 'POST', body, headers: { 'content-type': 'application/x-protobuf', ...headers } });
}

const keysOf = (spans: readonly ReadableSpan[]) => spans.map((span) => spanKey(span.spanContext()));

describe.each(['grpc', 'http/protobuf'] as const)('CountingReceiver over %s', (protocol) => {
  const failure = protocol === 'grpc' ? 3 : 400; // one that no stock exporter retries

  it('receives exactly the ids that a stock exporter sent, compressed or not', async () => {
    const receiver = await started({ protocol });
    const spans = fakeSpans(200);
    expect(await stockSender(receiver)(spans)).toEqual({ code: 0 });
    expect(await stockSender(receiver, { compression: 'gzip' })(spans.slice(0, 10))).toEqual({ code: 0 });
    expect([...receiver.spanIds].sort()).toEqual(keysOf(spans).sort());
    expect(receiver.snapshot()).toEqual({
      requests: 2,
      receivedSpans: 210,
      uniqueSpans: 200,
      duplicates: 10,
      refusedSpans: 0,
      malformedRequests: 0,
    });
    expect(receiver.log.map(({ spanCount }) => spanCount)).toEqual([200, 10]);
  });

  it('keeps whole spans when asked', async () => {
    const receiver = await started({ protocol, keepSpans: true });
    await stockSender(receiver)([fakeSpan({ name: 'GET /', serviceName: 'shop', attributes: { a: [1, 2] } })]);
    expect(receiver.spans).toMatchObject([
      { name: 'GET /', attributes: { a: [1, 2] }, resource: { attributes: { 'service.name': 'shop' } } },
    ]);
  });

  it('keeps outlines when asked, no more than it may', async () => {
    const receiver = await started({ protocol, keepOutlines: true, maxKeptSpans: 2 });
    const traceState = createTraceState('ot=th:c');
    const span = fakeSpan({ isError: true, parentSpanId: '00f067aa0ba902b7', traceState, durationMillis: 7.5 });
    await stockSender(receiver)([span, ...fakeSpans(4)]);
    const { traceId, spanId } = span.spanContext();
    const outline = { traceId, spanId, parentSpanId: '00f067aa0ba902b7', traceState: 'ot=th:c', statusCode: 2 };
    expect(receiver.outlines).toMatchObject([
      { ...outline, durationMillis: 7.5 },
      { traceState: '', parentSpanId: '' },
    ]);
    expect(receiver.snapshot()).toMatchObject({ receivedSpans: 5, uniqueSpans: 5 });
    expect(receiver.spans).toEqual([]);
  });

  it('follows its script, then answers as it stands', async () => {
    const receiver = await started({ protocol });
    const send = stockSender(receiver);
    receiver.script([{ kind: 'error', status: failure, message: 'not today' }, { kind: 'success' }]);
    receiver.respond(({ index, spanCount }) => ({ kind: 'error', status: failure, message: `${index}: ${spanCount}` }));
    const results = [await send(fakeSpans(1)), await send(fakeSpans(2)), await send(fakeSpans(3))];
    expect(results.map(({ code, error }) => error?.code ?? code)).toEqual([failure, 0, failure]);
    receiver.respond();
    expect(await send(fakeSpans(4))).toEqual({ code: 0 });
    expect(receiver.snapshot()).toMatchObject({ requests: 4, receivedSpans: 6, refusedSpans: 4 });
  });

  it('counts what it took and did not acknowledge', async () => {
    const receiver = await started({ protocol });
    receiver.respond({ kind: 'error', status: failure, received: true });
    expect(await stockSender(receiver)(fakeSpans(5))).toMatchObject({ code: 1, error: { code: failure } });
    expect(receiver.snapshot()).toMatchObject({ receivedSpans: 5, refusedSpans: 0 });
  });

  it('takes a part and says so', async () => {
    const receiver = await started({ protocol });
    const spans = fakeSpans(5);
    receiver.respond({ kind: 'partialSuccess', rejectedSpans: 2, errorMessage: 'too old' });
    expect(await stockSender(receiver)(spans)).toMatchObject({ code: 0 });
    expect([...receiver.spanIds]).toEqual(keysOf(spans.slice(0, 3)));
    expect(receiver.snapshot()).toMatchObject({ receivedSpans: 3, refusedSpans: 2 });
  });

  it('never answers, and leaves no request, timer or socket behind when it is stopped', async () => {
    const clock = new VirtualClock();
    const receiver = await started({ protocol, clock });
    receiver.script([
      { kind: 'never', received: true },
      { kind: 'success', delayMillis: 60_000 },
    ]);
    const send = stockSender(receiver, { timeoutMillis: 400 });
    const results = Promise.all([send(fakeSpans(1)), send(fakeSpans(2))]);
    await receiver.waitForSpans(2);
    expect(clock.pendingTimers).toBe(1);
    await receiver.stop();
    expect(clock.pendingTimers).toBe(0);
    expect((await results).map(({ code }) => code)).toEqual([1, 1]);
    await until(() => !process.getActiveResourcesInfo().includes('TCPServerWrap'));
  });

  it('answers late, by its clock', async () => {
    const clock = new VirtualClock();
    const receiver = await started({ protocol, clock });
    receiver.respond({ kind: 'success', delayMillis: 5_000 });
    let result: Result | undefined;
    stockSender(receiver)(fakeSpans(1)).then((answer) => {
      result = answer;
    });
    await receiver.waitForSpans(1);
    await clock.advance(4_999);
    expect(result).toBeUndefined();
    await clock.advance(1);
    await until(() => result !== undefined);
    expect(result).toEqual({ code: 0 });
  });

  it('resets the connection instead of answering', async () => {
    const receiver = await started({ protocol });
    const send = stockSender(receiver, { timeoutMillis: 200 });
    receiver.respond({ kind: 'reset', received: true }); // at every attempt: the stock HTTP exporter retries
    expect(await send(fakeSpans(2))).toMatchObject({ code: 1 });
    expect(receiver.openConnections).toBe(0);
    receiver.respond();
    expect(await send(fakeSpans(3))).toEqual({ code: 0 });
  });

  it('closes the connection behind its answer', async () => {
    const receiver = await started({ protocol });
    const send = stockSender(receiver);
    receiver.script([
      { kind: 'success', thenClose: true },
      { kind: 'error', status: failure, thenClose: true },
    ]);
    expect(await send(fakeSpans(1))).toEqual({ code: 0 });
    await until(() => receiver.openConnections === 0);
    expect(await send(fakeSpans(1))).toMatchObject({ error: { code: failure } });
    await until(() => receiver.openConnections === 0);
    expect(await send(fakeSpans(1))).toEqual({ code: 0 });
  });

  it('refuses a request that is too large, and lives', async () => {
    const receiver = await started({ protocol, maxRequestBytes: 20_000 });
    for (const compression of ['gzip', 'none']) {
      const send = stockSender(receiver, { compression });
      expect(await send(fakeSpans(2_000))).toMatchObject({ error: { code: protocol === 'grpc' ? 8 : 413 } });
      expect(await send(fakeSpans(2))).toEqual({ code: 0 });
    }
    expect(receiver.snapshot()).toMatchObject({ receivedSpans: 4 });
  });

  it('comes back on its port, with its counts', async () => {
    const receiver = await started({ protocol });
    const { url } = receiver;
    await stockSender(receiver)(fakeSpans(1));
    await receiver.stop();
    expect(await stockSender(receiver, { timeoutMillis: 200 })(fakeSpans(2))).toMatchObject({ code: 1 });
    expect(await Promise.all([receiver.start(), receiver.start()])).toEqual([url, url]);
    await stockSender(receiver)(fakeSpans(2));
    expect(receiver.spanIds.size).toBe(2);
    receiver.clear();
    expect([receiver.spanIds.size, receiver.requests, receiver.log.length]).toEqual([0, 0, 0]);
  });
});

describe('CountingReceiver', () => {
  it('says over gRPC how long to wait, as google.rpc.RetryInfo', async () => {
    const receiver = await started({ protocol: 'grpc' });
    const headers = { 'x-shard': '7', 'extra-bin': Buffer.from([1, 2]).toString('base64') };
    receiver.respond({ kind: 'error', status: 8, message: 'slow', retryAfterMillis: 1_500, headers });
    const { error } = await stockSender(receiver)(fakeSpans(1));
    expect(error).toMatchObject({ code: 8, details: 'slow' });
    expect(error!.metadata!.get('x-shard')).toEqual(['7']);
    expect(error!.metadata!.get('extra-bin')).toEqual([Buffer.from([1, 2])]);
    const [details] = error!.metadata!.get('grpc-status-details-bin') as Buffer[];
    // Status{code:8, message:"slow", details:[Any{RetryInfo{retry_delay{seconds:1, nanos:500000000}}}]}, by hand
    const any = `0a28${Buffer.from('type.googleapis.com/google.rpc.RetryInfo').toString('hex')}120a0a0808011080cab5ee01`;
    expect(details!.toString('hex')).toBe(`08081204${Buffer.from('slow').toString('hex')}1a36${any}`);
  });

  it('says over HTTP how long to wait, or whatever a server may say', async () => {
    const receiver = await started({ protocol: 'http/protobuf' });
    receiver.script([
      { kind: 'error', status: 503, retryAfterMillis: 1_200, message: 'busy' },
      { kind: 'error', status: 429, headers: { 'retry-after': 'soon' } },
    ]);
    const [first, second] = [await post(receiver.tracesUrl, ''), await post(receiver.tracesUrl, '')];
    expect([first.status, first.headers.get('retry-after'), await first.text()]).toEqual([503, '2', 'busy']);
    expect([second.status, second.headers.get('retry-after')]).toEqual([429, 'soon']);
  });

  it('resets the connection of that request only', async () => {
    const receiver = await started({ protocol: 'http/protobuf' });
    receiver.script([{ kind: 'success', delayMillis: 100 }, { kind: 'reset' }]);
    const bystander = post(receiver.tracesUrl, encoded(fakeSpans(1)));
    await receiver.waitForSpans(1);
    await expect(post(receiver.tracesUrl, encoded(fakeSpans(2)))).rejects.toThrow('fetch failed');
    expect((await bystander).status).toBe(200);
  });

  it('answers what is no OTLP as the Collector does', async () => {
    const receiver = await started({ protocol: 'http/protobuf' });
    const { url, tracesUrl } = receiver;
    const body = encoded(fakeSpans(3));
    const statuses = await Promise.all([
      fetch(tracesUrl),
      post(`${url}/v1/metrics`, body),
      post(tracesUrl, body, { 'content-type': 'text/plain' }),
      post(tracesUrl, body.subarray(0, 100)),
      post(tracesUrl, body, { 'content-encoding': 'gzip' }),
      post(tracesUrl, body, { 'content-encoding': 'br' }),
      post(tracesUrl, gzipSync(body), { 'content-encoding': 'gzip' }),
    ]);
    expect(statuses.map(({ status }) => status)).toEqual([405, 404, 415, 400, 400, 400, 200]);
    expect(receiver.snapshot()).toMatchObject({ receivedSpans: 3, malformedRequests: 1 });
  });

  it('takes JSON and answers in JSON', async () => {
    const receiver = await started({ protocol: 'http/protobuf' });
    const spans = fakeSpans(4);
    receiver.respond({ kind: 'partialSuccess', rejectedSpans: 1, errorMessage: 'one' });
    const body = new TextDecoder().decode(JsonTraceSerializer.serializeRequest(spans as unknown as StockSpan[])!);
    const response = await post(receiver.tracesUrl, body, { 'content-type': 'application/json' });
    expect(await response.json()).toEqual({ partialSuccess: { rejectedSpans: 1, errorMessage: 'one' } });
    expect([...receiver.spanIds]).toEqual(keysOf(spans.slice(0, 3)));
  });

  it('remembers the latest requests only', async () => {
    const receiver = await started({ protocol: 'http/protobuf', maxLoggedRequests: 2 });
    for (let i = 0; i < 4; i++) await post(receiver.tracesUrl, encoded(fakeSpans(i)));
    expect(receiver.log.map(({ index, spanCount }) => [index, spanCount])).toEqual([
      [2, 2],
      [3, 3],
    ]);
  });

  it('gives up waiting for spans that do not come', async () => {
    const clock = new VirtualClock();
    const waiting = new CountingReceiver({ clock }).waitForSpans(3, 1_000);
    const outcome = expect(waiting).rejects.toThrow('0 of 3 spans received within 1000 ms');
    await clock.advance(1_000);
    await outcome;
  });

  it('names a wrong option or answer, and survives an answering function that throws', async () => {
    expect(() => new CountingReceiver({ protocol: 'http' as 'grpc' })).toThrow(ConfigurationError);
    expect(() => new CountingReceiver({ keepSpans: true, keepOutlines: true })).toThrow(/either/);
    expect(() => new CountingReceiver({ prot: 'grpc' } as object)).toThrow(/CountingReceiver.prot/);
    const receiver = await started({ protocol: 'http/protobuf' });
    expect(() => receiver.script([{ kind: 'sucess' } as never])).toThrow(
      /CountingReceiver.script\[0\].*success.*sucess/,
    );
    receiver.respond(() => {
      throw new Error('oops');
    });
    const response = await post(receiver.tracesUrl, encoded(fakeSpans(1)));
    expect([response.status, await response.text()]).toEqual([500, 'respond: Error: oops']);
  });

  it('rejects its start when the port is taken, and may be started again', async () => {
    const first = await started({ protocol: 'grpc' });
    const second = new CountingReceiver({ protocol: 'http/protobuf', port: first.port });
    toClose.push(() => second.stop());
    await expect(second.start()).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await first.stop();
    expect(await second.start()).toBe(first.url);
  });
});

async function until(condition: () => boolean, timeoutMillis = 3_000): Promise<void> {
  const deadline = performance.now() + timeoutMillis;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMillis} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
