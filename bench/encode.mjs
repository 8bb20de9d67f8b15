// The claim: spans become OTLP bytes several times faster than with the stock serializer, and without garbage.
//
// Both make an ExportTraceServiceRequest of the same 512 spans (the stock processor's batch), a different 512 each time,
// out of spans that a real tracer has ended. Homogeneous: all of one shape (10 attributes, 1 event, about 590 bytes), as
// benches like them. Varied: of many shapes, from nine scopes, as applications have them; both encoders then run in code
// that the engine cannot tailor to a shape. `heapBytesPerSpan` is what ours leaves to the garbage collector on the
// JavaScript heap; what both leave outside of it are the requests themselves.
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base';
import { encodeSpans } from '@otel-resilience/core';
import { allocatedBytes, interleave, ratios, summarize } from './harness.mjs';
import { makeSpanTemplates, spanEnder } from './support/varied-spans.mjs';

const BATCH = 512;
const BATCHES = 16;

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

export async function run({ log }) {
  const homogeneous = batchesOf(homogeneousSpans());
  const varied = batchesOf(variedSpans());
  const bytesPerSpan = (batches) => encodeSpans(batches.flat()).byteLength / batches.flat().length;

  // The varied spans first and last: afterwards, no encoder is tailored to one shape any more, as in an application.
  log(`encode: ${4 * 2} contenders in 21 interleaved rounds of batches of ${BATCH}, about 40 s`);
  const apart = await interleave(
    { stockHomogeneous: serializing(homogeneous), oursHomogeneous: encoding(homogeneous) },
    OPTIONS,
  );
  const mixed = await interleave({ stockVaried: serializing(varied), oursVaried: encoding(varied) }, OPTIONS);
  const nanos = { ...apart, ...mixed };

  const { metrics, spread } = summarize({
    homogeneousRatio: ratios(nanos.stockHomogeneous, nanos.oursHomogeneous),
    variedRatio: ratios(nanos.stockVaried, nanos.oursVaried),
    stockHomogeneousNanos: nanos.stockHomogeneous,
    oursHomogeneousNanos: nanos.oursHomogeneous,
    stockVariedNanos: nanos.stockVaried,
    oursVariedNanos: nanos.oursVaried,
  });
  return {
    metrics: {
      ...metrics,
      heapBytesPerSpan: allocatedBytes(encoding(varied), BATCH * BATCHES),
      stockHeapBytesPerSpan: allocatedBytes(serializing(varied), BATCH * BATCHES),
      homogeneousBytesPerSpan: Math.round(bytesPerSpan(homogeneous)),
      variedBytesPerSpan: Math.round(bytesPerSpan(varied)),
    },
    spread,
  };
}

const OPTIONS = { rounds: 21, warmupRounds: 3, millis: 150, measure: 'cpu' };

function homogeneousSpans() {
  const tracer = new BasicTracerProvider().getTracer('bench');
  return Array.from({ length: BATCH * BATCHES }, (_, i) => {
    const span = tracer.startSpan('GET /api/v1/users/:id', { kind: 1, attributes: ATTRIBUTES });
    span.addEvent('cache lookup', { 'cache.hit': false, 'cache.key': `user:${i}` });
    span.end();
    return span;
  });
}

function variedSpans() {
  const end = spanEnder(new BasicTracerProvider(), makeSpanTemplates({ seed: 1 }));
  return Array.from({ length: BATCH * BATCHES }, (_, i) => end(i));
}

function batchesOf(spans) {
  return Array.from({ length: BATCHES }, (_, i) => spans.slice(i * BATCH, (i + 1) * BATCH));
}

const encoding = (batches) => repeating(batches, encodeSpans);
const serializing = (batches) => repeating(batches, (spans) => ProtobufTraceSerializer.serializeRequest(spans));

/** An iteration is a span. */
function repeating(batches, encode) {
  let next = 0;
  return (iterations) => {
    for (let spans = 0; spans < iterations; spans += BATCH) {
      const bytes = encode(batches[next++ % BATCHES]);
      if (bytes.byteLength < BATCH * 50) throw new Error('that is no request');
    }
  };
}
