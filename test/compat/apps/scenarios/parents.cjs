/** What becomes of roots and of spans with a remote parent, under the sampler that `OTEL_TRACES_SAMPLER` names. */
exports.run = async ({ api, sdkNode, node }) => {
  const r = node.resilience({ endpoints: [process.env.ENDPOINTS] });
  const sdk = new sdkNode.NodeSDK({ ...r.sdk });
  sdk.start();
  const tracer = api.trace.getTracer('compat');
  const spans = [];
  const end = (kind, parent) => {
    const span = tracer.startSpan(kind, { kind: api.SpanKind.SERVER }, parent);
    const { traceId, spanId, traceFlags, traceState } = span.spanContext();
    spans.push({ kind, traceId, spanId, sampled: (traceFlags & 1) === 1, traceState: traceState?.serialize() ?? '' });
    span.end();
  };
  for (let i = 0; i < 200; i++) {
    end('root', api.ROOT_CONTEXT);
    end('of a sampled parent', remoteParent(api, '01'));
    end('of an unsampled parent', remoteParent(api, '00'));
  }
  await sdk.shutdown();
  return { spans, status: r.status() };
};

/** As it comes with a request: through the propagator that NodeSDK has set. */
function remoteParent(api, flags) {
  const hex = (bytes) => Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => (byte | 16).toString(16));
  const carrier = { traceparent: `00-${hex(16).join('')}-${hex(8).join('')}-${flags}`, tracestate: 'vendor=a' };
  return api.propagation.extract(api.ROOT_CONTEXT, carrier);
}
