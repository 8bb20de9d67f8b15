// The claim: spans become OTLP bytes several times faster than with the stock serializer, and without garbage.
//
// Homogeneous: both make a request of the same 512 spans (the stock processor's batch), of one shape (10 attributes,
// 1 event, about 540 bytes), as benches like them; the spans are there beforehand.
//
// Varied: what encoding adds in an application that makes and ends spans of many shapes, from nine scopes: an hour's
// mix of a shop. The stock serializer encodes 512 of them once they are together, as its processor does; ours encodes
// each when it ends, and seals 512, as ours does. `variedRatio` is (stock − none) ÷ (ours − none), CPU of the whole
// process, collectors of garbage included, paired by round. `variedPremadeRatio` is of the same spans when they are
// there beforehand, and nothing but encoders runs: then both find code and data where they left them.
//
// `heapBytesPerSpan` is what ours leaves to the garbage collector on the JavaScript heap per homogeneous span; what both
// leave outside of it are the requests themselves.
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base';
import { encodeSpans, SpanBatchBuilder } from '@otel-resilience/core';
import { allocatedBytes, interleave, ratios, summarize } from './harness.mjs';
import { endOne } from './support/one-shape.mjs';
import { makeSpanTemplates, spanEnder } from './support/varied-spans.mjs';

const BATCH = 512;
const BATCHES = 4;
const SPANS_PER_TURN = 100;

export async function run({ log }) {
  const homogeneous = batchesOf(endHomogeneous());
  const varied = batchesOf(endVaried());

  log('encode: 7 contenders in 21 interleaved rounds, about 60 s');
  const premade = {
    ...(await interleave({ stockHomogeneous: stock(homogeneous), oursHomogeneous: ours(homogeneous) }, PREMADE)),
    ...(await interleave({ stockVaried: stock(varied), oursVaried: ours(varied) }, PREMADE)),
  };
  const inProcess = await interleave(
    {
      none: ending(() => {}),
      stock: ending(batching(ProtobufTraceSerializer.serializeRequest)),
      ours: ending(encodingAtOnce()),
    },
    { rounds: 21, warmupRounds: 3, millis: 150, measure: 'cpu' },
  );
  const net = (name) => inProcess[name].map((nanos, round) => nanos - inProcess.none[round]);

  const { metrics, spread } = summarize({
    homogeneousRatio: ratios(premade.stockHomogeneous, premade.oursHomogeneous),
    variedRatio: ratios(net('stock'), net('ours')),
    variedPremadeRatio: ratios(premade.stockVaried, premade.oursVaried),
    stockHomogeneousNanos: premade.stockHomogeneous,
    oursHomogeneousNanos: premade.oursHomogeneous,
    stockVariedNanos: net('stock'),
    oursVariedNanos: net('ours'),
    stockVariedPremadeNanos: premade.stockVaried,
    oursVariedPremadeNanos: premade.oursVaried,
  });
  return {
    metrics: {
      ...metrics,
      heapBytesPerSpan: allocatedBytes(ours(homogeneous), BATCH * 64),
      variedHeapBytesPerSpan: allocatedBytes(ours(varied), BATCH * 64),
      stockHeapBytesPerSpan: allocatedBytes(stock(homogeneous), BATCH * 64),
      homogeneousBytesPerSpan: bytesPerSpan(homogeneous),
      variedBytesPerSpan: bytesPerSpan(varied),
    },
    spread,
  };
}

// No collections are asked for: what encoders leave dies young.
const PREMADE = { rounds: 21, warmupRounds: 5, millis: 60, measure: 'cpu', collect: false };

function endHomogeneous() {
  const tracer = new BasicTracerProvider().getTracer('bench');
  return (i) => endOne(tracer, { 'cache.hit': false, 'cache.key': `user:${i}` });
}

const endVaried = () => spanEnder(new BasicTracerProvider(), makeSpanTemplates({ seed: 1 }));

function batchesOf(end) {
  return Array.from({ length: BATCHES }, (_, batch) => Array.from({ length: BATCH }, (_, i) => end(batch * BATCH + i)));
}

const ours = (batches) => repeating(batches, encodeSpans);
const stock = (batches) => repeating(batches, ProtobufTraceSerializer.serializeRequest);

/** An iteration is a span. */
function repeating(batches, encode) {
  let next = 0;
  return (iterations) => {
    for (let spans = 0; spans < iterations; spans += BATCH) check(encode(batches[next++ % BATCHES]));
  };
}

/** Ends varied spans, 100 to a turn of the event loop, as from requests. */
function ending(take) {
  const end = endVaried();
  let number = 0;
  return async (iterations) => {
    for (let done = 0; done < iterations; done += SPANS_PER_TURN) {
      for (let i = 0; i < SPANS_PER_TURN; i++) take(end(number++));
      await new Promise(setImmediate);
    }
  };
}

function batching(encode) {
  let spans = [];
  return (span) => {
    spans.push(span);
    if (spans.length < BATCH) return;
    check(encode(spans));
    spans = [];
  };
}

function encodingAtOnce() {
  const builder = new SpanBatchBuilder();
  return (span) => {
    builder.add(span);
    if (builder.spanCount >= BATCH) check(builder.seal());
  };
}

function check({ byteLength }) {
  if (byteLength < BATCH * 50) throw new Error('that is no request');
}

const bytesPerSpan = (batches) => Math.round(encodeSpans(batches.flat()).byteLength / (BATCH * BATCHES));
