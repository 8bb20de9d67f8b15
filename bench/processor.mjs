// The claim: our processor costs the application about what the stock one does, byte bound, lanes and ledger included;
// and when it encodes every span as it ends, not much more than the stock one that encodes nothing.
//
// Each contender makes and ends the span of FACTS (10 attributes, 1 event, about 590 bytes encoded) through a tracer
// with one processor, over an exporter that takes what it is given and does nothing. Spans come 100 to a turn of the
// event loop, as from requests. All ratios are ours ÷ stock:
//
// - `queueRatio`: with the same queue and batch size, over exporters that take spans;
// - `queueRatioDefaults`: the same with the defaults of each, where ours keeps twice as many spans alive (batches of
//   1,000 instead of 512), which the garbage collector charges for;
// - `encodeRatio`: as `queueRatio`, but ours over an exporter that takes bytes, so that it encodes every span;
// - `encodeRatioVaried`: the same with spans of many shapes, values and scopes (`support/varied-spans.mjs`), which are
//   harder to encode, and dearer to make.
//
// CPU time of the whole process, collector threads included, since what counts is what the application no longer has.
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { deliveredOutcome, estimateSpanBytes, SpanBatchExporterBase } from '@otel-resilience/core';
import { AdaptiveBatchSpanProcessor } from '@otel-resilience/processor';
import { interleave, ratios, spreadOf, summarize } from './harness.mjs';
import { makeSpanTemplates, spanEnder } from './support/varied-spans.mjs';

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

/** Takes bytes, which are there already. */
class NoopOtlpExporter extends SpanBatchExporterBase {
  prefers = 'bytes';
  maxConcurrentExports = 1;

  async exportBatch(batch) {
    if (batch.otlp().length !== 1) throw new Error('impossible');
    return deliveredOutcome(batch.spanCount);
  }
}

const ours = (exporter, options) => new AdaptiveBatchSpanProcessor({ exporter, ...options });

export async function run({ log }) {
  log('processor: 41 interleaved rounds of 5 contenders, about 25 s');
  const queues = await measure({
    none: undefined,
    stock: new BatchSpanProcessor(noopExporter(), SAME),
    ours: ours(noopExporter(), SAME),
    stockDefaults: new BatchSpanProcessor(noopExporter()),
    oursDefaults: ours(noopExporter()),
  });
  const estimate = await interleave({ estimate: estimateOnly() }, { rounds: 11 });

  // One after the other, for the engine tailors code to what it has seen, and an application has one kind of queue.
  log('processor: 41 interleaved rounds of 2 contenders, one of which encodes, about 10 s');
  const encoded = await measure(encodingContenders());
  log('processor: the same with varied spans, about 10 s');
  const templates = makeSpanTemplates();
  const varied = await measure(encodingContenders(), (provider) => spanEnder(provider, templates));

  const queueRatio = ratios(queues.ours, queues.stock);
  const queueRatioDefaults = ratios(queues.oursDefaults, queues.stockDefaults);
  const encodeRatio = ratios(encoded.encoding, encoded.stock);
  const encodeRatioVaried = ratios(varied.encoding, varied.stock);
  const { metrics, spread } = summarize({
    queueRatio,
    queueRatioDefaults,
    encodeRatio,
    encodeRatioVaried,
    noneNanos: queues.none,
    stockNanos: queues.stock,
    oursNanos: queues.ours,
    encodingNanos: encoded.encoding,
    stockVariedNanos: varied.stock,
    encodingVariedNanos: varied.encoding,
    estimateNanos: estimate.estimate,
  });
  return {
    metrics: {
      ...metrics,
      queueRatioUpper90: spreadOf(queueRatio).upper90,
      queueRatioDefaultsUpper90: spreadOf(queueRatioDefaults).upper90,
      encodeRatioUpper90: spreadOf(encodeRatio).upper90,
      encodeRatioVariedUpper90: spreadOf(encodeRatioVaried).upper90,
    },
    spread,
  };
}

const encodingContenders = () => ({
  stock: new BatchSpanProcessor(noopExporter(), SAME),
  encoding: ours(new NoopOtlpExporter(), SAME),
});

async function measure(processors, makeEnder = enderOfOneShape) {
  const entries = Object.entries(processors);
  const contenders = Object.fromEntries(entries.map(([name, processor]) => [name, load(processor, makeEnder)]));
  const nanos = await interleave(contenders, { rounds: 41, warmupRounds: 5, millis: 100, measure: 'cpu' });
  for (const [name, processor] of entries) if (processor?.stats) checkNothingDropped(name, processor);
  return nanos;
}

function load(processor, makeEnder) {
  const end = makeEnder(new BasicTracerProvider({ spanProcessors: processor ? [processor] : [] }));
  let count = 0;
  return async (iterations) => {
    for (let done = 0; done < iterations; done += SPANS_PER_TURN) {
      for (let i = Math.min(SPANS_PER_TURN, iterations - done); i > 0; i--) end(count++);
      await new Promise(setImmediate);
    }
  };
}

function enderOfOneShape(provider) {
  const tracer = provider.getTracer('bench');
  return () => endOne(tracer);
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
