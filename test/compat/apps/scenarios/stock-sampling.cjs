const { endLocalTraces } = require('../local-traces.cjs');

/** Our sampler around a stock one, our tail sampling and trimming before a stock processor that looks at ending spans. */
exports.run = async ({ api, sdkNode, sdkTrace, protoExporter, processor, sampler: ours }) => {
  const controller = { level: 'heavy' };
  const exporter = new protoExporter.OTLPTraceExporter({ url: `${process.env.ENDPOINTS}/v1/traces` });
  class Noting extends sdkTrace.BatchSpanProcessor {
    onEnding(span) {
      span.setAttribute('compat.ending', 'seen');
    }
  }
  const stock = process.env.TRACE_SDK.endsWith('-base') ? new Noting(exporter) : new Noting({ exporter });
  const trimming = new processor.AttributeTrimmingSpanProcessor({ next: stock, controller });
  const tail = new ours.TailSamplingSpanProcessor({ next: trimming, controller });
  const delegate = new sdkTrace.ParentBasedSampler({ root: new sdkTrace.AlwaysOnSampler() });
  const sampler = new ours.DegradationSampler({ controller, delegate });
  const sdk = new sdkNode.NodeSDK({ sampler, spanProcessors: [tail] });
  sdk.start();
  const traces = endLocalTraces(api, api.trace.getTracer('compat'), 400);
  await sdk.shutdown();

  const withoutOnEnding = new ours.TailSamplingSpanProcessor({ next: new sdkTrace.NoopSpanProcessor() });
  return { traces, tail: tail.stats(), onEndingOnlyIfNextHasIt: withoutOnEnding.onEnding === undefined };
};
