import { SpanKind } from '@opentelemetry/api';
import { AlwaysOnSampler, ParentBasedSampler } from '@opentelemetry/sdk-trace-base';
import { DEGRADATION_LEVELS, type DegradationLevel } from '@otel-resilience/core';
import type {
  ComposableSampler,
  DegradationSamplerOptions,
  SamplingRule,
  TailSamplingSpanProcessorOptions,
} from '@otel-resilience/sampler';

/** What the local roots of one kind have in common: what rules see. */
export interface Operation {
  readonly name: string;
  readonly kind: SpanKind;
  readonly attributes: Readonly<Record<string, string | number>>;
  readonly weight: number;
}

export interface RuleSet {
  readonly ratio: number;
  /** By operation name; handed to the sampler as rules, and read by the simulation to know the true probability. */
  readonly rules: Readonly<Record<string, Omit<SamplingRule, 'ratio'> & { ratio: number }>>;
}

export interface Service {
  readonly name: string;
  readonly operations: readonly Operation[];
  /** Rules before and after a reload of the configuration. */
  readonly ruleSets: readonly RuleSet[];
  readonly sampler: Omit<DegradationSamplerOptions, 'rules' | 'controller' | 'clock'>;
  readonly tail: Omit<TailSamplingSpanProcessorOptions, 'next' | 'controller' | 'clock'>;
  readonly levelRatios: Readonly<Record<DegradationLevel, number>>;
  /** Shares of the time. */
  readonly levelWeights: readonly number[];
  /** What the sampler's delegate keeps. */
  readonly delegateRatio?: number;
  /** Operations that keep their ratio up to moderate. */
  readonly critical: readonly string[];
}

const server = (name: string, path: string, weight: number, more = {}): Operation => ({
  name,
  kind: SpanKind.SERVER,
  attributes: Object.freeze({ 'http.request.method': name.split(' ')[0]!, 'url.path': path, ...more }),
  weight,
});

/** How much is left out: seeds take turns. */
const FAMILIES = [
  {
    // The default ratios, but for emergency: of a million spans too few would be left to be normally distributed.
    levels: { normal: 1, light: 0.5, moderate: 0.1, heavy: 0.01, emergency: 0.005 },
    levelWeights: [2, 1, 2, 4, 4],
    fewestByRule: 1,
    foreignRates: ['8', 'c', '4', '0', 'e666'],
  },
  {
    levels: { normal: 1, light: 0.6, moderate: 0.4, heavy: 0.3, emergency: 0.2 },
    levelWeights: [3, 2, 2, 2, 1.5],
    fewestByRule: 0,
    foreignRates: ['8', 'c', '4', '0', 'e666'],
  },
  {
    // So little that every seed estimates its overall totals to a few thousandths.
    levels: { normal: 1, light: 0.85, moderate: 0.75, heavy: 0.65, emergency: 0.55 },
    levelWeights: [3, 2, 2, 2, 1.5],
    fewestByRule: 0.8,
    foreignRates: ['4', '0', '3333'],
  },
] as const;

export function familyOf(seed: number): (typeof FAMILIES)[number] {
  return FAMILIES[seed % FAMILIES.length]!;
}

const TIGHT = {
  none: {},
  traces: { maxHeldTraces: 6 },
  bytes: { maxHeldBytes: 20_000 },
  time: { maxHoldMillis: 20 },
  all: { maxHeldTraces: 16, maxHeldBytes: 35_000, maxHoldMillis: 200 },
} as const;

/** The services of a scenario. Every one meets every kind of memory bound in some seed. */
export function servicesOf(seed: number): readonly Service[] {
  const { levels, levelWeights, fewestByRule } = familyOf(seed);
  const bounds = Object.values(TIGHT);
  const tail = (index: number) => ({ metrics: false, ...bounds[(seed + index) % bounds.length]! });
  const common = { levelRatios: levels, levelWeights, critical: [] as string[] };
  const sampler = { metrics: false, ratios: levels };
  const rules = (ratio: number, all: RuleSet['rules'] = {}): RuleSet => ({
    ratio: Math.max(ratio, fewestByRule),
    rules: Object.fromEntries(
      Object.entries(all).map(([name, rule]) => [name, { ...rule, ratio: Math.max(rule.ratio, fewestByRule) }]),
    ),
  });
  return [
    {
      ...common,
      name: 'shop',
      operations: [
        server('GET /search', '/search', 5),
        server('POST /checkout', '/checkout', 2, { 'shop.items': 3 }),
        server('GET /reports', '/reports/daily', 2, { 'shop.note': 'x'.repeat(300) }),
        server('GET /health', '/health', 1),
      ],
      ruleSets: [
        rules(1, {
          'GET /reports': { route: '/reports/*', ratio: 0.3 },
          'GET /health': { name: 'GET /health', ratio: 0.1, keepErrors: false },
        }),
        rules(0.7, { 'GET /reports': { route: ['/reports/daily'], ratio: 0.8 } }),
      ],
      sampler: { ...sampler, criticalRoutes: '/checkout' },
      critical: ['POST /checkout'],
      tail: tail(0),
    },
    {
      ...common,
      name: 'orders',
      operations: [server('PUT /orders', '/orders', 3), server('GET /orders', '/orders/1', 5)],
      ruleSets: [
        rules(1, {
          'PUT /orders': { attributes: { 'http.request.method': 'PUT' }, ratio: 0.4 },
          'GET /orders': { route: '/orders/*', ratio: 0.8 },
        }),
        rules(0.5),
      ],
      sampler: {
        ...sampler,
        keepErrors: { heavy: 'localRoots', emergency: 'off' },
        delegate: seed % 2 === 0 ? new ParentBasedSampler({ root: new AlwaysOnSampler() }) : undefined,
      },
      tail: tail(1),
    },
    {
      ...common,
      name: 'partner',
      operations: [server('POST /hook', '/hook', 4), server('POST /batch', '/batch', 2)],
      ruleSets: [
        rules(1, { 'POST /batch': { kind: 'server', route: '/batch', ratio: 0.4 } }),
        rules(1, { 'POST /batch': { name: '*batch', ratio: 0.6 }, 'POST /hook': { name: '*hook', ratio: 0.6 } }),
      ],
      sampler: { ...sampler, keepErrors: 'all' },
      tail: { ...tail(2), keepRules: [{ attributes: { 'db.system': 'oracle' } }] },
    },
    {
      ...common,
      name: 'stock',
      operations: [server('GET /stock', '/stock', 1)],
      ruleSets: [rules(1), rules(1, { 'GET /stock': { kind: 'server', ratio: 0.5 } })],
      sampler: { ...sampler, degradeRemoteParents: seed % 4 === 0 ? false : 'consistent', precision: 2 },
      tail: { ...tail(3), slowThresholdMillis: 30 },
    },
    {
      ...common,
      name: 'worker',
      operations: [{ name: 'job', kind: SpanKind.CONSUMER, attributes: Object.freeze({ queue: 'mail' }), weight: 1 }],
      ruleSets: [rules(1), rules(0.5)],
      sampler: { ...sampler, targetSpansPerSecond: 300, delegate: seed % 2 === 0 ? COMPOSABLE : undefined },
      delegateRatio: seed % 2 === 0 ? 0.75 : 1,
      tail: tail(4),
    },
  ];
}

const COMPOSABLE: ComposableSampler = {
  getSamplingIntent: () => ({ threshold: 1n << 54n, thresholdReliable: true }),
  toString: () => 'three quarters',
};

export function drawLevel(index: number): DegradationLevel {
  return DEGRADATION_LEVELS[index]!;
}
