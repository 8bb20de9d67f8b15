const { endLocalTraces } = require('../local-traces.cjs');

/** A sampler of one module format before a tail of the other, which stands before a processor of the first. */
exports.run = async (esm) => {
  const { api, protoExporter, sdkTrace } = esm;
  const cjs = { sampler: require('@otel-resilience/sampler'), processor: require('@otel-resilience/processor') };
  const runs = [];
  for (const [sampling, tailing] of [
    [esm, cjs],
    [cjs, esm],
  ]) {
    const controller = { level: 'heavy' };
    const exporter = new protoExporter.OTLPTraceExporter({ url: `${process.env.ENDPOINTS}/v1/traces` });
    const batching = new sampling.processor.AdaptiveBatchSpanProcessor({ exporter, controller });
    const trimming = new tailing.processor.AttributeTrimmingSpanProcessor({ next: batching, controller });
    const tail = new tailing.sampler.TailSamplingSpanProcessor({ next: trimming, controller });
    const sampler = new sampling.sampler.DegradationSampler({ controller });
    const provider = new (sdkTrace.BasicTracerProvider ?? sdkTrace.TracerProvider)({ sampler, spanProcessors: [tail] });
    const traces = endLocalTraces(api, provider.getTracer('compat'), 100);
    const { ledger } = batching.stats();
    await provider.shutdown();
    runs.push({ traces, ended: ledger, tail: tail.stats(), shutDown: batching.stats().ledger });
  }
  return { twoCopies: cjs.sampler.DegradationSampler !== esm.sampler.DegradationSampler, runs };
};
