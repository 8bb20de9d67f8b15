import { type Attributes, ROOT_CONTEXT, SpanKind, TraceFlags, trace } from '@opentelemetry/api';
import { TraceState } from '@opentelemetry/core';
import {
  createComposableAlwaysOffSampler,
  createComposableAnnotatingSampler,
  createComposableParentThresholdSampler,
  createComposableProbabilitySampler,
  createCompositeSampler,
} from '@opentelemetry/sampler-composite';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-base';
import type { DegradationLevel } from '@otel-resilience/core';
import { expect, test } from 'vitest';
import { DegradationSampler } from './degradation-sampler.js';
import type { ComposableSampler, Sampler } from './delegate.js';
import { samplingHandover } from './sampling-handover.js';

const NOT_RECORD = 0;
const RECORD = 1;
const SAMPLED = 2;
const HIGH = `${'1'.repeat(18)}ffffffffffffff`;
const MIDDLE = `${'1'.repeat(18)}99999999999999`;
const LOW = `${'0'.repeat(31)}1`;
const parentBased = new ParentBasedSampler({ root: new AlwaysOnSampler() });

const at = (level: DegradationLevel, delegate: Sampler | ComposableSampler, more: object = {}) =>
  new DegradationSampler({ controller: { level }, delegate, ...more });
const answering = (result: ReturnType<Sampler['shouldSample']>): Sampler => ({ shouldSample: () => result });

interface Parent {
  readonly sampled?: boolean;
  readonly state?: string;
  readonly isRemote?: boolean;
}

function decide(sampler: DegradationSampler, traceId: string, parent?: Parent) {
  const traceState = parent?.state === undefined ? undefined : new TraceState(parent.state);
  const context = parent
    ? trace.setSpanContext(ROOT_CONTEXT, {
        traceId,
        spanId: '2'.repeat(16),
        traceFlags: (parent.sampled ?? true) ? TraceFlags.SAMPLED : TraceFlags.NONE,
        isRemote: parent.isRemote ?? true,
        traceState,
      })
    : ROOT_CONTEXT;
  const result = sampler.shouldSample(context, traceId, 'GET /', SpanKind.SERVER, {}, []);
  return {
    decision: result.decision,
    state: (result.traceState ?? traceState)?.serialize(),
    attributes: result.attributes,
  };
}

test.each([
  ['AlwaysOn', new AlwaysOnSampler()],
  ['ParentBased over AlwaysOn', parentBased],
])('roots that %s keeps are all there are: the threshold is ours', (_what, delegate) => {
  expect(decide(at('normal', delegate), LOW)).toMatchObject({ decision: SAMPLED, state: 'ot=th:0' });
  expect(samplingHandover).toMatchObject({ certainty: 'all', holds: false });
  expect(decide(at('light', delegate), MIDDLE)).toMatchObject({ decision: SAMPLED, state: 'ot=th:8' });
  expect(decide(at('light', delegate), LOW)).toMatchObject({ decision: RECORD, state: undefined });
  expect(samplingHandover).toMatchObject({ certainty: 'all', holds: true });
});

test('what another sampler keeps by rules of its own has a probability that nobody knows', () => {
  const delegate = new TraceIdRatioBasedSampler(0.5);
  const sampler = at('light', delegate);
  // Its first 32 bits say yes, to MIDDLE's as well as to LOW's.
  expect(decide(at('normal', delegate), LOW)).toMatchObject({ decision: SAMPLED, state: undefined });
  expect(samplingHandover).toMatchObject({ certainty: 'all', holds: true });
  expect(decide(sampler, LOW)).toMatchObject({ decision: RECORD });
  const state = 'ot=th:4,v=1';
  expect(decide(at('normal', answering({ decision: SAMPLED })), MIDDLE, { state })).toMatchObject({
    decision: SAMPLED,
    state: 'v=1',
  });
  expect(sampler.stats().unknown + at('normal', delegate).stats().unknown).toBe(0);
});

test('what it drops is not sampled, but recorded as the level has it; what it records stays recorded', () => {
  expect(decide(at('normal', new AlwaysOffSampler()), HIGH)).toMatchObject({ decision: RECORD, state: undefined });
  const off = { keepErrors: 'off' };
  expect(decide(at('normal', new AlwaysOffSampler(), off), HIGH).decision).toBe(NOT_RECORD);
  expect(decide(at('normal', answering({ decision: RECORD }), off), HIGH).decision).toBe(RECORD);
  expect(samplingHandover).toMatchObject({ certainty: 'none', holds: false });
});

test('a remote parent is followed through ParentBased, and thinned by the level', () => {
  const state = 'ot=th:4,v=1';
  expect(decide(at('normal', parentBased), LOW, { state: 'ot=th:0,v=1' })).toMatchObject({
    decision: SAMPLED,
    state: 'ot=th:0,v=1',
  });
  expect(decide(at('normal', parentBased), MIDDLE, { state, sampled: false })).toMatchObject({
    decision: RECORD,
    state,
  });
  expect(decide(at('light', parentBased), MIDDLE, { state })).toMatchObject({
    decision: SAMPLED,
    state: 'ot=th:8,v=1',
  });
  expect(decide(at('heavy', parentBased), MIDDLE, { state })).toMatchObject({ decision: RECORD, state: 'v=1' });
  const never = { degradeRemoteParents: false };
  expect(decide(at('heavy', parentBased, never), MIDDLE, { state })).toMatchObject({ decision: SAMPLED, state });
});

test('a threshold that the delegate writes itself counts, if its randomness reaches it', () => {
  const writes = (text: string) =>
    answering({ decision: SAMPLED, traceState: new TraceState(text), attributes: { by: 'delegate' } });
  expect(decide(at('normal', writes('ot=th:8')), MIDDLE)).toEqual({
    decision: SAMPLED,
    state: 'ot=th:8',
    attributes: { by: 'delegate' },
  });
  expect(decide(at('moderate', writes('ot=th:8')), HIGH).state).toBe('ot=th:f3333');
  expect(decide(at('light', writes('ot=th:c')), HIGH).state).toBe('ot=th:e');
  expect(decide(at('light', writes('ot=th:f;x:1')), MIDDLE).state).toBe('ot=x:1');
  expect(decide(at('heavy', writes('ot=th:8,v=1')), MIDDLE)).toMatchObject({
    decision: RECORD,
    state: 'v=1',
    attributes: { by: 'delegate' },
  });
  const composite = createCompositeSampler(createComposableProbabilitySampler(0.5));
  expect(decide(at('light', composite), HIGH).state).toBe('ot=th:c');
  expect(decide(at('light', composite), MIDDLE).decision).toBe(RECORD);
});

test('a composable sampler says its threshold, of which the level takes its share', () => {
  const half = createComposableProbabilitySampler(0.5);
  expect(decide(at('normal', half), MIDDLE)).toMatchObject({ decision: SAMPLED, state: 'ot=th:8' });
  expect(decide(at('normal', half), LOW)).toMatchObject({ decision: RECORD, state: undefined });
  expect(decide(at('moderate', half), HIGH).state).toBe('ot=th:f3333');
  expect(decide(at('normal', createComposableAlwaysOffSampler()), HIGH).decision).toBe(RECORD);
  const annotated = createComposableAnnotatingSampler(half, { tier: 'gold' });
  expect(decide(at('light', annotated), HIGH).attributes).toEqual({ tier: 'gold' });
});

test('a composable sampler knows of the parent what it reads there', () => {
  const sampler = (level: DegradationLevel) =>
    at(level, createComposableParentThresholdSampler(createComposableProbabilitySampler(1)));
  expect(decide(sampler('normal'), MIDDLE, { state: 'ot=th:4,v=1' })).toMatchObject({
    decision: SAMPLED,
    state: 'ot=th:4,v=1',
  });
  expect(decide(sampler('light'), MIDDLE, { state: 'ot=th:4,v=1' }).state).toBe('ot=th:8,v=1');
  expect(decide(sampler('light'), MIDDLE, { state: 'v=1' })).toMatchObject({ decision: SAMPLED, state: 'v=1' });
  expect(decide(sampler('light'), MIDDLE, { state: 'ot=rv:00000000000000;th:0' })).toMatchObject({
    decision: RECORD,
    state: 'ot=rv:00000000000000',
  });
});

test('a composable sampler may rewrite the tracestate', () => {
  const delegate: ComposableSampler = {
    getSamplingIntent: () => ({
      threshold: 0n,
      thresholdReliable: true,
      updateTraceState: (state) => (state ?? new TraceState()).set('mine', '1'),
    }),
  };
  expect(decide(at('light', delegate), MIDDLE).state).toBe('ot=th:8,mine=1');
  expect(decide(at('light', delegate), LOW, { state: 'ot=th:0,v=1' })).toMatchObject({
    decision: RECORD,
    state: 'mine=1,v=1',
  });
});

test('of local children it is asked only when their parent is sampled, and no level applies to them', () => {
  const asked: string[] = [];
  const delegate: Sampler = {
    shouldSample: (_context, traceId) => {
      asked.push(traceId);
      return { decision: traceId === LOW ? SAMPLED : NOT_RECORD };
    },
  };
  const sampler = at('heavy', delegate);
  const local = { isRemote: false };
  expect(decide(sampler, LOW, local).decision).toBe(SAMPLED);
  expect(decide(sampler, HIGH, local).decision).toBe(RECORD);
  expect(decide(at('heavy', delegate, { keepErrors: 'off' }), HIGH, local).decision).toBe(NOT_RECORD);
  expect(decide(sampler, LOW, { ...local, sampled: false }).decision).toBe(NOT_RECORD);
  expect(asked).toEqual([LOW, HIGH, HIGH]);
});

const HOSTILE: Array<[string, Sampler | ComposableSampler]> = [
  [
    'throws',
    {
      shouldSample: () => {
        throw new Error('no');
      },
    },
  ],
  ['returns nothing', { shouldSample: () => undefined as never }],
  ['returns a tracestate that is none', answering({ decision: SAMPLED, traceState: 7 as never })],
  ['returns no decision', answering({} as never)],
  ['has a threshold that is none', { getSamplingIntent: () => ({ threshold: 'x' as never, thresholdReliable: true }) }],
  [
    'throws at an update',
    {
      getSamplingIntent: () => ({
        threshold: 0n,
        thresholdReliable: true,
        updateTraceState: () => {
          throw new Error('no');
        },
      }),
    },
  ],
];

test.each(HOSTILE)('a delegate that %s does not stop the application', (_what, delegate) => {
  for (const parent of [undefined, { state: 'ot=th:4,v=1' }, { isRemote: false }, { sampled: false }]) {
    const sampler = at('light', delegate);
    const { decision, state } = decide(sampler, MIDDLE, parent);
    expect([NOT_RECORD, RECORD, SAMPLED]).toContain(decision);
    expect(state ?? '').not.toContain('th:0');
  }
});

test('where it throws the decision is made without it, and no root is counted by a threshold it had no part in', () => {
  const sampler = at('light', HOSTILE[0]![1]);
  expect(decide(sampler, MIDDLE)).toMatchObject({ decision: SAMPLED, state: undefined });
  expect(decide(sampler, MIDDLE, { state: 'ot=th:4' })).toMatchObject({ decision: SAMPLED, state: 'ot=th:8' });
  expect(sampler.stats()).toMatchObject({ failures: 2, unknown: 1 });
});

test('attributes are the delegate’s own: they are handed on, not changed', () => {
  const attributes: Attributes = Object.freeze({ a: 1 });
  expect(decide(at('light', answering({ decision: SAMPLED, attributes })), HIGH).attributes).toBe(attributes);
});

test('what it keeps and the level does not, is recorded as the rule and the level have it', () => {
  const rules = [{ ratio: 1, keepErrors: false }];
  expect(decide(at('heavy', answering({ decision: SAMPLED }), { rules }), LOW).decision).toBe(NOT_RECORD);
  expect(decide(at('heavy', parentBased, { keepErrors: 'off' }), LOW).decision).toBe(NOT_RECORD);
  expect(decide(at('heavy', answering({ decision: RECORD }), { rules }), LOW).decision).toBe(RECORD);
});
