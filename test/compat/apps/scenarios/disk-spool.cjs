/**
 * An application with a spool on disk. With `SPANS` it ends so many and shuts down; without, it sends what another one has
 * left, and has no span of its own. With `ARCHIVE` a copy of each goes there.
 */
exports.run = async ({ api, sdkNode, node, tiered }) => {
  const { ENDPOINTS, DIRECTORY, SPANS, ARCHIVE } = process.env;
  const warm = ARCHIVE && new tiered.FileObjectStore({ directory: ARCHIVE });
  const r = node.resilience({
    endpoints: [ENDPOINTS],
    transport: 'otlp',
    spool: { directory: DIRECTORY },
    ...(warm && { tiered: { warm } }),
  });
  const sdk = new sdkNode.NodeSDK({ ...r.sdk });
  sdk.start();
  const sampledKeys = [];
  for (let i = 0; i < Number(SPANS ?? 0); i++) {
    const span = api.trace.getTracer('compat').startSpan(`span ${i}`);
    const { traceId, spanId } = span.spanContext();
    sampledKeys.push(traceId + spanId);
    span.end();
  }
  const isDone = () => SPANS !== undefined || (r.status().totals.recovered > 0 && r.status().totals.waiting === 0);
  for (const deadline = performance.now() + 10_000; !isDone() && performance.now() < deadline; ) await sleep(20);
  await sdk.shutdown();
  return { sampledKeys, status: r.status() };
};

const sleep = (millis) => new Promise((resolve) => setTimeout(resolve, millis));
