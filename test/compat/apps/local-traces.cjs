/**
 * Ends `count` local traces of a root and a child, every 20th with an error in the child. Returns what the test compares
 * with what the collector has received.
 */
exports.endLocalTraces = (api, tracer, count) =>
  Array.from({ length: count }, (_, index) => {
    const failed = index % 20 === 0;
    const root = tracer.startSpan('request', { kind: api.SpanKind.SERVER });
    const child = tracer.startSpan('query', {}, api.trace.setSpan(api.context.active(), root));
    if (failed) child.setStatus({ code: api.SpanStatusCode.ERROR, message: 'no' });
    child.end();
    root.end();
    return {
      traceId: root.spanContext().traceId,
      spanIds: [root, child].map((span) => span.spanContext().spanId),
      failed,
    };
  });
