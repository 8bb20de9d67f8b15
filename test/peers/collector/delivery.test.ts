import { context, metrics, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { resilience } from '@otel-resilience/node';
import { FaultProxy, spanKey } from '@otel-resilience/testing';
import { afterEach, expect, it, vi } from 'vitest';
import { describeWithPeer } from '../peer.js';
import { useApplications, WAYS } from './application.js';
import type { FiledMetric } from './exported-files.js';
import { useCollectors } from './fixtures.js';

describeWithPeer('collector', 'resilience() and a real Collector', (binary) => {
  const openCollector = useCollectors(binary);
  const openApplication = useApplications();
  afterEach(() => {
    vi.unstubAllEnvs();
    for (const api of [trace, metrics, context, propagation]) api.disable();
  });

  const compressions = ['none', 'gzip'] as const;
  it.each(WAYS.flatMap((way) => compressions.map((compression) => [...way, compression] as const)))(
    'what arrives are the spans that have ended, each once: %s, %s, compression %s',
    async (transport, protocol, compression) => {
      const collector = await openCollector();
      const proxy = new FaultProxy({ upstream: { host: '127.0.0.1', port: collector.portOf(protocol) } });
      await proxy.start();
      vi.stubEnv('OTEL_EXPORTER_OTLP_COMPRESSION', compression);
      const application = openApplication({ transport, endpoints: [{ url: proxy.url, protocol }] });
      application.end(6_000);
      await application.flush();
      application.end(3_000);
      await application.shutdown();
      await proxy.stop();
      expect(application.account(collector)).toMatchObject({
        ended: 9_000,
        missing: 0,
        foreign: 0,
        duplicates: 0,
        ledger: { ended: 9_000, delivered: 9_000, waiting: 0, rejected: 0, dropped: {}, balanced: true },
      });
      const bytesPerSpan = proxy.snapshot().passedBytes.toUpstream / 9_000;
      if (compression === 'gzip') expect(bytesPerSpan).toBeLessThan(60);
      else expect(bytesPerSpan).toBeGreaterThan(100);
    },
  );

  it.each(WAYS)('configured by the environment, under NodeSDK: %s, %s', async (transport, protocol) => {
    const collector = await openCollector();
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', collector.urlOf(protocol));
    vi.stubEnv('OTEL_EXPORTER_OTLP_PROTOCOL', protocol);
    vi.stubEnv('OTEL_METRICS_EXPORTER', 'otlp');
    const r = resilience({ transport });
    const resource = resourceFromAttributes({ 'service.name': 'checkout' });
    const sdk = new NodeSDK({ ...r.sdk, resource, autoDetectResources: false });
    sdk.start();
    const recorded = recordOrder();
    await r.sdk.spanProcessors[0]!.forceFlush();
    await sdk.shutdown();

    const { spans, keys, resources } = collector.spans();
    expect([...keys].sort()).toEqual(recorded.keys.sort());
    expect(resources).toMatchObject([{ attributes: [{ key: 'service.name', value: { stringValue: 'checkout' } }] }]);
    const server = spans.find(({ name }) => name === 'POST /orders');
    expect(server).toMatchObject(recorded.server);
    expect(spans.find(({ name }) => name === 'INSERT')).toMatchObject({
      ...recorded.client,
      parentSpanId: server!.spanId,
      links: [{ traceId: server!.traceId, spanId: server!.spanId }],
    });
    // NodeSDK exports metrics to the same endpoint: ours are among them, since they are asked for.
    const totals = Object.fromEntries(collector.metrics().map(({ name, sum }) => [name, sum && totalOf(sum)]));
    expect(totals).toMatchObject({
      'otel.sdk.processor.span.processed': 2,
      'otel.sdk.processor.span.queue.size': 0,
      'otel.sdk.processor.span.queue.capacity': 10_000,
    });
  });
});

/** A trace with a bit of everything, and how its spans look as OTLP/JSON. */
function recordOrder() {
  const tracer = trace.getTracer('shop', '1.2.3');
  return tracer.startActiveSpan('POST /orders', { kind: SpanKind.SERVER }, (server) => {
    server.setAttributes({ 'http.route': '/orders', ok: false, count: 3, share: 0.5, tags: ['a', 'ü'] });
    const client = tracer.startSpan('INSERT', { links: [{ context: server.spanContext() }] });
    client.addEvent('retry', { attempt: 2 });
    client.setStatus({ code: SpanStatusCode.ERROR, message: 'deadlock' });
    client.end();
    server.end();
    return {
      keys: [client, server].map((span) => spanKey(span.spanContext())),
      server: {
        kind: 2,
        attributes: [
          { key: 'http.route', value: { stringValue: '/orders' } },
          { key: 'ok', value: { boolValue: false } },
          { key: 'count', value: { intValue: '3' } },
          { key: 'share', value: { doubleValue: 0.5 } },
          { key: 'tags', value: { arrayValue: { values: [{ stringValue: 'a' }, { stringValue: 'ü' }] } } },
        ],
      },
      client: {
        kind: 1,
        events: [{ name: 'retry', attributes: [{ key: 'attempt', value: { intValue: '2' } }] }],
        status: { code: 2, message: 'deadlock' },
      },
    };
  });
}

function totalOf({ dataPoints }: NonNullable<FiledMetric['sum']>): number {
  return dataPoints.reduce((sum, { asInt, asDouble }) => sum + Number(asInt ?? asDouble), 0);
}
