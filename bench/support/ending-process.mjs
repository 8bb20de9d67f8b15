// An application that makes and ends spans through one set of processors, which take turns. Asked by `processor.mjs`.
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { deliveredOutcome, estimateSpanBytes, SpanBatchExporterBase } from '@otel-resilience/core';
import { AdaptiveBatchSpanProcessor } from '@otel-resilience/processor';
import { interleave } from '../harness.mjs';
import { endOne } from './one-shape.mjs';
import { answer } from './processes.mjs';
import { makeSpanTemplates, spanEnder } from './varied-spans.mjs';

const SPANS_PER_TURN = 100;
const SAME = { maxQueueSize: 10_000, maxExportBatchSize: 512 };

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

const encoding = () => ({
  stock: new BatchSpanProcessor(noopExporter(), SAME),
  ours: ours(new NoopOtlpExporter(), SAME),
});
const endVaried = (provider) => spanEnder(provider, makeSpanTemplates());

const SETS = {
  queue: () => ({
    none: undefined,
    stock: new BatchSpanProcessor(noopExporter(), SAME),
    ours: ours(noopExporter(), SAME),
  }),
  queueDefaults: () => ({ stock: new BatchSpanProcessor(noopExporter()), ours: ours(noopExporter()) }),
  encode: encoding,
  encodeVaried: encoding,
};

answer({
  /** Nanoseconds per span, by contender, one value per round. */
  measure: (set, rounds) => measure(SETS[set](), rounds, set === 'encodeVaried' ? endVaried : endOneShape),
  estimate: () => interleave({ estimate: estimateOnly() }, { rounds: 11 }),
});

async function measure(processors, rounds, makeEnder) {
  const entries = Object.entries(processors);
  const contenders = Object.fromEntries(entries.map(([name, processor]) => [name, load(processor, makeEnder)]));
  const nanos = await interleave(contenders, { rounds, warmupRounds: 5, millis: 100, measure: 'cpu' });
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

function endOneShape(provider) {
  const tracer = provider.getTracer('bench');
  return () => endOne(tracer);
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
