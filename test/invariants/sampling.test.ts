// Invariant 4: kept at p ⇒ kept at every p′ ≥ p; and what says a threshold can be counted by it.
import { createTraceState, ROOT_CONTEXT, SpanKind, TraceFlags, type TraceState, trace } from '@opentelemetry/api';
import { TraceState as CoreTraceState } from '@opentelemetry/core';
import { DEGRADATION_LEVELS, type DegradationLevel } from '@otel-resilience/core';
import { DegradationSampler } from '@otel-resilience/sampler';
import fc from 'fast-check';
import { expect, test } from 'vitest';

const SAMPLED = 2;
const LIMITS = { length: 512, members: 32 };

const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length });
/** Randomness in all orders of magnitude, near the thresholds that matter. */
const randomness = fc.oneof(
  hex(14),
  fc.tuple(fc.integer({ min: 0, max: 13 }), hex(14)).map(([fs, rest]) => ('f'.repeat(fs) + rest).slice(0, 14)),
  fc.constantFrom('00000000000000', '80000000000000', '7fffffffffffff', 'e6660000000000', 'ffffffffffffff'),
);
const traceId = fc.tuple(hex(17), randomness).map(([head, tail]) => `1${head}${tail}`);
const ratio = fc.oneof(
  fc.double({ min: 0, max: 1, noNaN: true }),
  fc.integer({ min: 0, max: 20 }).map((exponent) => 2 ** -exponent),
  fc.constantFrom(0, 0.001, 0.01, 0.1, 0.5, 1),
);
const level = fc.constantFrom(...DEGRADATION_LEVELS);
const precision = fc.integer({ min: 1, max: 14 });

interface Sent {
  readonly sampled: boolean;
  readonly tracestate: string;
}

interface Service {
  readonly decide: (traceId: string, from?: Sent) => Sent;
  readonly goTo: (level: DegradationLevel) => void;
}

function service(options: { ratio: number; precision?: number; level?: DegradationLevel }): Service {
  const controller = { level: options.level ?? ('normal' as DegradationLevel) };
  const sampler = new DegradationSampler({
    controller,
    // A rule is for roots and for remote parents; a base ratio for roots alone.
    rules: [{ ratio: options.ratio }],
    precision: options.precision,
    metrics: false,
  });
  return {
    goTo: (next) => {
      controller.level = next;
    },
    decide: (id, from) => {
      const traceState = from?.tracestate ? new CoreTraceState(from.tracestate) : undefined;
      return sentBy(sampler, id, from && { sampled: from.sampled, traceState });
    },
  };
}

function sentBy(sampler: DegradationSampler, id: string, parent?: { sampled: boolean; traceState?: TraceState }): Sent {
  const context = parent
    ? trace.setSpanContext(ROOT_CONTEXT, {
        traceId: id,
        spanId: '1'.repeat(16),
        traceFlags: parent.sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
        isRemote: true,
        traceState: parent.traceState,
      })
    : ROOT_CONTEXT;
  const result = sampler.shouldSample(context, id, 'span', SpanKind.SERVER, {}, []);
  const tracestate = (result.traceState ?? parent?.traceState)?.serialize() ?? '';
  return { sampled: result.decision === SAMPLED, tracestate };
}

/** Written here once more, so that the sampler is not judged by its own parser. */
function thresholdIn(tracestate: string): bigint | undefined {
  const ot = tracestate
    .split(',')
    .map((member) => member.trim())
    .find((member) => member.startsWith('ot='));
  const th = ot
    ?.slice(3)
    .split(';')
    .find((member) => member.startsWith('th:'));
  return th === undefined ? undefined : BigInt(`0x${th.slice(3).padEnd(14, '0')}`);
}

const randomnessIn = (id: string) => BigInt(`0x${id.slice(-14)}`);

test('kept at p ⇒ kept at every p′ ≥ p, across two services', () => {
  fc.assert(
    fc.property(traceId, fc.tuple(ratio, ratio), fc.tuple(ratio, ratio), precision, (id, first, second, digits) => {
      const kept = (p: number, q: number) => {
        const a = service({ ratio: p, precision: digits }).decide(id);
        return [a.sampled, service({ ratio: q, precision: digits }).decide(id, a).sampled];
      };
      const [aLow, bLow] = kept(Math.min(...first), Math.min(...second));
      const [aHigh, bHigh] = kept(Math.max(...first), Math.max(...second));
      if (aLow) expect(aHigh).toBe(true);
      if (bLow) expect(bHigh).toBe(true);
    }),
    { numRuns: 2_000 },
  );
});

test('what was kept or not at other levels before changes no decision, in either service', () => {
  const step = fc.record({ id: traceId, a: level, b: level });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 30 }), ratio, ratio, (history, p, q) => {
      const [a, b] = [service({ ratio: p }), service({ ratio: q })];
      for (const { id, a: levelOfA, b: levelOfB } of history) {
        a.goTo(levelOfA);
        b.goTo(levelOfB);
        const fromA = a.decide(id);
        expect(fromA).toEqual(service({ ratio: p, level: levelOfA }).decide(id));
        expect(b.decide(id, fromA)).toEqual(service({ ratio: q, level: levelOfB }).decide(id, fromA));
      }
    }),
    { numRuns: 300 },
  );
});

test('a higher level keeps nothing that a lower one does not', () => {
  fc.assert(
    fc.property(traceId, ratio, fc.tuple(level, level), (id, p, levels) => {
      const [low, high] = levels.map((each) => DEGRADATION_LEVELS.indexOf(each)).sort((a, b) => a - b);
      const at = (rank: number) => service({ ratio: p, level: DEGRADATION_LEVELS[rank]! }).decide(id).sampled;
      if (at(high!)) expect(at(low!)).toBe(true);
    }),
  );
});

test('of every service on the way, the threshold is the highest so far: reached by what is kept, never lower than the parent’s', () => {
  fc.assert(
    fc.property(traceId, fc.array(fc.tuple(ratio, level, precision), { minLength: 1, maxLength: 6 }), (id, chain) => {
      let sent: Sent | undefined;
      for (const [p, at, digits] of chain) {
        const next = service({ ratio: p, level: at, precision: digits }).decide(id, sent);
        const [before, after] = [sent && thresholdIn(sent.tracestate), thresholdIn(next.tracestate)];
        if (sent && !sent.sampled) expect(next.sampled).toBe(false);
        if (next.sampled) {
          expect(after).toBeDefined();
          expect(after! >= (before ?? 0n)).toBe(true);
          expect(randomnessIn(id) >= after!).toBe(true);
        } else {
          expect(after).toBeUndefined();
        }
        sent = next;
      }
    }),
    { numRuns: 1_000 },
  );
});

test('the ratio in force is that of the written threshold', () => {
  fc.assert(
    fc.property(ratio, level, precision, (p, at, digits) => {
      const sampler = new DegradationSampler({
        controller: { level: at },
        ratio: p,
        precision: digits,
        metrics: false,
      });
      const highest = sentBy(sampler, 'f'.repeat(32));
      const inForce = sampler.stats().ratio;
      expect(highest.sampled).toBe(inForce > 0);
      if (!highest.sampled) return;
      const threshold = thresholdIn(highest.tracestate)!;
      expect(Number(2n ** 56n - threshold) / 2 ** 56).toBe(inForce);
      const idOf = (randomness: bigint) => `${'1'.repeat(18)}${randomness.toString(16).padStart(14, '0')}`;
      expect(sentBy(sampler, idOf(threshold)).sampled).toBe(true);
      if (threshold > 0n) expect(sentBy(sampler, idOf(threshold - 1n)).sampled).toBe(false);
    }),
  );
});

const otMember = fc.oneof(
  hex(1).map((th) => `th:${th}`),
  fc.integer({ min: 1, max: 16 }).chain((length) => hex(length).map((th) => `th:${th}`)),
  hex(14).map((rv) => `rv:${rv}`),
  fc.constantFrom(
    'th:',
    'th:zz',
    'th:0x8',
    'th:8 ',
    ' th:8',
    'rv:',
    'rv:123',
    'rv:zzzzzzzzzzzzzz',
    'TH:8',
    '',
    'x:1',
    'k',
    'a:b:c',
    ':',
  ),
  fc.string({ maxLength: 12 }),
  fc.string({ unit: 'grapheme', maxLength: 4 }),
);
const otValue = fc.array(otMember, { maxLength: 6 }).map((members) => members.join(';'));
const listMember = fc.oneof(
  { weight: 4, arbitrary: otValue.map((value) => `ot=${value}`) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.constantFrom('v', 'w', 'tenant@sys', 'a*b'), fc.string({ maxLength: 30 }))
      .map((pair) => pair.join('=')),
  },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 60 }).map((n) => `m${n}=${n}`) },
  { weight: 1, arbitrary: fc.integer({ min: 200, max: 600 }).map((length) => `long=${'x'.repeat(length)}`) },
  { weight: 1, arbitrary: fc.integer({ min: 200, max: 300 }).map((length) => `ot=th:8;x:${'x'.repeat(length)}`) },
  { weight: 1, arbitrary: fc.constantFrom('', ' ', '\t', '=', 'ot', 'ot=', 'OT=th:8', '=th:8', 'ot==th:8') },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 20 }) },
);
const header = fc
  .tuple(fc.array(listMember, { maxLength: 40 }), fc.constantFrom(',', ' , ', ',\t', ',,'))
  .map(([members, separator]) => members.join(separator));

const MAKERS: Array<[string, (text: string) => TraceState]> = [
  ['of the API', createTraceState],
  ['of core', (text) => new CoreTraceState(text)],
];

test.each(MAKERS)('round trip of hostile tracestates %s', (_what, make) => {
  const otherVendors = (text: string) => text.split(',').filter((member) => member !== '' && !member.startsWith('ot='));
  const otherMembers = (text: string | undefined) =>
    (text ?? '')
      .split(';')
      .filter((member) => !member.startsWith('th:') && !member.startsWith('rv:'))
      .join(';')
      .trimEnd();
  fc.assert(
    fc.property(header, traceId, level, (text, id, at) => {
      const parent = make(text);
      const before = parent.serialize();
      const fits = before.length <= LIMITS.length && before.split(',').length <= LIMITS.members;
      const sampler = new DegradationSampler({ controller: { level: at }, metrics: false });
      const sent = sentBy(sampler, id, { sampled: true, traceState: parent });
      expect(parent.serialize()).toBe(before);
      if (at === 'normal') {
        expect(sent).toEqual({ sampled: true, tracestate: before });
        return;
      }
      // Others' members, byte for byte and in order; and what is sent is understood as it is meant.
      expect(otherVendors(sent.tracestate)).toEqual(otherVendors(before));
      if (fits) {
        expect(sent.tracestate.length).toBeLessThanOrEqual(LIMITS.length);
        expect(sent.tracestate.split(',').length).toBeLessThanOrEqual(LIMITS.members);
      }
      for (const [, remake] of MAKERS) expect(remake(sent.tracestate).serialize()).toBe(sent.tracestate);
      expect(otherMembers(make(sent.tracestate).get('ot'))).toBe(otherMembers(parent.get('ot')));
      // Nothing stale: a threshold is there only if the span is kept, and then it is ours or a higher one of the parent's.
      const written = thresholdIn(sent.tracestate);
      if (!sent.sampled) expect(written).toBeUndefined();
      if (written !== undefined) {
        const own = thresholdIn(service({ ratio: 1, level: at }).decide('f'.repeat(32)).tracestate)!;
        const ofParent = thresholdIn(before)!;
        expect(written).toBe(ofParent > own ? ofParent : own);
        const rv = /(?:^|;)rv:([0-9a-f]{14})(?:;|$)/i.exec(parent.get('ot')!)?.[1];
        expect((rv ? BigInt(`0x${rv}`) : randomnessIn(id)) >= written).toBe(true);
      }
    }),
    { numRuns: 3_000 },
  );
});

test('a tracestate of anybody’s own making is never thrown on, and nothing stale goes out', () => {
  const throws = () => {
    throw new Error('hostile');
  };
  const garbage = fc.constantFrom<unknown>(undefined, null, 7, '', {}, [], throws, Symbol('x'));
  const results = fc.oneof(
    fc.constant(throws),
    garbage.map((value) => () => value),
    header.map((text) => () => createTraceState(text)),
    header.map((text) => () => text),
    fc.constant(function self(this: unknown) {
      return this;
    }),
  );
  // One whose `get` denies what it sends is believed.
  const unreadable = fc.constantFrom<unknown>(
    throws,
    () => 7,
    () => ({}),
    () => Symbol('x'),
  );
  const hostile = fc.record(
    { get: unreadable, set: results, unset: results, serialize: results },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(hostile, header, traceId, level, (wrong, text, id, at) => {
      const inner = createTraceState(text);
      const state = {
        get: (key: string) => inner.get(key),
        set: (key: string, value: string) => inner.set(key, value),
        unset: (key: string) => inner.unset(key),
        serialize: () => inner.serialize(),
        ...wrong,
      } as TraceState;
      const sampler = new DegradationSampler({ controller: { level: at }, keepErrors: 'all', metrics: false });
      const context = trace.setSpanContext(ROOT_CONTEXT, {
        traceId: id,
        spanId: '1'.repeat(16),
        traceFlags: TraceFlags.SAMPLED,
        isRemote: true,
        traceState: state,
      });
      const result = sampler.shouldSample(context, id, 'span', SpanKind.SERVER, {}, []);
      expect(sampler.stats().failures).toBe(0);
      if (!result.traceState) return;
      const sent = result.traceState.serialize();
      expect(typeof sent).toBe('string');
      expect(sent.length).toBeLessThanOrEqual(LIMITS.length);
      expect(sent.split(',').length).toBeLessThanOrEqual(LIMITS.members);
      const written = thresholdIn(sent);
      if (result.decision !== SAMPLED) expect(written).toBeUndefined();
      else if (written !== undefined) expect(sampler.stats().unknown).toBe(0);
    }),
    { numRuns: 3_000 },
  );
});
