/** A resource attribute that is known only after the first spans have ended. */
exports.run = async ({ api, sdkNode, node }) => {
  const warnings = [];
  const ignore = () => {};
  const keep = (...words) => warnings.push(words.join(' '));
  api.diag.setLogger({ verbose: ignore, debug: ignore, info: ignore, warn: keep, error: keep });
  const late = { detect: () => ({ attributes: { 'compat.late': after(300, 'here'), 'compat.early': 'here' } }) };

  const r = node.resilience({ endpoints: [process.env.ENDPOINTS] });
  const sdk = new sdkNode.NodeSDK({ ...r.sdk, resourceDetectors: [late] });
  sdk.start();
  api.trace.getTracer('compat').startSpan('ended at once').end();
  await sdk.shutdown();
  return { status: r.status(), warnings };
};

const after = (millis, value) => new Promise((resolve) => setTimeout(() => resolve(value), millis));
