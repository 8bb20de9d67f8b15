/** Our leaf where a stock exporter would be. */
exports.run = async ({ api, sdkNode, sdkTrace, otlp }) => {
  const exporter = () => new otlp.OtlpSpanExporter({ url: process.env.ENDPOINTS, protocol: process.env.PROTOCOL });
  const processor = stockBatchSpanProcessor(sdkTrace, exporter());
  const sdk = new sdkNode.NodeSDK({ spanProcessors: [processor] });
  sdk.start();
  const sampledKeys = endSpans(api, 2_000);
  await sdk.shutdown();
  api.trace.disable();

  const alone = new sdkNode.NodeSDK({ traceExporter: exporter() });
  alone.start();
  sampledKeys.push(...endSpans(api, 1_000));
  await alone.shutdown();
  return { sampledKeys };
};

function endSpans({ trace }, count) {
  return Array.from({ length: count }, () => {
    const span = trace.getTracer('compat').startSpan('work');
    const { traceId, spanId } = span.spanContext();
    span.end();
    return traceId + spanId;
  });
}

/** SDK 2 takes `(exporter, config)`, SDK 3 `({ exporter })`. */
function stockBatchSpanProcessor({ BatchSpanProcessor }, exporter) {
  return process.env.TRACE_SDK.endsWith('-base')
    ? new BatchSpanProcessor(exporter, { scheduledDelayMillis: 100 })
    : new BatchSpanProcessor({ exporter, scheduledDelayMillis: 100 });
}
