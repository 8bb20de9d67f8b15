// The claim: what stands between the processor and the wire costs a batch some tens of
// microseconds, however many spans it has.
//
// A batch is exported by a leaf that answers at once; around it stand the layers that the preset puts there, with their
// defaults. Each figure is what the layers add: the leaf alone is taken off, round by round.
// - `chain…`: retry, failover with its attempt timeout, a circuit breaker around each of two endpoints.
// - `tiered…`: the same as the hot tier of a TieredSpanExporter, whose memory spool nothing enters.
// - `vsCockatiel`: cockatiel's policies around the same leaf: retry, fallback, timeout and breaker, the same numbers.
//   They know nothing of outcomes that are partly good, of hints, slots or late answers.
import { deliveredOutcome, SpanBatchExporterBase, systemClock } from '@otel-resilience/core';
import { CircuitBreakerSpanExporter, FailoverSpanExporter, RetryingSpanExporter } from '@otel-resilience/exporter';
import { MemorySpool, TieredSpanExporter } from '@otel-resilience/tiered';
import {
  circuitBreaker,
  ExponentialBackoff,
  fallback,
  handleAll,
  retry,
  SamplingBreaker,
  TimeoutStrategy,
  timeout,
  wrap,
} from 'cockatiel';
import { allocatedBytesAwaited, interleave, ratios, round, summarize } from './harness.mjs';
import { encodedBatch } from './support/encoded-batch.mjs';

// Everything here dies young; what is measured is the whole process, timers included.
const HOW = { rounds: 25, measure: 'cpu', collect: false };
const BATCH_BYTES = 300_000;
const ENDPOINT_NAMES = ['a', 'b'];

export async function run({ log }) {
  log('layers: 25 interleaved rounds, about 30 s');
  const batch = encodedBatch(BATCH_BYTES);
  const exporters = {
    leaf: new Leaf(),
    breaker: new CircuitBreakerSpanExporter({ exporter: new Leaf() }),
    failover: failover(),
    chain: new RetryingSpanExporter({ exporter: failover() }),
    tiered: tiered(),
  };
  const contenders = Object.fromEntries(
    Object.entries(exporters).map(([name, exporter]) => [name, exporting(exporter, batch)]),
  );
  contenders.cockatiel = exportingByPolicies(batch);
  const nanos = await interleave(contenders, HOW);
  const micros = (name) => nanos[name].map((value, index) => (value - nanos.leaf[index]) / 1_000);
  const { metrics, spread } = summarize({
    chainMicros: micros('chain'),
    vsCockatiel: ratios(micros('cockatiel'), micros('chain')),
    breakerMicros: micros('breaker'),
    failoverMicros: micros('failover'),
    tieredMicros: micros('tiered'),
    cockatielMicros: micros('cockatiel'),
    leafMicros: nanos.leaf.map((value) => value / 1_000),
  });
  const leafBytes = await allocatedBytesAwaited(contenders.leaf);
  const added = async (name) => round((await allocatedBytesAwaited(contenders[name])) - leafBytes);
  const bytes = {
    chainBytes: await added('chain'),
    tieredBytes: await added('tiered'),
    cockatielBytes: await added('cockatiel'),
  };
  await Promise.all(Object.values(exporters).map((exporter) => exporter.shutdown()));
  return { metrics: { ...metrics, ...bytes }, spread };
}

/** Acknowledges everything in the same turn. */
class Leaf extends SpanBatchExporterBase {
  async exportBatch(batch) {
    return deliveredOutcome(batch.spanCount);
  }
}

function failover() {
  const endpoints = ENDPOINT_NAMES.map((name) => ({
    name,
    exporter: new CircuitBreakerSpanExporter({ exporter: new Leaf() }),
  }));
  return new FailoverSpanExporter({ endpoints });
}

function tiered() {
  const hot = new RetryingSpanExporter({ exporter: failover() });
  return new TieredSpanExporter({ hot, spool: new MemorySpool() });
}

/** As a processor does it: a deadline for each, and one signal for all. */
function exporting(exporter, batch) {
  const { signal } = new AbortController();
  return async (iterations) => {
    for (let i = 0; i < iterations; i++) {
      await exporter.exportBatch(batch, { signal, deadline: systemClock.now() + 30_000 });
    }
  };
}

function exportingByPolicies(batch) {
  const [a, b] = ENDPOINT_NAMES.map(() => {
    const leaf = new Leaf();
    const breaker = circuitBreaker(handleAll, {
      halfOpenAfter: 30_000,
      breaker: new SamplingBreaker({ threshold: 0.5, duration: 60_000, minimumRps: 10 / 60 }),
    });
    const policy = wrap(timeout(2_000, TimeoutStrategy.Aggressive), breaker);
    return (context) =>
      policy.execute(
        ({ signal }) => leaf.exportBatch(batch, { signal, deadline: systemClock.now() + 30_000 }),
        context.signal,
      );
  });
  const backoff = new ExponentialBackoff({ initialDelay: 100, maxDelay: 10_000 });
  const policy = wrap(
    retry(handleAll, { maxAttempts: 3, backoff }),
    fallback(handleAll, () => b({})),
  );
  return async (iterations) => {
    for (let i = 0; i < iterations; i++) await policy.execute(a);
  };
}
