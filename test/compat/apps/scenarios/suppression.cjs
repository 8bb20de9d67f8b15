/**
 * The application's outgoing requests are traced; ours must not be, or every export would end spans to export. Asked
 * in the two ways there are: the HTTP instrumentation around a stock exporter, and what any instrumentation asks.
 */
exports.run = async ({ api, sdkCore, sdkNode, http, node, protoExporter }) => {
  const suppressed = [];
  const note = () => suppressed.push(sdkCore.isTracingSuppressed(api.context.active()));
  const stock = new protoExporter.OTLPTraceExporter({ url: `${process.env.ENDPOINTS}/v1/traces` });
  let calls = 0;
  const asking = {
    export(spans, resultCallback) {
      note();
      // The first failures bring in what runs from timers: retry, then spool and replay.
      if (calls++ < 4) return setTimeout(() => resultCallback({ code: 1, error: new Error('not yet') }), 5);
      stock.export(spans, (result) => {
        note();
        resultCallback(result);
      });
    },
    async forceFlush() {
      note();
      await stock.forceFlush();
    },
    async shutdown() {
      note();
      await stock.shutdown();
    },
  };

  const r = node.resilience({ exporters: [asking], processor: { scheduledDelayMillis: 100 } });
  const sdk = new sdkNode.NodeSDK({ ...r.sdk, instrumentations: [new http.HttpInstrumentation()] });
  sdk.start();
  const tracer = api.trace.getTracer('compat');
  await tracer.startActiveSpan('request of the application', async (span) => {
    await get(process.env.ENDPOINTS);
    span.end();
  });
  while (r.status().totals.delivered < 2) await new Promise((resolve) => setTimeout(resolve, 20));
  await sdk.shutdown();
  return { suppressed, calls, status: r.status() };
};

// Required when it is used, as applications do: after the instrumentation has been registered.
const get = (url) =>
  new Promise((resolve, reject) => {
    require('node:http')
      .get(url, (response) => response.resume().on('end', resolve))
      .on('error', reject);
  });
