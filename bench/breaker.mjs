// The claim: guarding a call costs well under a tenth of a microsecond, and at most a third of what cockatiel takes.
//
// Like for like: all three judge a failure rate of 0.5 of at least 10 calls in a window of 60 s and stay open for
// 30 s; ours also watches for failures in a row, as it does by default, and opossum leaves out its percentiles.
// - `vs…`: ours is one permit acquired and settled. The others offer nothing but running a function, so theirs is that,
//   with the cheapest function there is: it returns at once, and no promise.
// - `async…`: all guard a function that returns a promise, as an export does; its own cost is in all of them.
// - `call…`: all run the cheapest function, ours through `call(fn)`.
import { systemClock } from '@otel-resilience/core';
import { CircuitBreaker } from '@otel-resilience/exporter';
import { circuitBreaker, handleAll, SamplingBreaker } from 'cockatiel';
import Opossum from 'opossum';
import { allocatedBytes, interleave, ratios, round, summarize } from './harness.mjs';

const WINDOW_MILLIS = 60_000;
const OPEN_MILLIS = 30_000;
const MINIMUM_CALLS = 10;

const guarded = () => 1;
const exporting = async () => 1;

export async function run({ log }) {
  const ours = new CircuitBreaker();
  const counting = new CircuitBreaker({ window: 'count' });
  const open = new CircuitBreaker();
  open.trip();
  const cockatiel = circuitBreaker(handleAll, {
    halfOpenAfter: OPEN_MILLIS,
    breaker: new SamplingBreaker({
      threshold: 0.5,
      duration: WINDOW_MILLIS,
      minimumRps: MINIMUM_CALLS / (WINDOW_MILLIS / 1_000),
    }),
  });
  const opossumOptions = {
    timeout: false,
    resetTimeout: OPEN_MILLIS,
    errorThresholdPercentage: 50,
    volumeThreshold: MINIMUM_CALLS,
    rollingCountTimeout: WINDOW_MILLIS,
    rollingCountBuckets: 60,
    rollingPercentilesEnabled: false,
    enableSnapshots: false,
  };
  const opossum = new Opossum(guarded, opossumOptions);
  const opossumExporting = new Opossum(exporting, opossumOptions);

  const permits = (breaker) => (iterations) => {
    for (let i = 0; i < iterations; i++) breaker.tryAcquire()?.success();
  };
  const calls = (call) => async (iterations) => {
    for (let i = 0; i < iterations; i++) await call();
  };

  const permitAround = async (fn) => {
    const permit = ours.tryAcquire();
    if (!permit) return;
    try {
      await fn();
      permit.success();
    } catch {
      permit.failure();
    }
  };

  log('breaker: 25 interleaved rounds of 10 contenders, about 15 s');
  const nanos = await interleave(
    {
      permit: permits(ours),
      permitCountWindow: permits(counting),
      refused: permits(open),
      call: calls(() => ours.call(guarded)),
      cockatiel: calls(() => cockatiel.execute(guarded)),
      opossum: calls(() => opossum.fire()),
      asyncPermit: calls(() => permitAround(exporting)),
      asyncCockatiel: calls(() => cockatiel.execute(exporting)),
      asyncOpossum: calls(() => opossumExporting.fire()),
      clock: (iterations) => {
        for (let i = 0; i < iterations; i++) systemClock.now();
      },
    },
    { rounds: 25 },
  );
  opossum.shutdown();
  opossumExporting.shutdown();

  const { metrics, spread } = summarize({
    tryAcquireNanos: nanos.permit,
    vsCockatiel: ratios(nanos.cockatiel, nanos.permit),
    vsOpossum: ratios(nanos.opossum, nanos.permit),
    tryAcquireCountWindowNanos: nanos.permitCountWindow,
    refusedNanos: nanos.refused,
    clockReadNanos: nanos.clock,
    callNanos: nanos.call,
    cockatielNanos: nanos.cockatiel,
    opossumNanos: nanos.opossum,
    callVsCockatiel: ratios(nanos.cockatiel, nanos.call),
    callVsOpossum: ratios(nanos.opossum, nanos.call),
    asyncPermitNanos: nanos.asyncPermit,
    asyncCockatielNanos: nanos.asyncCockatiel,
    asyncVsCockatiel: ratios(nanos.asyncCockatiel, nanos.asyncPermit),
    asyncVsOpossum: ratios(nanos.asyncOpossum, nanos.asyncPermit),
  });
  return {
    metrics: {
      ...metrics,
      clockReadsPerPermit: clockReads(),
      bytesPerPermit: round(allocatedBytes(permits(ours))),
    },
    spread,
  };
}

/** Most clock reads between asking for a permit and having settled it. */
function clockReads() {
  let reads = 0;
  const clock = {
    ...systemClock,
    now: () => {
      reads++;
      return performance.now();
    },
  };
  const breaker = new CircuitBreaker({ clock });
  let most = 0;
  for (let i = 0; i < 1_000; i++) {
    reads = 0;
    breaker.tryAcquire()?.success({ durationMillis: 1 });
    most = Math.max(most, reads);
  }
  return most;
}
