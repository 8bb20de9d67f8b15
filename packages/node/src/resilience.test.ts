import { metrics } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
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

const WAYS = (['otlp', 'stock'] as const).flatMap((transport) =>
  (['grpc', 'http/protobuf'] as const).map((protocol) => ({ transport, protocol })),
);

describe.each(WAYS)('over $protocol by $transport', ({ transport, protocol }) => {
  it('delivers to an endpoint given in code, with its headers', async () => {
    const receiver = new CountingReceiver({ protocol });
    const url = await receiver.start();
    let header: unknown;
    receiver.respond(({ headers }) => {
      header = headers['x-tenant'];
      return { kind: 'success' };
    });
    const r = resilience({ transport, endpoints: [{ url, protocol, headers: { 'x-tenant': 'acme' } }] });
    const provider = new BasicTracerProvider({ spanProcessors: r.sdk.spanProcessors });
    endSpans(provider, 2_500);
    await provider.shutdown();
    await receiver.stop();
    expect(receiver.spanIds.size).toBe(2_500);
    expect(header).toEqual('acme');
    expect(r.status()).toMatchObject({
      balanced: true,
      totals: { ended: 2_500, delivered: 2_500, waiting: 0, dropped: {} },
      endpoints: [{ transport, protocol, url: receiver.tracesUrl }],
    });
  });

  it('delivers to the endpoint that the environment names', async () => {
    const receiver = new CountingReceiver({ protocol });
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', await receiver.start());
    vi.stubEnv('OTEL_EXPORTER_OTLP_PROTOCOL', protocol);
    const r = resilience({ transport });
    const provider = new BasicTracerProvider({ spanProcessors: r.sdk.spanProcessors });
    endSpans(provider, 10);
    await provider.forceFlush();
    expect(receiver.spanIds.size).toBe(10);
    const { host, port, tracesUrl } = receiver;
    expect(r.status().endpoints).toMatchObject([{ name: `${host}:${port}`, transport, protocol, url: tracesUrl }]);
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

  it.each(['otlp', 'stock'] as const)(
    'speaks HTTP to an address that is plainly of an HTTP receiver, by %s',
    async (transport) => {
      const receiver = new CountingReceiver({ protocol: 'http/protobuf' });
      const r = resilience({ transport, endpoints: [`${await receiver.start()}/v1/traces`] });
      const provider = new BasicTracerProvider({ spanProcessors: r.sdk.spanProcessors });
      endSpans(provider, 3);
      await r.forceFlush({ timeoutMillis: 5_000 });
      expect(receiver.spanIds.size).toBe(3);
      await r.shutdown();
      await receiver.stop();
    },
  );

  it('hands all options of an endpoint to its OtlpSpanExporter, functions included', async () => {
    const receiver = new CountingReceiver({ protocol: 'http/protobuf' });
    const url = await receiver.start();
    const seen: Array<Readonly<Record<string, string>>> = [];
    receiver.respond(({ headers }) => {
      seen.push(headers);
      return headers.authorization === 'Bearer 2' ? { kind: 'success' } : { kind: 'error', status: 401 };
    });
    let calls = 0;
    const headers = async () => ({ authorization: `Bearer ${++calls}` });
    const endpoint = {
      url,
      protocol: 'http/protobuf',
      headers,
      compression: 'gzip',
      userAgent: 'shop/1',
    } as const;
    const r = resilience({ transport: 'otlp', endpoints: [endpoint] });
    const provider = new BasicTracerProvider({ spanProcessors: r.sdk.spanProcessors });
    endSpans(provider, 3);
    await provider.shutdown();
    await receiver.stop();
    expect(receiver.spanIds.size).toBe(3);
    expect(seen.at(-1)).toMatchObject({
      'content-encoding': 'gzip',
      'user-agent': expect.stringMatching(/^shop\/1 otel-r/),
    });
    expect(JSON.stringify(r.status())).not.toContain('Bearer');
    expect(r.status().endpoints).toMatchObject([{ transport: 'otlp', url: `${url}/v1/traces` }]);
  });

  it('says of an exporter that was given no more than it knows', () => {
    const [endpoint] = resilience({ exporters: [new ScriptedExporter()] }).status().endpoints;
    expect(endpoint).toMatchObject({ transport: undefined, protocol: undefined, url: undefined });
  });

  it('flushes within the time it is given', async () => {
    const r = resilience({ exporters: [new ScriptedExporter({ otherwise: 'never' })] });
    const provider = new BasicTracerProvider({ spanProcessors: r.sdk.spanProcessors });
    endSpans(provider, 1);
    const startedAt = performance.now();
    await expect(r.forceFlush({ timeoutMillis: 100 })).rejects.toThrow('in time');
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });

  it('tells two endpoints of one host apart', () => {
    const { endpoints } = resilience({
      endpoints: ['https://gw/a', 'https://gw/b', { url: 'https://gw/c', name: 'c' }],
    }).status();
    expect(endpoints.map(({ name }) => name)).toEqual(['gw', 'gw (2)', 'c']);
  });

  it('publishes metrics only where they are wanted', async () => {
    const read = async (options: ResilienceOptions) => {
      const reader = new PeriodicExportingMetricReader({
        exporter: new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE),
        exportIntervalMillis: 3_600_000,
      });
      metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));
      const r = resilience({ ...options, exporters: [new ScriptedExporter()] });
      endSpans(new BasicTracerProvider({ spanProcessors: r.sdk.spanProcessors }), 3);
      await r.forceFlush();
      const { resourceMetrics } = await reader.collect();
      await r.shutdown();
      metrics.disable();
      return resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics.map(({ descriptor }) => descriptor.name));
    };
    expect(await read({})).toEqual([]);
    expect(await read({ metrics: true })).toContain('otel.sdk.processor.span.processed');
    vi.stubEnv('OTEL_METRICS_EXPORTER', 'otlp');
    expect(await read({})).toContain('otel.sdk.processor.span.processed');
    expect(await read({ metrics: false })).toEqual([]);
  });

  it.each([
    [{}, 'localhost:4317'],
    [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf' }, 'localhost:4318'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4317' }, 'collector:4317'],
  ])('names the endpoint of the environment by what is asked: %j', (environment, name) => {
    for (const [variable, value] of Object.entries(environment)) vi.stubEnv(variable, value);
    expect(resilience().status().endpoints).toMatchObject([{ name }]);
    vi.unstubAllEnvs();
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

  it.each<[object, string | RegExp]>([
    [{ endpoints: [] }, 'resilience.endpoints: expected a list of at least 1'],
    [{ endpoints: ['collector:4317'] }, 'resilience.endpoints[0].url: expected an http:// or https:// URL'],
    [{ endpoints: [{ url: 'http://user:secret@host' }] }, "got 'http://***@host'"],
    [{ endpoints: ['user:secret@host:4317'] }, "got '***@host:4317'"],
    [
      { endpoints: [{ url: 'http://a', headers: { authorization: 7 } }] },
      'resilience.endpoints[0].headers.authorization',
    ],
    [
      { endpoints: [{ url: 'http://a', headers: { 'x-key': 's3cret\n' } }] },
      'resilience.endpoints[0].headers.x-key: expected printable ASCII, got',
    ],
    [
      { endpoints: [{ url: 'http://a', headers: { 'x key': 's3cret' } }] },
      'resilience.endpoints[0].headers: expected names',
    ],
    [
      { endpoints: [{ url: 'http://a', headers: 'x-key=s3cret' }] },
      "headers: expected an object of strings, got 'a string'",
    ],
    [{ endpoints: 'http://user:s3cret@a' }, "resilience.endpoints: expected a list: [url, …], got 'a string'"],
    [{ endpoints: [undefined] }, 'resilience.endpoints[0]: expected a URL, or options with a url, got undefined'],
    [
      { degradation: false },
      'resilience.degradation: expected an options object, such as { enabled: false }, got false',
    ],
    [{ spool: '/tmp/x' }, "resilience.spool: expected an options object, such as { directory }, got '/tmp/x'"],
    [{ spool: { dir: '/tmp/x' } }, 'resilience.spool.dir: expected maxBytes alone, or a directory and the options'],
    [{ transport: 'pigeon' }, 'resilience.transport: expected one of otlp, stock'],
    [{ endpoints: [{ url: 'http://a', compression: 'zstd' }] }, 'resilience.endpoints[0].compression: expected one of'],
    [
      { transport: 'otlp', endpoints: ['https://a', { url: 'https://a', tls: { cert: 's3cret' } }] },
      'resilience.endpoints[1].tls.key: expected key beside cert',
    ],
    [
      { transport: 'stock', endpoints: [{ url: 'http://a', proxy: 'http://me:s3cret@a' }] },
      "resilience.endpoints[0].proxy: expected nothing, with the transport 'stock'",
    ],
    [
      { transport: 'stock', endpoints: [{ url: 'http://a', headers: () => ({}) }] },
      '.headers: expected an object, with',
    ],
    [
      { transport: 'stock', endpoints: ['unix:/run/otel.sock'] },
      'resilience.endpoints[0].url: expected no unix socket',
    ],
    [{ processor: { exporter: new ScriptedExporter() } }, 'resilience.processor.exporter: expected nothing'],
    [{ tiered: { spool: {} } }, 'resilience.tiered.spool: expected nothing'],
    [{ clock: {} }, 'resilience.clock: expected a Clock'],
    [{ endpoints: [{ url: 'http://a', wieght: 2 }] }, 'resilience.endpoints[0].wieght'],
    [{ endpoints: ['http://a'], exporters: [new ScriptedExporter()] }, 'either endpoints or exporters'],
    [{ exporters: [{}] }, 'resilience.exporters[0]: expected a SpanExporter'],
    [{ spools: {} }, 'resilience.spools: expected one of'],
    [{ spool: { maxBytes: -1 } }, /^resilience\.spool\.maxBytes: expected .* got -1$/],
    [{ retry: { maxRetries: Number.NaN } }, /^resilience\.retry\.maxRetries: expected/],
    [{ retry: { initialDelayMillis: 9, maxDelayMillis: 8 } }, /^resilience\.retry\.initialDelayMillis: expected/],
    [{ retry: { budget: { retryCost: 501 } } }, /^resilience\.retry\.budget\.retryCost: expected/],
    [{ circuitBreaker: { strategy: 'hope' } }, /^resilience\.circuitBreaker\.strategy: expected .* got 'hope'$/],
    [{ circuitBreaker: { openMillis: 9, maxOpenMillis: 8 } }, /^resilience\.circuitBreaker\.maxOpenMillis: expected/],
    [{ failover: { strategy: 'hope' } }, /^resilience\.failover\.strategy: expected/],
    [{ failover: { attemptTimeoutMillis: 0 } }, /^resilience\.failover\.attemptTimeoutMillis: expected/],
    [{ failover: { atemptTimeoutMillis: 1 } }, /^resilience\.failover\.atemptTimeoutMillis: expected one of/],
    [{ endpoints: ['http://a', { url: 'http://b', weight: 0 }] }, /^resilience\.endpoints\[1\]\.weight: expected/],
    [{ exporters: [{ exporter: new ScriptedExporter(), priority: 0.5 }] }, /^resilience\.exporters\[0\]\.priority: /],
    [
      {
        endpoints: [
          { url: 'http://a', name: 'x' },
          { url: 'http://b', name: 'x' },
        ],
      },
      /^resilience\.endpoints\[1\]\.name: expected a name that no other has/,
    ],
    [{ tiered: { probeIntervalMillis: 0 } }, /^resilience\.tiered\.probeIntervalMillis: expected/],
    [{ tiered: { replayTimeoutMillis: 1 } }, /^resilience\.tiered\.replayTimeoutMillis: expected/],
    [{ processor: { maxQueueSize: 0 } }, /^resilience\.processor\.maxQueueSize: expected/],
    [{ processor: { minExportBatchSize: 1e6 } }, /^resilience\.processor\.minExportBatchSize: expected/],
    [{ attributeTrimming: { maxEvents: -1 } }, /^resilience\.attributeTrimming\.maxEvents: expected/],
    [{ tailSampling: { maxHeldTraces: -1 } }, /^resilience\.tailSampling\.maxHeldTraces: expected/],
    [{ sampler: { ratio: 2 } }, /^resilience\.sampler\.ratio: expected/],
    [{ sampler: { rules: [{ ratio: 2 }] } }, /^resilience\.sampler\.rules\[0\]\.ratio: expected/],
    [{ degradation: { historySizes: 1 } }, /^resilience\.degradation\.historySizes: expected/],
    [{ degradation: { triggers: { cpu: { source: 'x' } } } }, /^resilience\.degradation\.triggers\.cpu\.source: /],
    [{ degradation: { additionalTriggers: [{}] } }, /^resilience\.degradation\.additionalTriggers\[0\]/],
    [
      { transport: 'otlp', endpoints: ['http://a', { url: 'http://b', tls: {} }] },
      /^resilience\.endpoints\[1\]\.tls: expected nothing/,
    ],
  ])('refuses %j, naming the path', (options, message) => {
    expect(() => resilience(options as ResilienceOptions)).toThrow(ConfigurationError);
    expect(() => resilience(options as ResilienceOptions)).toThrow(message);
    expect(() => resilience(options as ResilienceOptions)).not.toThrow('s3cret');
    expect(() => resilience(options as ResilienceOptions)).not.toThrow(/^(?!resilience)\w+\.\w+: /);
  });

  it('never shows a secret in its status or errors', () => {
    const endpoint = { url: 'http://localhost:1/otlp?key=s3cret', headers: { authorization: 'Bearer s3cret' } };
    for (const transport of ['otlp', 'stock'] as const) {
      for (const protocol of ['grpc', 'http/protobuf'] as const) {
        const r = resilience({ transport, endpoints: [{ ...endpoint, protocol }] });
        expect(JSON.stringify(r.status())).not.toContain('s3cret');
      }
    }
  });
});
