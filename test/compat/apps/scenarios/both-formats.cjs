/** An application of ES modules beside a dependency that requires: two copies of our code that must know each other. */
exports.run = async (esm) => {
  const cjs = {
    core: require('@otel-resilience/core'),
    exporter: require('@otel-resilience/exporter'),
    otlp: require('@otel-resilience/otlp'),
  };
  const { OTLPTraceExporter } = esm.protoExporter;
  const leaf = () => new OTLPTraceExporter({ url: `${process.env.ENDPOINTS}/v1/traces` });

  // CommonJS layers under the preset of the ES modules, and one of theirs under those.
  const inner = new esm.exporter.CircuitBreakerSpanExporter({ exporter: leaf() });
  const outer = new cjs.exporter.RetryingSpanExporter({ exporter: inner });
  const r = esm.node.resilience({ exporters: [outer] });
  const sdk = new esm.sdkNode.NodeSDK({ ...r.sdk });
  sdk.start();
  const span = esm.api.trace.getTracer('compat').startSpan('work');
  const { traceId, spanId } = span.spanContext();
  span.end();
  await sdk.shutdown();

  // A batch of the one copy in an exporter of the other.
  const another = Object.create(span, {
    spanContext: { value: () => ({ traceId, spanId: 'aaaaaaaaaaaaaaaa', traceFlags: 1 }) },
  });
  const batch = esm.core.SpanBatch.fromSpans([another]);
  const other = new cjs.otlp.OtlpSpanExporter({ url: process.env.ENDPOINTS, protocol: 'http/protobuf' });
  const context = { signal: new AbortController().signal, deadline: performance.now() + 5_000 };
  const { delivered } = await other.exportBatch(batch, context);
  await other.shutdown();
  return {
    twoCopies: cjs.core.SpanBatchExporterBase !== esm.core.SpanBatchExporterBase,
    recognised: [outer, other].map(esm.core.isSpanBatchExporter).concat(cjs.core.isSpanBatchExporter(inner)),
    notAdapted: [esm.core.adaptSpanExporter(outer) === outer, cjs.core.adaptSpanExporter(inner) === inner],
    // An endpoint that has a breaker of the other copy gets no second one.
    ownBreaker: new cjs.exporter.FailoverSpanExporter({ endpoints: [{ name: 'a', exporter: inner }] })
      .endpoints()
      .map(({ state }) => state),
    deliveredByTheOther: delivered,
    refusal: cjs.core.classifyFailure(new esm.core.ExportError('REFUSED', 'no')).failure,
    sampledKeys: [traceId + spanId],
    status: r.status(),
  };
};
