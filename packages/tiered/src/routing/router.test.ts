import { DEGRADATION_LEVELS, type DegradationLevel, LANES, type Lane, rankOf, SpanBatch } from '@otel-resilience/core';
import { fakeSpan, VirtualClock } from '@otel-resilience/testing';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HOT, Router } from './router.js';
import { aRoutingRule, type RoutingRule, routeTo, TIER_NAMES, type TierName } from './routing-rules.js';

interface Described {
  readonly id: string;
  readonly service: string;
  readonly lane: Lane;
  /** When it is routed first. */
  readonly ageMillis: number;
}

const MINUTE = 60_000;
const services = ['shop', 'shop-cart', 'batch', ''];

const tierSets = fc.uniqueArray(fc.constantFrom(...TIER_NAMES), { minLength: 1, maxLength: 3 });
const rule: fc.Arbitrary<RoutingRule> = fc.record(
  {
    service: fc.constantFrom('shop', 'shop*', 'batch', '*', ['batch', 'shop-cart']),
    lane: fc.constantFrom<RoutingRule['lane'] & {}>('errors', 'rest', ['errors', 'localRoots'] as const),
    error: fc.boolean(),
    fromLevel: fc.constantFrom(...DEGRADATION_LEVELS),
    minAgeMillis: fc.constantFrom(0, 5 * MINUTE, 20 * MINUTE),
    to: tierSets,
  },
  { requiredKeys: ['to'] },
);
const described: fc.Arbitrary<Described[]> = fc
  .array(
    fc.record({
      service: fc.constantFrom(...services),
      lane: fc.constantFrom(...LANES),
      ageMillis: fc.integer({ min: 0, max: 30 }).map((minutes) => minutes * MINUTE),
    }),
    { minLength: 1, maxLength: 8 },
  )
  .map((spans) => spans.map((span, index) => ({ ...span, id: (index + 1).toString(16).padStart(16, '0') })));
const level = fc.constantFrom(...DEGRADATION_LEVELS);

const spanOf = (clock: VirtualClock, { id, service, lane, ageMillis }: Described) =>
  fakeSpan({
    spanId: id,
    serviceName: service,
    isError: lane === 'errors',
    ...(lane === 'rest' && { parentSpanId: 'f'.repeat(16) }),
    startMillis: clock.wallTime() - ageMillis - 10,
    durationMillis: 10,
  });

/** What the words of a rule mean, written as plainly as can be. */
function modelled(
  rules: readonly RoutingRule[],
  otherwise: readonly TierName[],
  span: Described,
  now: DegradationLevel,
) {
  const fits = (given: RoutingRule) => {
    const { service = '*', lane = LANES, error, fromLevel = 'normal', minAgeMillis = 0 } = given;
    const isService = [service]
      .flat()
      .some((pattern) =>
        pattern.endsWith('*') ? span.service.startsWith(pattern.slice(0, -1)) : pattern === span.service,
      );
    return (
      isService &&
      [lane].flat().includes(span.lane) &&
      (error === undefined || error === (span.lane === 'errors')) &&
      rankOf(now) >= rankOf(fromLevel) &&
      span.ageMillis >= minAgeMillis
    );
  };
  const to = rules.find(fits)?.to ?? otherwise;
  return TIER_NAMES.filter((tier) => [to].flat().includes(tier));
}

function world(rules: readonly RoutingRule[], otherwise: readonly TierName[]) {
  const clock = new VirtualClock();
  const controller: { level: DegradationLevel } = { level: 'normal' };
  const read = rules.map((each, index) => aRoutingRule(each, `rules[${index}]`));
  const router = new Router({ rules: read, otherwise: routeTo(otherwise), controller, clock });
  return { clock, controller, router };
}

const idsOf = (batch: SpanBatch) => batch.spans().map((span) => span.spanContext().spanId);
const encoded = (batch: SpanBatch) => SpanBatch.fromBytes(batch.otlp());

test('every span goes where the first rule that fits says, whatever form the batch has', () => {
  fc.assert(
    fc.property(
      fc.array(rule, { maxLength: 4 }),
      tierSets,
      described,
      level,
      fc.boolean(),
      (rules, otherwise, spans, now, asBytes) => {
        const { clock, controller, router } = world(rules, otherwise);
        controller.level = now;
        const batch = SpanBatch.fromSpans(spans.map((span) => spanOf(clock, span)));
        const found = new Map<string, readonly TierName[]>();
        for (const [route, part] of router.split(asBytes ? encoded(batch) : batch)) {
          for (const id of idsOf(part)) found.set(id, route.tiers);
        }
        expect(found).toEqual(new Map(spans.map((span) => [span.id, modelled(rules, otherwise, span, now)])));
      },
    ),
    { numRuns: 2_000 },
  );
});

test('what leaves the spool of hot leaves for all tiers it belongs to now, but for those that surely have it', () => {
  const later = fc.constantFrom(0, 10 * MINUTE, 40 * MINUTE);
  fc.assert(
    fc.property(
      fc.array(rule, { maxLength: 4 }),
      tierSets,
      described,
      level,
      level,
      later,
      (rules, otherwise, spans, before, after, waits) => {
        const { clock, controller, router } = world(rules, otherwise);
        controller.level = before;
        const routes = new Map(spans.map((span) => [span.id, modelled(rules, otherwise, span, before)]));
        const spooled = spans.filter(({ id }) => routes.get(id)!.includes('hot'));
        if (spooled.length === 0) return;
        const batch = encoded(SpanBatch.fromSpans(spooled.map((span) => spanOf(clock, span))));
        clock.jumpWallTime(waits);
        controller.level = after;
        const parts = router.diverted(batch) ?? new Map([[HOT, batch]]);
        const left = new Map<string, readonly TierName[]>();
        for (const [route, part] of parts) for (const id of idsOf(part)) left.set(id, route.tiers);
        const isStatic = rules.every(
          ({ fromLevel = 'normal', minAgeMillis }) => fromLevel === 'normal' && minAgeMillis === undefined,
        );
        for (const span of spooled) {
          const now = modelled(rules, otherwise, { ...span, ageMillis: span.ageMillis + waits }, after);
          const tiers = left.get(span.id)!;
          if (now.includes('hot')) expect(tiers).toEqual(['hot']);
          else for (const tier of now) expect([...routes.get(span.id)!, ...tiers]).toContain(tier);
          if (isStatic) expect(tiers).toEqual(['hot']);
        }
        expect(left.size).toBe(spooled.length);
      },
    ),
    { numRuns: 2_000 },
  );
});

test('with everything mirrored, a rule about age takes nothing to the archive twice', () => {
  const rules: RoutingRule[] = [{ minAgeMillis: 10 * MINUTE, to: 'warm' }];
  const { clock, router } = world(rules, ['hot', 'warm']);
  const batch = SpanBatch.fromSpans([
    spanOf(clock, { id: 'a'.repeat(16), service: 'shop', lane: 'rest', ageMillis: 0 }),
  ]);
  expect(router.diverted(batch)).toBeUndefined();
  clock.jumpWallTime(20 * MINUTE);
  expect([...router.diverted(batch)!.keys()].map(({ tiers }) => tiers)).toEqual([[]]);
});

test('a batch of which all goes the same way is not looked into, nor copied', () => {
  const { clock, router } = world(
    [
      { error: true, to: 'hot' },
      { service: 'shop*', to: 'warm' },
    ],
    ['cold'],
  );
  const spans = [0, 1].map((ageMillis) =>
    spanOf(clock, { id: 'b'.repeat(16), service: 'shop', lane: 'rest', ageMillis }),
  );
  const batch = SpanBatch.fromSpans(spans);
  expect(router.split(batch).get(routeTo(['warm']))).toBe(batch);
});

test('a batch that cannot be read goes where no rule fits, and stays with hot', () => {
  const rules: RoutingRule[] = [
    { error: true, to: 'hot' },
    { minAgeMillis: 1, to: 'warm' },
  ];
  const { router } = world(rules, ['hot', 'warm']);
  const hostile = Object.defineProperty(fakeSpan(), 'status', {
    get: () => {
      throw new Error('no status');
    },
  });
  const spans = SpanBatch.fromSpans([hostile]);
  const { summary } = SpanBatch.fromSpans([fakeSpan({ isError: true }), fakeSpan()]);
  const bytes = SpanBatch.fromBytes([Uint8Array.of(0x0a, 0x7f)], summary);
  for (const batch of [spans, bytes]) {
    expect([...router.split(batch)]).toEqual([[routeTo(['hot', 'warm']), batch]]);
    expect(router.diverted(batch)).toBeUndefined();
  }
});
