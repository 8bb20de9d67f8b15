import { createTraceState, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { AlwaysOnSampler } from '@opentelemetry/sdk-trace-base';
import type { Sampler } from '@otel-resilience/sampler';
import { describe, expect, it } from 'vitest';
import { UNPRINTABLE } from '../support/hostile-spans.js';
import { application, endTrace, thresholdOf } from './application.js';

function thrower(thrown: unknown): () => never {
  return () => {
    throw thrown;
  };
}

const everythingThrows = new Proxy({}, { get: thrower(UNPRINTABLE) });
const brokenState = { get: thrower(new Error('no')), serialize: thrower(UNPRINTABLE) };
const lyingState = { get: () => 'th:0;rv:x', set: () => 5, unset: () => 5, serialize: () => 5 };

const decides = (result: unknown) => ({ shouldSample: () => result });
const intends = (intent: unknown) => ({ getSamplingIntent: () => intent });

/** What `shouldSample` or `getSamplingIntent` may do wrong. */
const DELEGATES: Record<string, object> = {
  'throws an error': { shouldSample: thrower(new Error('no')) },
  'throws what cannot be printed': { shouldSample: thrower(UNPRINTABLE) },
  'returns nothing': decides(undefined),
  'returns null': decides(null),
  'returns a number': decides(2),
  'returns a promise': decides(Promise.resolve({ decision: 2 })),
  'returns an empty result': decides({}),
  'returns a decision that there is not': decides({ decision: 7 }),
  'returns a decision of NaN': decides({ decision: Number.NaN }),
  'returns the name of a decision': decides({ decision: 'RECORD_AND_SAMPLED' }),
  'returns what throws on every access': decides(everythingThrows),
  'returns attributes that are none': decides({ decision: 2, attributes: 5 }),
  'returns attributes that throw': decides({ decision: 2, attributes: everythingThrows }),
  'returns a tracestate that is none': decides({ decision: 2, traceState: 'ot=th:0' }),
  'returns a tracestate that throws': decides({ decision: 2, traceState: brokenState }),
  'returns a tracestate that lies': decides({ decision: 2, traceState: lyingState }),
  'cannot describe itself': { ...decides({ decision: 2 }), toString: thrower(UNPRINTABLE) },
  'describes itself by no string': { ...decides({ decision: 2 }), toString: () => ({}) },
  'throws its intent': { getSamplingIntent: thrower(UNPRINTABLE) },
  'intends nothing': intends(undefined),
  'intends what throws on every access': intends(everythingThrows),
  'has no threshold': intends({ thresholdReliable: true }),
  'has a threshold that is a number': intends({ threshold: 0.5, thresholdReliable: true }),
  'has a threshold of NaN': intends({ threshold: Number.NaN, thresholdReliable: true }),
  'has a threshold that is text': intends({ threshold: '8', thresholdReliable: true }),
  'has a threshold below 0': intends({ threshold: -5n, thresholdReliable: true }),
  'has a threshold beyond 56 bits': intends({ threshold: 1n << 60n, thresholdReliable: true }),
  'throws when it updates the tracestate': intends({
    threshold: 0n,
    thresholdReliable: true,
    updateTraceState: thrower(UNPRINTABLE),
  }),
  'updates the tracestate to none': intends({ threshold: 0n, thresholdReliable: true, updateTraceState: () => 5 }),
  'updates the tracestate to one that lies': intends({
    threshold: 0n,
    thresholdReliable: true,
    updateTraceState: () => lyingState,
  }),
};

const remoteParent = () => {
  const traceState = createTraceState('v=1,ot=th:8');
  const context = { traceId: `${'1'.repeat(18)}${'f'.repeat(14)}`, spanId: '2'.repeat(16), traceFlags: 1 };
  return trace.setSpanContext(ROOT_CONTEXT, { ...context, isRemote: true, traceState });
};

describe.each(Object.keys(DELEGATES))('a delegate that %s', (name) => {
  it.each(['normal', 'heavy', 'emergency'] as const)(
    'at %s throws nothing, and breaks no other span',
    async (level) => {
      const { r, tracer, close } = application({ sampler: { delegate: DELEGATES[name] as never } });
      r.degradation.force(level);
      for (let i = 0; i < 20; i++) {
        for (const parent of [ROOT_CONTEXT, remoteParent()]) endTrace(tracer, { failed: i % 2 === 0, parent });
      }
      const { totals, sampling } = await close();
      expect(totals).toMatchObject({ ended: totals.delivered + totals.unsampled, dropped: {} });
      expect(sampling.sampled + sampling.recordOnly + sampling.notRecorded).toBe(80);
    },
  );
});

describe('a delegate that throws now and then', () => {
  it('is done without, span by span: such roots are sampled, thinned by the level, and not counted on', async () => {
    let calls = 0;
    const alwaysOn = new AlwaysOnSampler();
    const delegate: Sampler = {
      shouldSample: () => (calls++ % 4 === 0 ? thrower(new Error('no'))() : alwaysOn.shouldSample()),
      toString: () => alwaysOn.toString(),
    };
    const { tracer, exporter, close } = application({ sampler: { delegate } });
    for (let i = 0; i < 100; i++) tracer.startSpan('request').end();
    const { sampling } = await close();
    expect(sampling).toMatchObject({ sampled: 100, failures: 25 });
    const thresholds = exporter.deliveredSpans.map(thresholdOf);
    expect(thresholds.filter((th) => th === undefined)).toHaveLength(25);
    expect(thresholds.filter((th) => th === '0')).toHaveLength(75);
  });
});
