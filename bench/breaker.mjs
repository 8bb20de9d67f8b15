// The claim: guarding a call costs well under a tenth of a microsecond, and at most a third of what cockatiel takes.
//
// Like for like: all three judge a failure rate of 0.5 of at least 10 calls in a window of 60 s and stay open for
// 30 s; ours also watches for failures in a row, as it does by default, and opossum leaves out its percentiles.
// - `vs…`: ours is one permit acquired and settled. The others offer nothing but running a function, so theirs is that,
//   with the cheapest function there is: it returns at once, and no promise.
// - `call…`: all run that function, ours through `call(fn)`.
// - `async…`: all guard a function that returns a promise, as an export does, and wait for it; its own cost is in all.
import { systemClock } from '@otel-resilience/core';
import { CircuitBreaker } from '@otel-resilience/exporter';
import { circuitBreaker, handleAll, SamplingBreaker } from 'cockatiel';
import Opossum from 'opossum';
import { allocatedBytes, interleave, ratios, round, summarize } from './harness.mjs';

const WINDOW_MILLIS = 60_000;
const OPEN_MILLIS = 30_000;
const MINIMUM_CALLS = 10;
// Everything here dies young, and what is measured is shorter than what other programs take away from it.
const HOW = { rounds: 25, measure: 'cpu', collect: false };

export async function run({ log }) {
  log('breaker: 2 × 25 interleaved rounds, about 15 s');
  const plain = await measurePlain();
  const guarding = await measureAsync();
  const { metrics, spread } = summarize({
    tryAcquireNanos: plain.permit,
    vsCockatiel: ratios(plain.cockatiel, plain.permit),
    vsOpossum: ratios(plain.opossum, plain.permit),
    tryAcquireCountWindowNanos: plain.permitCountWindow,
    refusedNanos: plain.refused,
    clockReadNanos: plain.clockRead,
    cockatielNanos: plain.cockatiel,
    opossumNanos: plain.opossum,
    callNanos: plain.call,
    callVsCockatiel: ratios(plain.cockatiel, plain.call),
    callVsOpossum: ratios(plain.opossum, plain.call),
    asyncPermitNanos: guarding.permit,
    asyncVsCockatiel: ratios(guarding.cockatiel, guarding.permit),
    asyncVsOpossum: ratios(guarding.opossum, guarding.permit),
  });
  const bytesPerPermit = round(allocatedBytes(permits(new CircuitBreaker())));
  return { metrics: { ...metrics, clockReadsPerPermit: clockReads(), bytesPerPermit }, spread };
}

async function measurePlain() {
  const guarded = () => 1;
  const ours = new CircuitBreaker();
  const tripped = new CircuitBreaker();
  tripped.trip();
  const cockatiel = makeCockatiel();
  const opossum = makeOpossum(guarded);
  const nanos = await interleave(
    {
      permit: permits(ours),
      permitCountWindow: permits(new CircuitBreaker({ window: 'count' })),
      refused: permits(tripped),
      call: awaited(() => ours.call(guarded)),
      cockatiel: awaited(() => cockatiel.execute(guarded)),
      opossum: awaited(() => opossum.fire()),
      clockRead: (iterations) => {
        for (let i = 0; i < iterations; i++) systemClock.now();
      },
    },
    HOW,
  );
  opossum.shutdown();
  return nanos;
}

async function measureAsync() {
  const guarded = async () => 1;
  const ours = new CircuitBreaker();
  const cockatiel = makeCockatiel();
  const opossum = makeOpossum(guarded);
  const permit = async () => {
    const permit = ours.tryAcquire();
    if (!permit) return;
    try {
      await guarded();
      permit.success();
    } catch {
      permit.failure();
    }
  };
  const nanos = await interleave(
    {
      permit: awaited(permit),
      cockatiel: awaited(() => cockatiel.execute(guarded)),
      opossum: awaited(() => opossum.fire()),
    },
    HOW,
  );
  opossum.shutdown();
  return nanos;
}

function permits(breaker) {
  return (iterations) => {
    for (let i = 0; i < iterations; i++) breaker.tryAcquire()?.success();
  };
}

function awaited(call) {
  return async (iterations) => {
    for (let i = 0; i < iterations; i++) await call();
  };
}

function makeCockatiel() {
  const minimumRps = MINIMUM_CALLS / (WINDOW_MILLIS / 1_000);
  const breaker = new SamplingBreaker({ threshold: 0.5, duration: WINDOW_MILLIS, minimumRps });
  return circuitBreaker(handleAll, { halfOpenAfter: OPEN_MILLIS, breaker });
}

function makeOpossum(action) {
  return new Opossum(action, {
    timeout: false,
    resetTimeout: OPEN_MILLIS,
    errorThresholdPercentage: 50,
    volumeThreshold: MINIMUM_CALLS,
    rollingCountTimeout: WINDOW_MILLIS,
    rollingCountBuckets: 60,
    rollingPercentilesEnabled: false,
    enableSnapshots: false,
  });
}

/** Most clock reads between asking for a permit and having settled it. */
function clockReads() {
  let reads = 0;
  const now = () => {
    reads++;
    return performance.now();
  };
  const breaker = new CircuitBreaker({ clock: { ...systemClock, now } });
  let most = 0;
  for (let i = 0; i < 1_000; i++) {
    reads = 0;
    breaker.tryAcquire()?.success({ durationMillis: 1 });
    most = Math.max(most, reads);
  }
  return most;
}
