import { setTimeout as wait } from 'node:timers/promises';
import { OTLPTraceExporter as GrpcTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import {
  adaptSpanExporter,
  type ReadableSpan,
  SpanBatch,
  type SpanBatchExporter,
  systemClock,
} from '@otel-resilience/core';
import { OtlpSpanExporter } from '@otel-resilience/otlp';
import { CountingReceiver, type ErrorAnswer, fakeSpans } from '@otel-resilience/testing';
import { afterEach, expect, it, vi } from 'vitest';
import { describeWithPeer } from '../peer.js';
import type { CollectorSettings } from './collector-config.js';
import type { CollectorProcess, Protocol } from './collector-process.js';
import { useCollectors } from './fixtures.js';

const UNAVAILABLE = 14;
const RESOURCE_EXHAUSTED = 8;
const INVALID_ARGUMENT = 3;
const INTERNAL = 13;

const error = (status: number, retryAfterMillis?: number): ErrorAnswer => ({
  kind: 'error',
  status,
  message: 'no',
  ...(retryAfterMillis !== undefined && { retryAfterMillis }),
});

describeWithPeer('collector', 'what a real Collector answers, and what we read from it', (binary) => {
  const openCollector = useCollectors(binary);
  const backend = new CountingReceiver();
  afterEach(() => {
    vi.unstubAllEnvs();
    return backend.stop();
  });

  it('takes spans over both protocols', async () => {
    const collector = await openCollector();
    const delivered = 'delivered 3, rejected 0';
    expect(await answers(collector, small)).toEqual({ grpc: delivered, http: delivered, stock: delivered });
  });

  it('memory_limiter at its limit: retryable', async () => {
    const collector = await openCollector({ memoryLimitMib: 1 });
    await collector.logged('Refusing data');
    expect(await answers(collector, small)).toEqual({
      grpc: `retryable: ${UNAVAILABLE}, data refused due to high memory usage`,
      http: 'retryable: 503, data refused due to high memory usage',
      stock: `retryable: ${UNAVAILABLE}, data refused due to high memory usage`,
    });
    expect(collector.spans().spans).toEqual([]);
  });

  it('a request over the limit of the receiver: split by ours, permanent for others', async () => {
    const collector = await openCollector({ maxRequestMib: 1 });
    expect(await answers(collector, large)).toEqual({
      grpc: 'delivered 20, rejected 0',
      http: 'delivered 20, rejected 0',
      stock: expect.stringMatching(/^permanent: 8, grpc: received message larger than max \(\d+ vs. 1048576\)$/),
    });
    expect(await answers(collector, tooLarge)).toEqual({
      grpc: 'delivered 2, rejected 1',
      http: 'delivered 2, rejected 1',
      stock: expect.stringMatching(/^permanent: 8, /),
    });
  });

  it('a request over the limit of the receiver, compressed well below it: the same', async () => {
    const collector = await openCollector({ maxRequestMib: 1 });
    vi.stubEnv('OTEL_EXPORTER_OTLP_COMPRESSION', 'gzip');
    expect(await answers(collector, tooLarge)).toEqual({
      grpc: 'delivered 2, rejected 1',
      http: 'delivered 2, rejected 1',
      stock: 'permanent: 8, grpc: received message after decompression larger than max 1048576',
    });
  });

  it('no one there any more, with requests open: retryable', async () => {
    const collector = await openCollector();
    await collector.signal('SIGSTOP');
    const open = answers(collector, small);
    await wait(300);
    await collector.signal('SIGKILL');
    expect(await open).toEqual({
      grpc: expect.stringMatching(/^retryable: /),
      http: expect.stringMatching(/^retryable: ECONN/),
      stock: expect.stringMatching(/^retryable: 14, /),
    });
  });

  it('the port of the other protocol: retryable, since another endpoint, or the next configuration, may be right', async () => {
    const collector = await openCollector();
    const grpc = await answerOf(ours('grpc', collector.urlOf('http/protobuf')), small());
    const http = await answerOf(ours('http/protobuf', collector.urlOf('grpc')), small());
    expect({ grpc, http }).toEqual({ grpc: 'retryable: ERR_HTTP2_ERROR', http: 'retryable: HPE_INVALID_CONSTANT' });
  });

  // A Collector passes on what its own backend answered, in its own words.
  it.each<[string, ErrorAnswer, { grpc: RegExp; http: RegExp }]>([
    ['UNAVAILABLE', error(UNAVAILABLE), { grpc: /^retryable: 14, /, http: /^retryable: 503, / }],
    [
      'UNAVAILABLE with RetryInfo',
      error(UNAVAILABLE, 2_500),
      { grpc: /^throttled for 2500 ms: 14, /, http: /^throttled for 2000 ms: 503, / },
    ],
    [
      'RESOURCE_EXHAUSTED with RetryInfo',
      error(RESOURCE_EXHAUSTED, 2_500),
      { grpc: /^throttled for 2500 ms: 8, /, http: /^throttled for 2000 ms: 429, / },
    ],
    [
      'RESOURCE_EXHAUSTED with a RetryInfo of less than a second, which becomes `Retry-After: 0`',
      error(RESOURCE_EXHAUSTED, 300),
      { grpc: /^throttled for 300 ms: 8, /, http: /^throttled for 1 ms: 429, / },
    ],
    [
      'RESOURCE_EXHAUSTED alone, which over HTTP looks like any 429',
      error(RESOURCE_EXHAUSTED),
      { grpc: /^permanent: 8, Permanent error: /, http: /^throttled: 429, / },
    ],
    ['INVALID_ARGUMENT', error(INVALID_ARGUMENT), { grpc: /^permanent: 3, /, http: /^permanent: 400, / }],
    ['INTERNAL', error(INTERNAL), { grpc: /^permanent: 13, /, http: /^permanent: 500, / }],
  ])('its backend says %s', async (_, answer, { grpc, http }) => {
    await backend.start();
    backend.respond(answer);
    const collector = await openCollector({ forwardTo: `${backend.host}:${backend.port}` } satisfies CollectorSettings);
    expect(await answers(collector, small)).toEqual({
      grpc: expect.stringMatching(grpc),
      http: expect.stringMatching(http),
      stock: expect.stringMatching(grpc),
    });
  });

  it('its backend is away: retryable', async () => {
    await backend.start();
    await backend.stop();
    const collector = await openCollector({ forwardTo: `${backend.host}:${backend.port}` });
    expect(await answers(collector, small)).toEqual({
      grpc: expect.stringMatching(/^retryable: 14, connection error: /),
      http: expect.stringMatching(/^retryable: 503, /),
      stock: expect.stringMatching(/^retryable: 14, connection error: /),
    });
  });
});

const small = () => fakeSpans(3);
const large = () => fakeSpans(20, { attributes: { payload: 'x'.repeat(64 * 1024) } });

const tooLarge = () =>
  fakeSpans(3, (index) => ({ attributes: { payload: 'x'.repeat(index === 1 ? 1_100 * 1024 : 10) } }));

/** What becomes of one export over each protocol, and over gRPC by the stock exporter. */
async function answers(collector: CollectorProcess, spans: typeof small) {
  const [grpc, http, stock] = await Promise.all([
    answerOf(ours('grpc', collector.urlOf('grpc')), spans()),
    answerOf(ours('http/protobuf', collector.urlOf('http/protobuf')), spans()),
    answerOf(adaptSpanExporter(new GrpcTraceExporter({ url: collector.urlOf('grpc') })), spans()),
  ]);
  return { grpc, http, stock };
}

const ours = (protocol: Protocol, url: string) => new OtlpSpanExporter({ protocol, url, metrics: false });

/** In a line: the failure, the code that it came with, and what the server says beside. */
async function answerOf(exporter: SpanBatchExporter, spans: ReadableSpan[]): Promise<string> {
  const context = { signal: new AbortController().signal, deadline: systemClock.now() + 10_000 };
  const outcome = await exporter.exportBatch(SpanBatch.fromSpans(spans), context);
  await exporter.shutdown();
  if (!outcome.remaining) return `delivered ${outcome.delivered}, rejected ${outcome.rejected}`;
  const { code, details } = outcome.error as { code?: unknown; details?: string };
  const { retryAfterMillis } = outcome;
  const hint = retryAfterMillis === undefined ? '' : ` for ${Math.round(retryAfterMillis)} ms`;
  return `${outcome.failure}${hint}: ${code}${details === undefined ? '' : `, ${details}`}`;
}
