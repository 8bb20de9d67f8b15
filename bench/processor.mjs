// The claim: our processor costs the application about what the stock one does, byte bound, lanes and ledger included.
//
// Each contender makes and ends the span of FACTS (10 attributes, 1 event, about 590 bytes encoded) through a tracer
// with one processor, over an exporter that takes spans and does nothing. Spans come 100 to a turn of the event loop,
// as from requests. `queueRatio` is ours ÷ stock with the same queue and batch size; `queueRatioDefaults` with the
// defaults of each, where ours keeps twice as many spans alive (batches of 1,000 instead of 512), which the garbage
// collector charges for. CPU time of the whole process, collector threads included, since what counts is what the
// application no longer has.
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { estimateSpanBytes } from '@otel-resilience/core';
import { AdaptiveBatchSpanProcessor } from '@otel-resilience/processor';
import { interleave, ratios, spreadOf, summarize } from './harness.mjs';

const SPANS_PER_TURN = 100;
const SAME = { maxQueueSize: 10_000, maxExportBatchSize: 512 };

const ATTRIBUTES = {
  'http.request.method': 'GET',
  'url.full': 'https://shop.example.com/api/v1/users/8231?expand=orders',
  'http.route': '/api/v1/users/:id',
  'http.response.status_code': 200,
  'server.address': 'shop.example.com',
  'server.port': 443,
  'network.protocol.version': '1.1',
  'user_agent.original': 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36',
  'app.tenant': 'acme-corporation',
  'app.cached': false,
};
const EVENT = { 'cache.hit': false, 'cache.key': 'user:8231' };

const noopExporter = () => ({
  export: (_, done) => done({ code: 0 }),
  forceFlush: async () => {},
  shutdown: async () => {},
});

export async function run({ log }) {
  const processors = {
    none: undefined,
    stock: new BatchSpanProcessor(noopExporter(), SAME),
    ours: new AdaptiveBatchSpanProcessor({ exporter: noopExporter(), ...SAME }),
    stockDefaults: new BatchSpanProcessor(noopExporter()),
    oursDefaults: new AdaptiveBatchSpanProcessor({ exporter: noopExporter() }),
  };
  const contenders = Object.fromEntries(Object.entries(processors).map(([name, processor]) => [name, load(processor)]));

  log('processor: 41 interleaved rounds of 5 contenders, about 25 s');
  const nanos = await interleave(contenders, { rounds: 41, warmupRounds: 5, millis: 100, measure: 'cpu' });
  const estimate = await interleave({ estimate: estimateOnly() }, { rounds: 11 });
  for (const name of ['ours', 'oursDefaults']) checkNothingDropped(name, processors[name]);

  const queueRatio = ratios(nanos.ours, nanos.stock);
  const queueRatioDefaults = ratios(nanos.oursDefaults, nanos.stockDefaults);
  const { metrics, spread } = summarize({
    queueRatio,
    queueRatioDefaults,
    noneNanos: nanos.none,
    stockNanos: nanos.stock,
    oursNanos: nanos.ours,
    estimateNanos: estimate.estimate,
  });
  return {
    metrics: {
      ...metrics,
      queueRatioUpper90: spreadOf(queueRatio).upper90,
      queueRatioDefaultsUpper90: spreadOf(queueRatioDefaults).upper90,
    },
    spread,
  };
}

function load(processor) {
  const provider = new BasicTracerProvider({ spanProcessors: processor ? [processor] : [] });
  const tracer = provider.getTracer('bench');
  return async (iterations) => {
    for (let done = 0; done < iterations; done += SPANS_PER_TURN) {
      for (let i = Math.min(SPANS_PER_TURN, iterations - done); i > 0; i--) endOne(tracer);
      await new Promise(setImmediate);
    }
  };
}

function endOne(tracer) {
  const span = tracer.startSpan('GET /api/v1/users/:id', { kind: 1, attributes: ATTRIBUTES });
  span.addEvent('cache lookup', EVENT);
  span.end();
  return span;
}

function estimateOnly() {
  const span = endOne(new BasicTracerProvider().getTracer('bench'));
  return (iterations) => {
    for (let i = 0; i < iterations; i++) if (estimateSpanBytes(span) < 100) throw new Error('impossible');
  };
}

/** A processor that lost spans would be fast. */
function checkNothingDropped(name, processor) {
  const { ledger } = processor.stats();
  if (ledger.balanced && Object.keys(ledger.dropped).length === 0) return;
  throw new Error(`${name} dropped spans: ${JSON.stringify(ledger)}`);
}
