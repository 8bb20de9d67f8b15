import {
  type Context,
  defaultTextMapGetter,
  defaultTextMapSetter,
  ROOT_CONTEXT,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { DEGRADATION_LEVELS } from '@otel-resilience/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { application, endTrace, under } from './application.js';

const propagator = new W3CTraceContextPropagator();
// The lower 56 bits are the trace's random number: this one is kept by every threshold that there is.
const TRACE_ID = `${'1'.repeat(18)}${'f'.repeat(14)}`;
const RARELY_KEPT = `${'1'.repeat(18)}00000000000001`;

function arriving(tracestate: unknown, { traceId = TRACE_ID, flags = '01' } = {}): Context {
  const carrier = { traceparent: `00-${traceId}-${'2'.repeat(16)}-${flags}`, tracestate };
  return propagator.extract(ROOT_CONTEXT, carrier, defaultTextMapGetter);
}

/** The header that the next service gets. */
function sentOn(context: Context): string | undefined {
  const carrier: Record<string, string> = {};
  propagator.inject(context, carrier, defaultTextMapSetter);
  expect(carrier.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/);
  return carrier.tracestate || undefined;
}

// W3C Trace Context: list-member = key "=" value
const KEY = /^(?:[a-z][_0-9a-z\-*/]{0,255}|[a-z0-9][_0-9a-z\-*/]{0,240}@[a-z][_0-9a-z\-*/]{0,13})$/;
const VALUE = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;
const TH = /^(?:0|[0-9a-f]{0,13}[1-9a-f])$/;

function membersOf(header: string | undefined): Array<[string, string]> {
  if (header === undefined || header === '') return [];
  return header.split(',').map((member) => {
    const equals = member.indexOf('=');
    return [member.slice(0, equals), member.slice(equals + 1)];
  });
}

/** What arrives as `header` must be such that nobody behind us has to throw anything of it away. */
function expectWellFormed(header: string | undefined): void {
  const members = membersOf(header);
  expect((header ?? '').length).toBeLessThanOrEqual(512);
  expect(members.length).toBeLessThanOrEqual(32);
  for (const [key, value] of members) {
    expect(key).toMatch(KEY);
    expect(value).toMatch(VALUE);
  }
  expect(new Set(members.map(([key]) => key)).size).toBe(members.length);
  expect(sentOn(arriving(header))).toBe(header);
}

const othersOf = (header: string | undefined) => membersOf(header).filter(([key]) => key !== 'ot');
const otOf = (header: string | undefined) => membersOf(header).find(([key]) => key === 'ot')?.[1];
const subMembers = (ot: string | undefined, key: string) =>
  (ot ?? '').split(';').filter((member) => member.startsWith(`${key}:`));

const MALFORMED = [
  'ot=',
  'ot=th:',
  'ot=th:;rv:',
  'ot=th:zz',
  'ot=th:0x8',
  'ot=th:-1',
  'ot=th:123456789012345',
  'ot=th:8;th:0',
  'ot=th:8,ot=th:0',
  'ot=th:8;rv:1',
  'ot=th:8;rv:ffffffffffffff0',
  'ot=rv:ffffffffffffff;rv:00000000000000',
  'ot=TH:8',
  'ot=th=8',
  'ot=th:8;;;;',
  'ot=;th:8',
  'ot=th:8 ;x:1',
  'ot=th:８',
  'ot=th:8\u0000',
  'ot=th:8\r\nset-cookie: a=b',
  'ot:th:8',
  '=th:8',
  ',',
  ',,,,,,,,',
  '=',
  'ot',
  ' ot = th:8 ',
  'a=1,ot=th:8,a=2',
  '__proto__=1,constructor=2,toString=3',
  `ot=${'x'.repeat(253)}:1`,
  `ot=th:8;x:${'y'.repeat(260)}`,
  `ot=th:8,v=${'y'.repeat(255)},w=${'y'.repeat(240)}`,
  `${Array.from({ length: 32 }, (_, i) => `v${i}=1`).join()},ot=th:8`,
  `${Array.from({ length: 31 }, (_, i) => `v${i}=1`).join()},ot=th:8`,
  Array.from({ length: 40 }, (_, i) => `v${i}=${'x'.repeat(12)}`).join(),
  `v=${'x'.repeat(100_000)}`,
  ','.repeat(100_000),
  `ot=${'th:8;'.repeat(50_000)}`,
];

describe.each(DEGRADATION_LEVELS)('at %s', (level) => {
  const degraded = (options = {}) => {
    const parts = application(options);
    parts.r.degradation.force(level);
    return parts;
  };

  it('a malformed or oversized tracestate is never thrown on, and what is sent on is well-formed', async () => {
    const { tracer, close } = degraded();
    for (const header of MALFORMED) {
      for (const tracestate of [header, [header, 'v=1'], ['v=1', header]]) {
        for (const flags of ['00', '01']) {
          for (const traceId of [TRACE_ID, RARELY_KEPT]) {
            const parent = arriving(tracestate, { traceId, flags });
            const [root, child] = endTrace(tracer, { parent });
            const header = sentOn(under(root!));
            expectWellFormed(header);
            expect(sentOn(under(child!))).toBe(header);
          }
        }
      }
    }
    await close();
  });

  it('what no header is, neither', async () => {
    const { tracer, close } = degraded();
    for (const tracestate of [undefined, null, 5, {}, [], [5], Symbol('ot'), new String('ot=th:8'), ['']]) {
      const [root] = endTrace(tracer, { parent: arriving(tracestate) });
      expectWellFormed(sentOn(under(root!)));
    }
    await close();
  });

  it('members of others stay byte for byte and in order, and a threshold is never lowered nor left behind', async () => {
    const hex = fc.string({ unit: fc.constantFrom(...'0123456789abcdefABCDEF'), maxLength: 16 });
    const otMember = fc.oneof(
      hex.map((th) => `th:${th}`),
      fc.constantFrom('th:8', 'th:fd70a', 'th:c', 'th:0', 'th:fffffffffffff'),
      hex.map((rv) => `rv:${rv}`),
      fc.constantFrom('rv:ffffffffffffff', 'rv:80000000000000', 'rv:00000000000000'),
      fc.string({ unit: fc.constantFrom(...'abz019:-_. '), maxLength: 12 }),
    );
    const ot = fc.array(otMember, { maxLength: 5 }).map((members) => `ot=${members.join(';')}`);
    const other = fc.string({ unit: fc.constantFrom(...'abz019@*/-_=, \t'), minLength: 1, maxLength: 30 });
    const vendor = fc.tuple(fc.constantFrom('v', 'w@sys', 'x-1'), hex).map(([key, value]) => `${key}=${value}1`);
    const header = fc.array(fc.oneof(ot, vendor, other), { maxLength: 12 }).map((members) => members.join(','));
    const traceIds = fc.constantFrom(TRACE_ID, RARELY_KEPT, `${'1'.repeat(18)}fd70a000000000`);
    const { tracer, close } = degraded({ sampler: { targetSpansPerSecond: 1_000 } });
    fc.assert(
      fc.property(header, traceIds, fc.constantFrom('00', '01'), (tracestate, traceId, flags) => {
        const parent = arriving(tracestate, { traceId, flags });
        const before = sentOn(parent);
        const span = tracer.startSpan('request', {}, parent);
        const after = sentOn(under(span));
        span.end();
        expectWellFormed(after);
        expect(othersOf(after)).toEqual(othersOf(before));
        const said = subMembers(otOf(after), 'th');
        const sampled = (span.spanContext().traceFlags & 1) === 1;
        if (after === before) return; // nothing of it was for us to change
        expect(said.length).toBeLessThanOrEqual(1);
        if (!sampled) expect(said).toEqual([]);
        const [th] = said.map((member) => member.slice(3));
        if (th === undefined) return;
        expect(th).toMatch(TH);
        const [earlier] = subMembers(otOf(before), 'th').map((member) => member.slice(3));
        if (earlier !== undefined) expect(th.padEnd(14, '0') >= earlier.toLowerCase().padEnd(14, '0')).toBe(true);
      }),
      { numRuns: 500 },
    );
    await close();
  });

  it('a tracestate object that throws or lies reaches no other span', async () => {
    const { tracer, exporter, clock, r, close } = degraded();
    const members = ['get', 'set', 'unset', 'serialize'] as const;
    const lies = [
      () => {
        throw new Error('no');
      },
      () => undefined,
      () => 5,
      () => ({}),
      () => 'ot=th:0;th:0\r\n',
      () => 'x'.repeat(10_000),
      undefined,
    ];
    const good = { get: () => 'th:8', set: () => good, unset: () => good, serialize: () => 'ot=th:8' };
    let expected = 0;
    for (const lie of lies) {
      for (const member of [...members, ...members.map(() => members)]) {
        const liar = { ...good, ...Object.fromEntries([member].flat().map((each) => [each, lie])) };
        const traceState = liar as never;
        const remote = { traceId: TRACE_ID, spanId: '2'.repeat(16), traceFlags: 1, isRemote: true, traceState };
        endTrace(tracer, { parent: trace.setSpanContext(ROOT_CONTEXT, remote) });
        const root = tracer.startSpan('request');
        root.setStatus({ code: SpanStatusCode.ERROR });
        root.end();
        expected++;
      }
    }
    await clock.run(r.forceFlush().catch(() => {}));
    const roots = exporter.deliveredSpans.filter((span) => span.spanContext().traceId !== TRACE_ID);
    expect(roots).toHaveLength(expected);
    await close();
  });
});

describe('a tracestate that is full', () => {
  const full = `ot=th:8,v=${'y'.repeat(255)},w=${'y'.repeat(244)}`;

  it('loses its threshold where the new one would not fit: it is out of date', async () => {
    const { r, tracer, close } = application();
    expect(full).toHaveLength(512);
    r.degradation.force('heavy');
    const [root] = endTrace(tracer, { parent: arriving(full) });
    expect(root!.spanContext().traceFlags).toBe(1);
    expect(sentOn(under(root!))).toBe(full.slice('ot=th:8,'.length));
    await close();
  });
});
