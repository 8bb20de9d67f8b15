import { type Attributes, createTraceState, ROOT_CONTEXT, SpanKind, TraceFlags, trace } from '@opentelemetry/api';
import { DEGRADATION_LEVELS, type DegradationLevel, type DegradationStrategy } from '@otel-resilience/core';
import { VirtualClock } from '@otel-resilience/testing';
import { beforeEach, expect, test, vi } from 'vitest';
import { DegradationSampler } from './degradation-sampler.js';
import type { DegradationSamplerOptions } from './sampler-options.js';
import { samplingHandover, takeHandover } from './sampling-handover.js';

const NOT_RECORD = 0;
const RECORD = 1;
const SAMPLED = 2;

/** A trace id whose randomness is this share of all. */
const traceIdAt = (share: number) =>
  `${'1'.repeat(18)}${Math.floor(share * 2 ** 52)
    .toString(16)
    .padStart(13, '0')}0`;
const HIGH = traceIdAt(0.9999);
const LOW = traceIdAt(0.0001);

const at = (level: DegradationLevel, more: object = {}) => ({ level, ...more });

function root(
  sampler: DegradationSampler,
  traceId: string,
  { name = 'GET /', kind = SpanKind.SERVER, attributes = {} as Attributes } = {},
) {
  const { decision, traceState } = sampler.shouldSample(ROOT_CONTEXT, traceId, name, kind, attributes, []);
  return { decision, ot: traceState?.get('ot') };
}

function child(sampler: DegradationSampler, parent: object) {
  const context = trace.setSpan(ROOT_CONTEXT, parent as never);
  return sampler.shouldSample(context, HIGH, 'child', SpanKind.INTERNAL, {}, []).decision;
}

/** The local parent that a decision about it makes. */
const localParent = (
  decision: number,
  fields: { traceState?: unknown; recording?: boolean; ended?: boolean } = {},
) => ({
  spanContext: () => ({
    traceId: HIGH,
    spanId: '2'.repeat(16),
    traceFlags: decision === SAMPLED ? TraceFlags.SAMPLED : TraceFlags.NONE,
    traceState: fields.traceState,
  }),
  isRecording: () => fields.recording ?? decision > NOT_RECORD,
  ended: fields.ended,
});

beforeEach(() => {
  Object.assign(samplingHandover, { traceId: '', parentSpanId: '', spanId: '', certainty: 'none', holds: false });
});

test('without options every root is sampled, and written to stand for itself alone', () => {
  const sampler = new DegradationSampler();
  expect(root(sampler, LOW)).toEqual({ decision: SAMPLED, ot: 'th:0' });
  expect(sampler.stats()).toMatchObject({ sampled: 1, probabilistic: 1, level: 'normal', ratio: 1 });
});

test.each([
  ['normal', '0'],
  ['light', '8'],
  ['moderate', 'e666'],
  ['heavy', 'fd70a'],
  ['emergency', 'ffbe77'],
] as const)('at %s a kept root says th:%s', (level, th) => {
  expect(root(new DegradationSampler({ controller: at(level) }), traceIdAt(0.99999))).toEqual({
    decision: SAMPLED,
    ot: `th:${th}`,
  });
});

test('the level is followed from one root to the next', () => {
  const controller: { level: DegradationLevel } = { level: 'normal' };
  const sampler = new DegradationSampler({ controller });
  const middle = traceIdAt(0.7);
  const seen = [...DEGRADATION_LEVELS, 'light' as const, 'normal' as const].map((level) => {
    controller.level = level;
    return root(sampler, middle).decision;
  });
  expect(seen).toEqual([SAMPLED, SAMPLED, RECORD, RECORD, RECORD, SAMPLED, SAMPLED]);
  expect(sampler.stats()).toMatchObject({ sampled: 4, recordOnly: 3, degraded: 3, probabilistic: 4 });
});

test('a root that is not sampled is recorded, for the tail, and says no threshold', () => {
  expect(root(new DegradationSampler({ controller: at('heavy') }), LOW)).toEqual({ decision: RECORD, ot: undefined });
  expect(root(new DegradationSampler({ controller: at('heavy'), keepErrors: 'off' }), LOW).decision).toBe(NOT_RECORD);
  const perLevel = new DegradationSampler({ controller: at('light'), keepErrors: { light: 'off' } });
  expect(root(perLevel, LOW).decision).toBe(NOT_RECORD);
});

test('children follow a local parent: sampled, recorded, or neither, whatever their own trace id says', () => {
  const sampler = new DegradationSampler({ controller: at('emergency') });
  expect(child(sampler, localParent(SAMPLED))).toBe(SAMPLED);
  expect(child(sampler, localParent(RECORD))).toBe(RECORD);
  expect(child(sampler, localParent(NOT_RECORD))).toBe(NOT_RECORD);
  expect(sampler.stats()).toMatchObject({ parent: 1, sampled: 1, recordOnly: 1, notRecorded: 1 });
});

test('a child that starts after its recorded parent has ended is recorded, as in a trace that is sampled', () => {
  const ended = localParent(RECORD, { recording: false, ended: true });
  expect(child(new DegradationSampler(), ended)).toBe(RECORD);
});

test('where only local roots are recorded, their children are not', () => {
  const sampler = new DegradationSampler({ controller: at('emergency') });
  const { decision, traceState } = sampler.shouldSample(ROOT_CONTEXT, LOW, 'root', SpanKind.SERVER, {}, []);
  expect(decision).toBe(RECORD);
  expect(traceState!.serialize()).toBe('');
  expect(child(sampler, localParent(RECORD, { traceState }))).toBe(NOT_RECORD);
  expect(child(sampler, localParent(RECORD, { traceState: traceState!.set('vendor', '1') }))).toBe(NOT_RECORD);
  expect(child(sampler, localParent(RECORD, { traceState: createTraceState('vendor=1') }))).toBe(RECORD);
});

test('the first rule that fits decides, and the level makes less of it', () => {
  const rules = [
    { service: 'other', ratio: 0 },
    { route: '/health*', ratio: 0, keepErrors: false },
    { attributes: { tier: 'gold' }, ratio: 1 },
    { kind: 'server', name: 'GET *', ratio: 0.5 },
  ] as const;
  const controller: { level: DegradationLevel } = { level: 'normal' };
  const sampler = new DegradationSampler({ controller, rules, serviceName: 'shop', ratio: 0.25 });
  expect(root(sampler, HIGH, { attributes: { 'url.path': '/healthz' } }).decision).toBe(NOT_RECORD);
  expect(root(sampler, LOW, { attributes: { tier: 'gold' } }).ot).toBe('th:0');
  expect(root(sampler, HIGH).ot).toBe('th:8');
  expect(root(sampler, HIGH, { kind: SpanKind.CONSUMER }).ot).toBe('th:c');
  controller.level = 'light';
  expect(root(sampler, HIGH).ot).toBe('th:c');
  expect(root(sampler, LOW, { attributes: { tier: 'gold' } }).decision).toBe(RECORD);
  expect(sampler.stats()).toMatchObject({ rule: 3, probabilistic: 1, degraded: 1, ratio: 0.125 });
});

test('rules for a service apply as soon as a resource that is being detected names it', async () => {
  const resource = {
    asyncAttributesPending: true,
    attributes: {} as Record<string, unknown>,
    waitForAsyncAttributes: async () => {
      resource.attributes = { 'service.name': 'shop' };
    },
  };
  const rules = [{ service: 'shop', ratio: 0.5 }];
  const sampler = new DegradationSampler({ rules, resource, serviceName: undefined });
  expect(root(sampler, HIGH).ot).toBe('th:0');
  await new Promise(setImmediate);
  expect(root(sampler, HIGH).ot).toBe('th:8');
});

test('critical services and routes keep their ratio through criticalUntil', () => {
  const th = (options: DegradationSamplerOptions, attributes: Attributes = {}) =>
    root(new DegradationSampler({ ...options, ratio: 0.5 }), HIGH, { attributes }).ot;
  const critical = { criticalServices: ['checkout'], serviceName: 'checkout' };
  expect(th({ ...critical, controller: at('moderate') })).toBe('th:8');
  expect(th({ ...critical, controller: at('heavy') })).not.toBe('th:8');
  expect(th({ ...critical, controller: at('heavy'), criticalUntil: 'heavy' })).toBe('th:8');
  expect(th({ criticalServices: ['checkout'], serviceName: 'shop', controller: at('light') })).toBe('th:c');
  const routes = { criticalRoutes: ['/pay*'], controller: at('moderate') };
  expect(th(routes, { 'url.path': '/pay/1' })).toBe('th:8');
  expect(th(routes, { 'url.path': '/list' })).toBe('th:f3333');
});

test('strategies that are not in force change nothing', () => {
  const only = (active: DegradationStrategy[]) => ({
    level: 'light' as const,
    isActive: (strategy: DegradationStrategy) => active.includes(strategy),
  });
  expect(root(new DegradationSampler({ controller: only([]) }), LOW).ot).toBe('th:0');
  const critical = { criticalServices: ['shop'], serviceName: 'shop' };
  const reduced = only(['reduceSamplingRate']);
  expect(root(new DegradationSampler({ ...critical, controller: reduced }), HIGH).ot).toBe('th:8');
});

test.each([
  ['normal', {}, { certainty: 'all', holds: false }],
  ['light', {}, { certainty: 'all', holds: true }],
  ['emergency', {}, { certainty: 'localRoot', holds: false }],
  ['light', { keepErrors: 'off' }, { certainty: 'none', holds: false }],
  ['light', { rules: [{ ratio: 0.5, keepErrors: false }] }, { certainty: 'none', holds: false }],
] as const)('at %s with %j the tail is told %j, of kept and dropped roots alike', (level, options, expected) => {
  const sampler = new DegradationSampler({ controller: at(level), ...options });
  for (const traceId of [HIGH, LOW]) {
    root(sampler, traceId);
    expect(samplingHandover).toMatchObject({ traceId, parentSpanId: '', ...expected });
    expect(takeHandover(traceId, 'f'.repeat(16), 'a')).toBe(false);
    expect(takeHandover(traceId, '', 'a')).toBe(true);
    expect(takeHandover(traceId, '', 'a')).toBe(true);
    expect(takeHandover(traceId, '', 'b')).toBe(false);
  }
});

test('of local children the tail is told nothing', () => {
  const sampler = new DegradationSampler();
  child(sampler, localParent(SAMPLED));
  expect(samplingHandover.traceId).toBe('');
});

test('a rate target holds the sampled spans near it, children included, and the threshold says so', async () => {
  const clock = new VirtualClock();
  const sampler = new DegradationSampler({ targetSpansPerSecond: 100, clock });
  let random = 1;
  const traceId = () => {
    random = (random * 48_271) % 2_147_483_647;
    return traceIdAt(random / 2_147_483_647);
  };
  const second = async () => {
    const before = sampler.stats().sampled;
    for (let i = 0; i < 500; i++) {
      const { decision } = root(sampler, traceId());
      child(sampler, localParent(decision));
      if (i % 50 === 49) await clock.advance(100);
    }
    return sampler.stats().sampled - before;
  };
  for (let i = 0; i < 60; i++) await second();
  let sampled = 0;
  for (let i = 0; i < 60; i++) sampled += await second();
  expect(sampled / 60).toBeGreaterThan(80);
  expect(sampled / 60).toBeLessThan(120);
  const { ratio } = sampler.stats();
  expect(ratio).toBeCloseTo(0.1, 1);
  expect(Number.parseInt(root(sampler, HIGH).ot!.slice(3).padEnd(4, '0').slice(0, 4), 16) / 65_536).toBeCloseTo(
    1 - ratio,
    2,
  );
});

test('the controller is started with the first span, once', () => {
  const start = vi.fn();
  const sampler = new DegradationSampler({ controller: { level: 'normal', start } });
  expect(start).not.toHaveBeenCalled();
  root(sampler, HIGH);
  root(sampler, HIGH);
  expect(start).toHaveBeenCalledOnce();
});

test('a controller that throws, or talks nonsense, neither stops the application nor changes the rate', () => {
  const controller = {
    level: 'normal' as DegradationLevel,
    start: () => {
      throw new Error('start');
    },
    isActive: (): boolean => {
      throw new Error('isActive');
    },
  };
  const sampler = new DegradationSampler({ controller });
  expect(root(sampler, HIGH).ot).toBe('th:0');
  controller.level = 'light';
  expect(root(sampler, HIGH).ot).toBe('th:8');
  controller.level = 'bogus' as never;
  expect(root(sampler, HIGH).ot).toBe('th:0');
  controller.level = 'light';
  expect(root(sampler, HIGH).ot).toBe('th:8');
  Object.defineProperty(controller, 'level', {
    get: () => {
      throw new Error('level');
    },
  });
  expect(root(sampler, HIGH)).toEqual({ decision: SAMPLED, ot: 'th:8' });
  expect(child(sampler, localParent(NOT_RECORD))).toBe(NOT_RECORD);
  expect(sampler.stats()).toMatchObject({ level: 'light', failures: expect.any(Number) });
  expect(sampler.stats().failures).toBeGreaterThan(4);
});

test('what is no trace id, no context, or no attributes is decided without throwing', () => {
  const sampler = new DegradationSampler({
    ratio: 0.5,
    rules: [
      { route: '/x', ratio: 1 },
      { attributes: { a: 1 }, ratio: 1 },
    ],
  });
  for (const traceId of ['', 'x', undefined, null, 7, {}, Symbol('x')]) {
    expect(() => sampler.shouldSample(ROOT_CONTEXT, traceId as never, 'x', 0, undefined as never, [])).not.toThrow();
  }
  for (const context of [undefined, null, {}, 7]) {
    expect(() => sampler.shouldSample(context as never, HIGH, undefined as never, 0, {}, [])).not.toThrow();
  }
});

test('results can be used again and again: they are frozen', () => {
  const sampler = new DegradationSampler({ controller: at('light') });
  for (const traceId of [HIGH, LOW]) {
    const result = sampler.shouldSample(ROOT_CONTEXT, traceId, 'x', 0, {}, []);
    expect(Object.isFrozen(result)).toBe(true);
    expect(sampler.shouldSample(ROOT_CONTEXT, traceId, 'x', 0, {}, [])).toBe(result);
  }
});

test('it describes itself, whatever its delegate says', () => {
  const delegate = {
    shouldSample: () => ({ decision: 2 }),
    toString: () => {
      throw new Error('no');
    },
  };
  expect(String(new DegradationSampler({ delegate, ratio: 0.5 }))).toBe(
    'DegradationSampler{ratio=0.5, rules=0, delegate=unknown}',
  );
});

test('the ratio is for roots; a remote parent is followed until a rule or the level says otherwise', () => {
  const parent = { traceId: LOW, spanId: '2'.repeat(16), traceFlags: TraceFlags.SAMPLED, isRemote: true };
  const below = trace.setSpanContext(ROOT_CONTEXT, { ...parent, traceState: createTraceState('ot=th:0') });
  const decision = (options: DegradationSamplerOptions) =>
    new DegradationSampler(options).shouldSample(below, LOW, 'GET /', SpanKind.SERVER, {}, []).decision;
  expect(decision({ ratio: 0.1 })).toBe(SAMPLED);
  expect(decision({ ratio: 0.1, rules: [{ ratio: 0.1 }] })).toBe(RECORD);
  expect(decision({ ratio: 0.1, controller: at('light') })).toBe(RECORD);
  expect(root(new DegradationSampler({ ratio: 0.1 }), LOW).decision).toBe(RECORD);
});

test('its stats are of the level in force, whether or not there has been a root since', () => {
  const controller: { level: DegradationLevel } = { level: 'heavy' };
  const sampler = new DegradationSampler({ controller });
  expect(sampler.stats()).toMatchObject({ level: 'heavy', ratio: expect.closeTo(0.01, 4) });
  root(sampler, HIGH);
  controller.level = 'normal';
  expect(sampler.stats()).toMatchObject({ level: 'normal', ratio: 1 });
});
