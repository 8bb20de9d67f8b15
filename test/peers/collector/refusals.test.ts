import { OTLPTraceExporter as GrpcTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { adaptSpanExporter, SpanBatch, systemClock } from '@otel-resilience/core';
import { CountingReceiver, type ErrorAnswer, fakeSpans } from '@otel-resilience/testing';
import { afterEach, expect, it } from 'vitest';
import { HttpLeaf } from '../../integration/http-leaf.js';
import { describeWithPeer } from '../peer.js';
import type { CollectorSettings } from './collector-config.js';
import type { CollectorProcess } from './collector-process.js';
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
  afterEach(() => backend.stop());

  it('takes spans over both protocols', async () => {
    const collector = await openCollector();
    expect(await answers(collector, small)).toEqual({ grpc: 'delivered', http: 'delivered' });
  });

  it('memory_limiter at its limit: retryable', async () => {
    const collector = await openCollector({ memoryLimitMib: 1 });
    await collector.logged('Refusing data');
    expect(await answers(collector, small)).toEqual({
      grpc: `retryable: ${UNAVAILABLE}, data refused due to high memory usage`,
      http: 'retryable: 503',
    });
    expect(collector.spans().spans).toEqual([]);
  });

  it('a request over the limit of the receiver: permanent', async () => {
    const collector = await openCollector({ maxRequestMib: 1 });
    expect(await answers(collector, large)).toEqual({
      grpc: expect.stringMatching(/^permanent: 8, grpc: received message larger than max \(\d+ vs. 1048576\)$/),
      http: 'permanent: 400',
    });
    expect(collector.spans().spans).toEqual([]);
  });

  it('no one there any more, with requests open: retryable', async () => {
    const collector = await openCollector();
    await collector.signal('SIGSTOP');
    const open = answers(collector, small);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await collector.signal('SIGKILL');
    expect(await open).toEqual({
      grpc: expect.stringMatching(/^retryable: 14, /),
      http: expect.stringMatching(/^retryable: ECONN/),
    });
  });

  // A Collector passes on what its own backend answered, in its own words.
  it.each<[string, ErrorAnswer, { grpc: RegExp; http: string }]>([
    ['UNAVAILABLE', error(UNAVAILABLE), { grpc: /^retryable: 14, /, http: 'retryable: 503' }],
    [
      'UNAVAILABLE with RetryInfo',
      error(UNAVAILABLE, 2_500),
      { grpc: /^throttled for 2500 ms: 14, /, http: 'throttled for 2000 ms: 503' },
    ],
    [
      'RESOURCE_EXHAUSTED with RetryInfo',
      error(RESOURCE_EXHAUSTED, 2_500),
      { grpc: /^throttled for 2500 ms: 8, /, http: 'throttled for 2000 ms: 429' },
    ],
    [
      'RESOURCE_EXHAUSTED with a RetryInfo of less than a second, which becomes `Retry-After: 0`',
      error(RESOURCE_EXHAUSTED, 300),
      { grpc: /^throttled for 300 ms: 8, /, http: 'throttled for 1 ms: 429' },
    ],
    [
      'RESOURCE_EXHAUSTED alone, which over HTTP looks like any 429',
      error(RESOURCE_EXHAUSTED),
      { grpc: /^permanent: 8, Permanent error: /, http: 'throttled: 429' },
    ],
    ['INVALID_ARGUMENT', error(INVALID_ARGUMENT), { grpc: /^permanent: 3, /, http: 'permanent: 400' }],
    ['INTERNAL', error(INTERNAL), { grpc: /^permanent: 13, /, http: 'permanent: 500' }],
  ])('its backend says %s', async (_, answer, { grpc, http }) => {
    await backend.start();
    backend.respond(answer);
    const collector = await openCollector({ forwardTo: `${backend.host}:${backend.port}` } satisfies CollectorSettings);
    expect(await answers(collector, small)).toEqual({ grpc: expect.stringMatching(grpc), http });
  });

  it('its backend is away: retryable', async () => {
    await backend.start();
    await backend.stop();
    const collector = await openCollector({ forwardTo: `${backend.host}:${backend.port}` });
    expect(await answers(collector, small)).toEqual({
      grpc: expect.stringMatching(/^retryable: 14, connection error: /),
      http: 'retryable: 503',
    });
  });
});

const small = () => fakeSpans(3);
const large = () => fakeSpans(20, { attributes: { payload: 'x'.repeat(64 * 1024) } });

/** One export over each protocol, in a line: the failure, the code it came with, and what gRPC says beside. */
async function answers(collector: CollectorProcess, spans: typeof small) {
  const grpc = adaptSpanExporter(new GrpcTraceExporter({ url: collector.urlOf('grpc') }));
  const http = new HttpLeaf(`${collector.urlOf('http/protobuf')}/v1/traces`);
  const lines = [grpc, http].map(async (exporter) => {
    const context = { signal: new AbortController().signal, deadline: systemClock.now() + 10_000 };
    const outcome = await exporter.exportBatch(SpanBatch.fromSpans(spans()), context);
    await exporter.shutdown();
    if (!outcome.remaining) return 'delivered';
    const { code, details } = outcome.error as { code?: unknown; details?: string };
    const { retryAfterMillis: wait } = outcome;
    const hint = wait === undefined ? '' : ` for ${Math.round(wait)} ms`;
    return `${outcome.failure}${hint}: ${code}${details === undefined ? '' : `, ${details}`}`;
  });
  const [ofGrpc, ofHttp] = await Promise.all(lines);
  return { grpc: ofGrpc!, http: ofHttp! };
}
