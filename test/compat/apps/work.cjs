const TICK_MILLIS = 10;
const SPANS_PER_TICK = 5;

/**
 * What every app does: spans at a steady rate, until `SPANS` have ended or its parent says stop. Then `sdk.shutdown()`
 * and a report, and nothing else: the process must end by itself.
 */
exports.work = async function work({ trace, r, sdk }) {
  const total = Number(process.env.SPANS ?? Number.POSITIVE_INFINITY);
  const tracer = trace.getTracer('compat');
  const sampledKeys = [];
  let ended = 0;
  let unbalanced = 0;

  await new Promise((resolve) => {
    const timer = setInterval(() => {
      for (let i = 0; i < SPANS_PER_TICK && ended < total; i++) {
        const span = tracer.startSpan('work', { attributes: { 'app.index': ended } });
        const { traceId, spanId, traceFlags } = span.spanContext();
        if (traceFlags & 1) sampledKeys.push(traceId + spanId);
        span.end();
        ended++;
      }
      if (!r.status().balanced) unbalanced++;
      if (ended >= total) finish();
    }, TICK_MILLIS);
    const finish = () => {
      clearInterval(timer);
      resolve();
    };
    process.on('message', (message) => {
      if (message === 'status') process.send({ status: r.status() });
      if (message === 'stop') finish();
    });
    process.on('disconnect', finish);
  });

  const startedAt = performance.now();
  if (process.env.SHUTDOWN !== 'never') await sdk.shutdown();
  const shutdownMillis = performance.now() - startedAt;
  await exports.report({ ended, sampledKeys, unbalanced, shutdownMillis, status: r.status() });
};

/** Sends the report and lets go of the channel to the parent, which would keep the process alive. */
exports.report = (report) =>
  new Promise((resolve) => {
    if (!process.connected) return resolve();
    process.send({ report: { ...report, strayModules: strayModules() } }, () => {
      if (process.connected) process.disconnect();
      resolve();
    });
  });

// The apps stand inside this repository, so a package that is missing here would be found in its node_modules. (Others
// may be: `debug` takes a supports-color where there is one.)
function strayModules() {
  const ofOurs = /[\\/]@(otel-resilience|opentelemetry)[\\/]/;
  return Object.keys(require.cache).filter((path) => !path.startsWith(__dirname) && ofOurs.test(path));
}
