/** The HTTP instrumentation is registered, and sees nothing of our transport: neither its calls nor its connections. */
exports.run = async ({ api, sdkNode, http, node }) => {
  const r = node.resilience({
    transport: 'otlp',
    endpoints: [{ url: process.env.ENDPOINTS, protocol: process.env.PROTOCOL }],
    processor: { scheduledDelayMillis: 20 },
  });
  const sdk = new sdkNode.NodeSDK({ ...r.sdk, instrumentations: [new http.HttpInstrumentation()] });
  sdk.start();
  await api.trace.getTracer('compat').startActiveSpan('request of the application', async (span) => {
    span.end();
    // Within a request of the application, from where the exports must not be seen to come.
    while (r.status().totals.delivered < 1) await new Promise((resolve) => setTimeout(resolve, 20));
  });
  await new Promise((resolve) => setTimeout(resolve, 100));
  await sdk.shutdown();
  return { status: r.status() };
};
