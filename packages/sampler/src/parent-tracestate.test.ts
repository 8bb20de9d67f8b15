import { createTraceState, type TraceState } from '@opentelemetry/api';
import { TraceState as CoreTraceState } from '@opentelemetry/core';
import { expect, test } from 'vitest';
import { otOf, rewriteThreshold } from './parent-tracestate.js';

const C = 'c0000000000000';
const members = (count: number) => Array.from({ length: count }, (_, i) => `v${i}=1`).join(',');

const MAKERS: Array<[string, (text: string) => TraceState]> = [
  ['the API’s', createTraceState],
  ['core’s', (text) => new CoreTraceState(text)],
];

test.each(MAKERS)('%s is rewritten by its own methods, and left alone', (_what, make) => {
  const state = make('v=1,ot=x:1;th:8,w=2');
  const { traceState, written } = rewriteThreshold(state, C);
  expect([traceState!.serialize(), written]).toEqual(['ot=th:c;x:1,v=1,w=2', true]);
  expect(state.serialize()).toBe('v=1,ot=x:1;th:8,w=2');
  expect(rewriteThreshold(make('ot=th:8,v=1'), undefined).traceState!.serialize()).toBe('v=1');
});

test.each(MAKERS)('%s that says it already is not made anew', (_what, make) => {
  expect(rewriteThreshold(make('ot=th:c,v=1'), C).traceState).toBeUndefined();
  expect(rewriteThreshold(make('v=1'), undefined).traceState).toBeUndefined();
  expect(rewriteThreshold(make(''), undefined).traceState).toBeUndefined();
});

test('without one, there is one as soon as there is something to say', () => {
  expect(rewriteThreshold(undefined, undefined)).toEqual({ traceState: undefined, written: true });
  expect(rewriteThreshold(undefined, C).traceState!.serialize()).toBe('ot=th:c');
});

test.each(MAKERS)(
  '%s that is full to 512 characters loses its threshold rather than keep the old one',
  (_what, make) => {
    const filler = `a=${'x'.repeat(250)},b=${'y'.repeat(248)}`;
    const state = make(`ot=th:8,${filler}`);
    expect(state.serialize().length).toBe(511);
    const { traceState, written } = rewriteThreshold(state, 'fd70a000000000');
    expect([traceState!.serialize(), written]).toEqual([filler, false]);
  },
);

test('a thirty-third member is not added', () => {
  const { traceState, written } = rewriteThreshold(createTraceState(members(32)), C);
  expect([traceState!.serialize(), written]).toEqual([members(32), false]);
});

/** Somebody's own tracestate, wrong in one way. */
const own = (text: string, wrong: Partial<Record<keyof TraceState, unknown>> = {}): TraceState => {
  const inner = createTraceState(text);
  return {
    get: (key) => inner.get(key),
    set: (key, value) => own(inner.set(key, value).serialize(), wrong),
    unset: (key) => own(inner.unset(key).serialize(), wrong),
    serialize: () => inner.serialize(),
    ...wrong,
  } as TraceState;
};
const throwing = () => {
  throw new Error('no');
};
function returningThis(this: TraceState) {
  return this;
}

test('one that works is used', () => {
  expect(rewriteThreshold(own('ot=th:8,v=1'), C).traceState!.serialize()).toBe('ot=th:c,v=1');
});

test.each<[string, Partial<Record<keyof TraceState, unknown>>]>([
  ['set throws', { set: throwing }],
  ['set and unset throw', { set: throwing, unset: throwing }],
  ['set and unset return this', { set: returningThis, unset: returningThis }],
  ['set returns nothing', { set: () => undefined, unset: () => null }],
  ['set returns an object that is none', { set: () => ({}), unset: () => 7 }],
  [
    'set returns one that says one thing and sends another',
    { set: () => ({ get: () => 'th:c', serialize: () => 'ot=th:8' }), unset: throwing },
  ],
  ['set returns one that cannot be sent', { set: () => ({ get: () => 'th:c', serialize: throwing }), unset: throwing }],
  [
    'set returns one that is too long',
    { set: () => ({ get: () => 'th:c', serialize: () => `ot=th:c,${'x'.repeat(600)}` }), unset: throwing },
  ],
])('where %s, others’ members survive and the old threshold does not', (_what, wrong) => {
  const { traceState, written } = rewriteThreshold(own('ot=th:8,v=1', wrong), C);
  expect([traceState!.serialize(), written]).toEqual(['v=1', false]);
});

test('what can neither be read nor sent is replaced by nothing', () => {
  const broken = { get: throwing, set: throwing, unset: throwing, serialize: throwing } as TraceState;
  for (const hex of [C, undefined]) expect(rewriteThreshold(broken, hex).traceState!.serialize()).toBe('');
  expect(rewriteThreshold(7 as never, C).traceState!.serialize()).toBe('');
  expect(() => otOf(broken)).not.toThrow();
});

test('what cannot be read but sent is read from what it sends', () => {
  const state = own('ot=th:8,v=1', { get: throwing });
  expect(rewriteThreshold(state, undefined).traceState!.serialize()).toBe('v=1');
});
