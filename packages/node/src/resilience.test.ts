import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base';
import { adaptSpanExporter, ConfigurationError } from '@otel-resilience/core';
import { RetryingSpanExporter } from '@otel-resilience/exporter';
import { CountingReceiver, ScriptedExporter } from '@otel-resilience/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { resilience } from './resilience.js';
import type { ResilienceOptions } from './resilience-options.js';

afterEach(() => vi.unstubAllEnvs());

function endSpans(provider: BasicTracerProvider, count: number) {
  const tracer = provider.getTracer('test');
  for (let i = 0; i < count; i++) tracer.startSpan(`span ${i}`).end();
}

describe.each(['grpc', 'http/protobuf'] as const)('over %s', (protocol) => {
  it('delivers to an endpoint given in code, with its headers', async () => {
    const receiver = new CountingReceiver({ protocol });
    const url = await receiver.start();
    let header: unknown;
    receiver.respond(({ headers }) => {
      header = headers['x-tenant'];
      return { kind: 'success' };
    });
    const r = resilience({ endpoints: [{ url, protocol, headers: { 'x-tenant': 'acme' } }] });
    const provider = new BasicTracerProvider({ spanProcessors: r.sdk.spanProcessors });
    endSpans(provider, 2_500);
    await provider.shutdown();
    await receiver.stop();
    expect(receiver.spanIds.size).toBe(2_500);
    expect(header).toEqual('acme');
    expect(r.status()).toMatchObject({
      balanced: true,
      totals: { ended: 2_500, delivered: 2_500, waiting: 0, dropped: {} },
    });
  });

  it('delivers to the endpoint that the environment names', async () => {
    const receiver = new CountingReceiver({ protocol });
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', await receiver.start());
    vi.stubEnv('OTEL_EXPORTER_OTLP_PROTOCOL', protocol);
    const r = resilience();
    const provider = new BasicTracerProvider({ spanProcessors: r.sdk.spanProcessors });
    endSpans(provider, 10);
    await provider.forceFlush();
    expect(receiver.spanIds.size).toBe(10);
    await r.shutdown();
    await receiver.stop();
  });
});

describe('resilience', () => {
  it('wraps exporters given, the first preferred, and fails over', async () => {
    const first = new ScriptedExporter({ script: [{ kind: 'failure', error: new Error('no') }] });
    const second = new ScriptedExporter();
    const r = resilience({ exporters: [first, { name: 'second', exporter: second }] });
    const provider = new BasicTracerProvider({ spanProcessors: r.sdk.spanProcessors });
    endSpans(provider, 3);
    await provider.forceFlush();
    endSpans(provider, 4);
    await provider.shutdown();
    expect(r.status().totals).toMatchObject({ ended: 7, delivered: 7, dropped: {} });
    expect(r.status().endpoints.map(({ name }) => name)).toEqual(['exporter-0', 'second']);
    expect(second.spans).toHaveLength(3);
    expect(first.shutdowns).toBe(1);
    expect(second.shutdowns).toBe(1);
  });

  it('takes exporters that are wrapped already', async () => {
    const leaf = new ScriptedExporter();
    const wrapped = adaptSpanExporter(leaf, { maxConcurrentExports: 3 });
    const r = resilience({ exporters: [wrapped, new RetryingSpanExporter({ exporter: new ScriptedExporter() })] });
    const provider = new BasicTracerProvider({ spanProcessors: r.sdk.spanProcessors });
    endSpans(provider, 3);
    await provider.shutdown();
    expect(leaf.spans).toHaveLength(3);
  });

  it.each([{ OTEL_SDK_DISABLED: 'true' }, { OTEL_TRACES_EXPORTER: 'none' }])('with %j has no processor', (env) => {
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
    const r = resilience({ endpoints: ['http://localhost:4317'] });
    expect(r.sdk.spanProcessors).toEqual([]);
    expect(r.status()).toMatchObject({ disabled: true, balanced: true });
  });

  it('takes OTEL_BSP_*, and code before it', () => {
    vi.stubEnv('OTEL_BSP_MAX_QUEUE_SIZE', '4096');
    vi.stubEnv('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', '128');
    expect(resilience().status().processor).toMatchObject({ queue: { maxSpans: 4096 }, batchSize: 128 });
    const inCode = resilience({ processor: { maxQueueSize: 500 } }).status().processor;
    expect(inCode).toMatchObject({ queue: { maxSpans: 500 }, batchSize: 128 });
  });

  it('keeps two pipelines in one process apart', async () => {
    const exporters = [new ScriptedExporter(), new ScriptedExporter()];
    const both = exporters.map((exporter) => resilience({ exporters: [exporter] }));
    const providers = both.map(({ sdk }) => new BasicTracerProvider({ spanProcessors: sdk.spanProcessors }));
    endSpans(providers[0]!, 5);
    endSpans(providers[1]!, 7);
    await providers[0]!.shutdown();
    expect(both[1]!.status().totals).toMatchObject({ ended: 7, waiting: 7 });
    await providers[1]!.shutdown();
    expect(exporters.map(({ spans }) => spans.length)).toEqual([5, 7]);
  });

  it.each<[object, string]>([
    [{ endpoints: [] }, 'resilience.endpoints: expected a list of at least 1'],
    [{ endpoints: ['collector:4317'] }, 'resilience.endpoints[0].url: expected an http:// or https:// URL'],
    [{ endpoints: [{ url: 'http://user:secret@host' }] }, "got 'http://***@host'"],
    [{ endpoints: ['user:secret@host:4317'] }, "got '***@host:4317'"],
    [
      { endpoints: [{ url: 'http://a', headers: { authorization: 7 } }] },
      'resilience.endpoints[0].headers.authorization',
    ],
    [{ endpoints: [{ url: 'http://a', wieght: 2 }] }, 'resilience.endpoints[0].wieght'],
    [{ endpoints: ['http://a'], exporters: [new ScriptedExporter()] }, 'either endpoints or exporters'],
    [{ exporters: [{}] }, 'resilience.exporters[0]: expected a SpanExporter'],
    [{ spools: {} }, 'resilience.spools: expected one of'],
    [{ spool: { maxBytes: -1 } }, 'MemorySpool.maxBytes'],
    [{ retry: { maxRetries: Number.NaN } }, 'RetryingSpanExporter.maxRetries'],
    [{ circuitBreaker: { strategy: 'hope' } }, 'CircuitBreakerSpanExporter.strategy'],
    [{ failover: { strategy: 'hope' } }, 'FailoverSpanExporter.strategy'],
    [{ processor: { maxQueueSize: 0 } }, 'AdaptiveBatchSpanProcessor.maxQueueSize'],
  ])('refuses %j, naming the path', (options, message) => {
    expect(() => resilience(options as ResilienceOptions)).toThrow(ConfigurationError);
    expect(() => resilience(options as ResilienceOptions)).toThrow(message);
  });

  it('never shows a secret in its status or errors', () => {
    const r = resilience({ endpoints: [{ url: 'http://localhost:1', headers: { authorization: 'Bearer s3cret' } }] });
    expect(JSON.stringify(r.status())).not.toContain('s3cret');
  });
});
