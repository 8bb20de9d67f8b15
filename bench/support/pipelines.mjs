// The pipelines that are compared, made the same way in every process of a bench.
//
// - `none`: the SDK's tracer, spans made and ended, no processor: what an application pays anyway.
// - `stock`: the SDK's BatchSpanProcessor over its OTLP exporter.
// - `ours`: AdaptiveBatchSpanProcessor over OtlpSpanExporter.
// - `preset`: all layers, by `resilience()`; the level is watched and left alone, since a sampler that does its duty on a
//   busy machine would make fewer spans than the others do.
// Each process loads only what its own pipeline needs.
import zlib from 'node:zlib';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';

const RESOURCE = resourceFromAttributes({
  'service.name': 'shop',
  'service.namespace': 'bench',
  'service.version': '2026.11.3',
  'service.instance.id': '627cc493-f310-47de-96bd-71410b7dec09',
  'deployment.environment.name': 'production',
  'host.name': 'shop-5d9c7b8f6-x2v4q',
  'k8s.namespace.name': 'shop',
  'k8s.pod.name': 'shop-5d9c7b8f6-x2v4q',
  'process.pid': 1,
  'process.runtime.name': 'nodejs',
  'telemetry.sdk.language': 'nodejs',
});

/**
 * `{ kind, protocol, url, compression, compressionLevel, processor, timed }`, where `processor` are the batch processor's
 * own options; what is left out has the default of its kind. With `timed`, `exportMillis` says how long the exports of
 * `preset` take.
 */
export async function makePipeline({ kind, processor = {}, timed = false, ...exporter }) {
  if (kind === 'none') return new Pipeline([]);
  if (kind === 'stock') return new Pipeline([new BatchSpanProcessor(await stockExporter(exporter), processor)]);
  if (kind === 'ours') {
    const { AdaptiveBatchSpanProcessor } = await import('@otel-resilience/processor');
    const { OtlpSpanExporter } = await import('@otel-resilience/otlp');
    const ours = new AdaptiveBatchSpanProcessor({ ...processor, exporter: new OtlpSpanExporter(exporter) });
    return new Pipeline([ours], { stats: () => ours.stats() });
  }
  if (kind !== 'preset') throw new Error(`no such pipeline: ${kind}`);
  const { resilience } = await import('@otel-resilience/node');
  const exportMillis = [];
  const preset = resilience({
    ...(timed
      ? { exporters: [await timedExporter(exporter, exportMillis)] }
      : { endpoints: [exporter], transport: 'otlp' }),
    processor,
    degradation: { monitorOnly: true },
  });
  const { sampler, spanProcessors } = preset.sdk;
  return new Pipeline(spanProcessors, { sampler, stats: () => preset.status(), exportMillis });
}

/** What `transport: 'otlp'` makes of an endpoint, and how long each export takes. */
async function timedExporter(options, exportMillis) {
  const { OtlpSpanExporter } = await import('@otel-resilience/otlp');
  const exporter = new OtlpSpanExporter(options);
  const exportBatch = exporter.exportBatch.bind(exporter);
  exporter.exportBatch = async (...parameters) => {
    const startedAt = performance.now();
    try {
      return await exportBatch(...parameters);
    } finally {
      exportMillis.push(performance.now() - startedAt);
    }
  };
  return exporter;
}

async function stockExporter({ protocol, url, compression = 'none', compressionLevel }) {
  if (compressionLevel !== undefined) forceGzipLevel(compressionLevel);
  const { OTLPTraceExporter } =
    protocol === 'grpc'
      ? await import('@opentelemetry/exporter-trace-otlp-grpc')
      : await import('@opentelemetry/exporter-trace-otlp-proto');
  return new OTLPTraceExporter({ url, compression });
}

/** The stock exporters have no option for the level: they ask zlib for its default, which is 6. */
function forceGzipLevel(level) {
  const { createGzip, gzip } = zlib;
  Object.defineProperty(zlib, 'createGzip', { value: (options) => createGzip({ ...options, level }) });
  Object.defineProperty(zlib, 'gzip', { value: (data, done) => gzip(data, { level }, done) });
}

class Pipeline {
  constructor(spanProcessors, { sampler, stats = () => undefined, exportMillis = [] } = {}) {
    this.provider = new BasicTracerProvider({ resource: RESOURCE, spanProcessors, ...(sampler && { sampler }) });
    this.stats = stats;
    this.exportMillis = exportMillis;
  }

  /** Resolves with the error's message, or undefined. */
  forceFlush() {
    return messageOf(() => this.provider.forceFlush());
  }

  shutdown() {
    return messageOf(() => this.provider.shutdown());
  }
}

async function messageOf(work) {
  try {
    await work();
    return undefined;
  } catch (thrown) {
    return [thrown].flat().map(String).join('; ');
  }
}
