/** Our layers between a stock BatchSpanProcessor and stock exporters, without our processor or preset. */
exports.run = async ({ api, sdkNode, sdkTrace, exporter: ours, protoExporter, grpcExporter }) => {
  const { OTLPTraceExporter } = process.env.PROTOCOL === 'grpc' ? grpcExporter : protoExporter;
  const endpoints = process.env.ENDPOINTS.split(',').map((url, index) => ({
    name: `endpoint-${index}`,
    exporter: new ours.CircuitBreakerSpanExporter({ exporter: new OTLPTraceExporter({ url }) }),
  }));
  const failover = new ours.FailoverSpanExporter({ endpoints });
  const retrying = new ours.RetryingSpanExporter({ exporter: failover, initialDelayMillis: 100 });

  const processor = stockBatchSpanProcessor(sdkTrace, retrying);
  const sdk = new sdkNode.NodeSDK({ spanProcessors: [processor] });
  sdk.start();
  const tracer = api.trace.getTracer('compat');
  const sampledKeys = [];
  for (let i = 0; i < 1_000; i++) {
    const span = tracer.startSpan('work');
    const { traceId, spanId } = span.spanContext();
    sampledKeys.push(traceId + spanId);
    span.end();
  }
  // The stock processor forgets what is in flight when it flushes or shuts down; our exporters do not.
  await processor.forceFlush();
  await retrying.forceFlush();
  await sdk.shutdown();
  return { sampledKeys, endpoints: failover.endpoints() };
};

/** SDK 2 takes `(exporter, config)`, SDK 3 `({ exporter })`. */
function stockBatchSpanProcessor({ BatchSpanProcessor }, exporter) {
  return process.env.TRACE_SDK.endsWith('-base')
    ? new BatchSpanProcessor(exporter, { scheduledDelayMillis: 100 })
    : new BatchSpanProcessor({ exporter, scheduledDelayMillis: 100 });
}
