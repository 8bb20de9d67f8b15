import { createTraceState, ROOT_CONTEXT, SpanKind, TraceFlags, type TraceState, trace } from '@opentelemetry/api';
import { TraceState as CoreTraceState } from '@opentelemetry/core';
import type { DegradationLevel } from '@otel-resilience/core';
import { expect, test } from 'vitest';
import { DegradationSampler } from './degradation-sampler.js';
import { samplingHandover } from './sampling-handover.js';

const RECORD = 1;
const SAMPLED = 2;
const SPAN_ID = '2'.repeat(16);
/** Their randomness is 0.999…, 0.6 and 0.0…1. */
const HIGH = `${'1'.repeat(18)}ffffffffffffff`;
const MIDDLE = `${'1'.repeat(18)}99999999999999`;
const LOW = `${'1'.repeat(18)}00000000000001`;

function remote(
  sampler: DegradationSampler,
  traceId: string,
  { sampled = true, state }: { sampled?: boolean; state?: string | TraceState } = {},
) {
  const traceState = typeof state === 'string' ? new CoreTraceState(state) : state;
  const context = trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId: SPAN_ID,
    traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote: true,
    traceState,
  });
  const result = sampler.shouldSample(context, traceId, 'GET /', SpanKind.SERVER, {}, []);
  // As the SDK does: what is not given is inherited.
  return {
    decision: result.decision,
    state: (result.traceState ?? traceState)?.serialize(),
    inherited: !result.traceState,
  };
}

const at = (level: DegradationLevel, more: object = {}) => new DegradationSampler({ controller: { level }, ...more });
const unreadable: TraceState = {
  get: () => {
    throw new Error('must not be read');
  },
  set: () => unreadable,
  unset: () => unreadable,
  serialize: () => 'ot=th:8',
};

test('where nothing would change the flag decides, and the tracestate is not even read', () => {
  for (const sampler of [at('normal'), at('heavy', { degradeRemoteParents: false })]) {
    expect(remote(sampler, LOW, { state: unreadable })).toEqual({
      decision: SAMPLED,
      state: 'ot=th:8',
      inherited: true,
    });
    expect(remote(sampler, HIGH, { state: unreadable, sampled: false })).toMatchObject({
      decision: RECORD,
      inherited: true,
    });
    expect(sampler.stats()).toMatchObject({ parent: 1, sampled: 1, recordOnly: 1 });
  }
});

test('a parent that was not sampled stays so at every level', () => {
  expect(remote(at('light'), HIGH, { sampled: false, state: 'vendor=1' })).toEqual({
    decision: RECORD,
    state: 'vendor=1',
    inherited: true,
  });
});

test.each([
  ['light', MIDDLE, 'ot=th:4', SAMPLED, 'ot=th:8'],
  ['light', LOW, 'ot=th:0', RECORD, ''],
  ['light', HIGH, 'ot=th:c', SAMPLED, 'ot=th:c'],
  ['moderate', MIDDLE, 'ot=th:8', RECORD, ''],
  ['moderate', LOW, 'ot=rv:ffffffffffff00;th:8;x:1,v=1', SAMPLED, 'ot=th:e666;rv:ffffffffffff00;x:1,v=1'],
  ['moderate', HIGH, 'ot=rv:80000000000000;th:8;x:1,v=1', RECORD, 'ot=rv:80000000000000;x:1,v=1'],
  ['light', HIGH, 'v=1,ot=th:4', SAMPLED, 'ot=th:8,v=1'],
] as const)('at %s, %s with %s: %i and %j', (level, traceId, state, decision, expected) => {
  expect(remote(at(level), traceId, { state })).toMatchObject({ decision, state: expected });
});

test.each([
  ['none', MIDDLE, 'v=1', 'v=1'],
  ['one that the randomness does not reach', MIDDLE, 'ot=th:f;x:1,v=1', 'ot=x:1,v=1'],
  ['a malformed one', MIDDLE, 'ot=th:zz,v=1', 'v=1'],
  ['a randomness that says nothing', MIDDLE, 'ot=th:4;rv:1,v=1', 'v=1'],
] as const)('a kept span of a parent with %s as threshold says none', (_what, traceId, state, expected) => {
  const sampler = at('light');
  expect(remote(sampler, traceId, { state })).toMatchObject({ decision: SAMPLED, state: expected });
  expect(sampler.stats()).toMatchObject({ unknown: 1, sampled: 1 });
});

test('a threshold of the parent that is the higher one stays where it is and as it is', () => {
  const state = 'v=1,ot=x:1;th:C0';
  expect(remote(at('light'), HIGH, { state })).toEqual({ decision: SAMPLED, state, inherited: true });
});

test('a parent without a tracestate is thinned by the trace id, and nothing is made up', () => {
  expect(remote(at('light'), MIDDLE)).toEqual({ decision: SAMPLED, state: undefined, inherited: true });
  expect(remote(at('light'), LOW)).toEqual({ decision: RECORD, state: undefined, inherited: true });
});

test('at emergency the local root alone is recorded, and the mark changes nothing that is sent', () => {
  const sampler = at('emergency');
  const context = trace.setSpanContext(ROOT_CONTEXT, {
    traceId: LOW,
    spanId: SPAN_ID,
    traceFlags: TraceFlags.SAMPLED,
    isRemote: true,
    traceState: createTraceState('v=1,ot=th:0;x:1'),
  });
  const { decision, traceState } = sampler.shouldSample(context, LOW, 'x', 1, {}, []);
  expect([decision, traceState!.serialize()]).toEqual([RECORD, 'ot=x:1,v=1']);
  const spanContext = { traceId: LOW, spanId: SPAN_ID, traceFlags: 0, traceState };
  const recorded = { spanContext: () => spanContext, isRecording: () => true } as never;
  expect(sampler.shouldSample(trace.setSpan(ROOT_CONTEXT, recorded), LOW, 'x', 1, {}, []).decision).toBe(0);
});

test('the tail is told of remote parents: what was random elsewhere is random', () => {
  for (const sampled of [true, false]) {
    remote(at('normal'), MIDDLE, { sampled });
    expect(samplingHandover).toMatchObject({ traceId: MIDDLE, parentSpanId: SPAN_ID, certainty: 'all', holds: true });
  }
});

test('a parent whose context is not valid is none', () => {
  const context = trace.setSpanContext(ROOT_CONTEXT, {
    traceId: '0'.repeat(32),
    spanId: SPAN_ID,
    traceFlags: TraceFlags.NONE,
    isRemote: true,
  });
  const result = at('normal').shouldSample(context, HIGH, 'x', 0, {}, []);
  expect([result.decision, result.traceState?.get('ot')]).toEqual([SAMPLED, 'th:0']);
});
