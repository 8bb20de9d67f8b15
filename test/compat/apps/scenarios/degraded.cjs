const { endLocalTraces } = require('../local-traces.cjs');

/**
 * A process at heavy, that watches all there is to watch: host CPU and memory, too, by a thread of their own. With
 * `SHUTDOWN=never` it just comes to its end.
 */
exports.run = async ({ api, sdkNode, node }) => {
  const host = { source: 'host', sampleIntervalMillis: 50 };
  const r = node.resilience({
    endpoints: [process.env.ENDPOINTS],
    degradation: { evaluationIntervalMillis: 100, triggers: { cpu: host, memory: host, pressure: true } },
  });
  const sdk = new sdkNode.NodeSDK({ ...r.sdk });
  sdk.start();
  r.degradation.force('heavy');
  const traces = endLocalTraces(api, api.trace.getTracer('compat'), 400);
  const balancedWhenEnded = r.status().balanced;

  const watched = ['cpu', 'memory', 'heap', 'eventLoop'];
  const seen = () => r.status().degradation.triggers.filter(({ name, value }) => watched.includes(name) && value >= 0);
  const deadline = performance.now() + 30_000;
  while (seen().length < watched.length && performance.now() < deadline) await sleep(20);
  const { level, reason } = r.status().degradation;
  const seenBefore = seen().map(({ name }) => name);

  if (process.env.SHUTDOWN !== 'never') await sdk.shutdown();
  return { traces, balancedWhenEnded, seen: seenBefore, level, reason, status: r.status() };
};

const sleep = (millis) => new Promise((resolve) => setTimeout(resolve, millis));
