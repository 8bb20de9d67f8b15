import { PipelineSignals } from '@otel-resilience/core';
import {
  BudgetTrigger,
  CpuTrigger,
  DegradationController,
  EndpointTrigger,
  ErrorRateTrigger,
  EventLoopTrigger,
  HeapTrigger,
  LatencyTrigger,
  MemoryTrigger,
  PressureTrigger,
  QueueTrigger,
  QuotaTrigger,
  SpoolTrigger,
  TimeoutRateTrigger,
} from '@otel-resilience/degradation';
import { AdaptiveBatchSpanProcessor } from '@otel-resilience/processor';
import { DegradationSampler, TailSamplingSpanProcessor } from '@otel-resilience/sampler';
import { ScriptedExporter } from '@otel-resilience/testing';
import type { Component, NumberRule } from './components.js';

/** A built-in trigger, the greatest value it may have, and its lowest threshold. */
export interface TriggerComponent extends Component {
  readonly max: number;
  readonly light: number;
}

const COUNT: NumberRule = { min: 1 };
const MILLIS: NumberRule = { min: 0, fractions: true };
const SOME_MILLIS: NumberRule = { min: 1, fractions: true };
const INTERVAL: NumberRule = { min: 1, max: 86_400_000, fractions: true };
const SAMPLE_INTERVAL: NumberRule = { min: 10, max: 60_000, fractions: true };
const SHARE: NumberRule = { min: 0, max: 1, fractions: true };

type Maker = new (options: never) => unknown;

function trigger(
  Trigger: Maker,
  { light, max = Number.POSITIVE_INFINITY }: { light: number; max?: number },
  { valid = () => ({}), numbers = {}, words = [], contradictions = [] }: Partial<Component> = {},
): TriggerComponent {
  return {
    owner: Trigger.name,
    make: (options) => new Trigger((options === undefined ? {} : options) as never),
    valid,
    numbers: {
      holdForMillis: MILLIS,
      recoveryThreshold: { min: Number.EPSILON, max: light, fractions: true },
      ...numbers,
    },
    words,
    contradictions: [['recoveryThreshold', { recoveryThreshold: light }], ...contradictions],
    light,
    max,
  };
}

const withSignals: Partial<Component> = { valid: () => ({ signals: new PipelineSignals() }) };
const sampled = { sampleIntervalMillis: SAMPLE_INTERVAL };

export const TRIGGERS: readonly TriggerComponent[] = [
  trigger(
    CpuTrigger,
    { light: 70, max: 100 },
    {
      numbers: sampled,
      words: ['source', 'measure', 'profile'],
      contradictions: [
        ['source', { measure: 'throttling', source: 'host' }],
        // Lower than usage would have it, higher than throttling's own light.
        ['thresholds.moderate', { measure: 'throttling', thresholds: { light: 60 } }],
      ],
    },
  ),
  trigger(MemoryTrigger, { light: 75, max: 100 }, { numbers: sampled, words: ['source'] }),
  trigger(HeapTrigger, { light: 0.75, max: 1 }),
  trigger(
    EventLoopTrigger,
    { light: 100 },
    {
      numbers: { resolutionMillis: { min: 1, max: 1_000 } },
      words: ['measure'],
      contradictions: [['thresholds.light', { measure: 'utilization', thresholds: { light: 50 } }]],
    },
  ),
  trigger(
    PressureTrigger,
    { light: 40, max: 100 },
    {
      numbers: sampled,
      words: ['resource', 'kind', 'source'],
      contradictions: [['thresholds.moderate', { resource: 'memory', thresholds: { light: 30 } }]],
    },
  ),
  trigger(LatencyTrigger, { light: 100 }, withSignals),
  trigger(
    ErrorRateTrigger,
    { light: 0.05, max: 1 },
    { numbers: { windowMillis: { min: 1_000, fractions: true }, minimumCalls: COUNT } },
  ),
  trigger(TimeoutRateTrigger, { light: 0.05, max: 1 }, withSignals),
  trigger(QueueTrigger, { light: 0.5, max: 1 }, withSignals),
  trigger(SpoolTrigger, { light: 0.5, max: 1 }, withSignals),
  trigger(EndpointTrigger, { light: 0.5, max: 1 }, withSignals),
  trigger(QuotaTrigger, { light: 1 }, withSignals),
  trigger(BudgetTrigger, { light: 0.8 }, { valid: () => ({ spent: () => 0 }) }),
];

const always = { name: 'always', thresholds: { light: 1, moderate: 2, heavy: 3, emergency: 4 }, read: () => 0 };
const never = Number.POSITIVE_INFINITY;

export const DEGRADATION_COMPONENTS: readonly Component[] = [
  ...TRIGGERS,
  {
    owner: 'DegradationController',
    make: (options) => new DegradationController(options as never),
    valid: () => ({ triggers: [] }),
    numbers: {
      evaluationIntervalMillis: INTERVAL,
      recoveryIntervalMillis: INTERVAL,
      triggerTimeoutMillis: { min: 1, max: 60_000, fractions: true },
    },
    words: ['recoveryProfile'],
    contradictions: [
      ['triggers[1].name', { triggers: [always, { ...always }] }],
      ['triggers[0].thresholds.heavy', { triggers: [{ ...always, thresholds: { ...always.thresholds, heavy: 1 } }] }],
      [
        'triggers[0].thresholds.light',
        { triggers: [{ ...always, thresholds: { ...always.thresholds, light: never } }] },
      ],
      ['triggers[0].recoveryThreshold', { triggers: [{ ...always, recoveryThreshold: 1 }] }],
      ['strategies.errorsOnly', { strategies: { errorsOnly: 'always' } }],
      ['strategies.hope', { strategies: { hope: 'heavy' } }],
      ['features.core', { features: { core: 'heavy' } }],
      ['features.search', { features: { search: 'normal' } }],
    ],
  },
  {
    owner: 'DegradationSampler',
    make: (options) => new DegradationSampler((options === undefined ? {} : options) as never),
    valid: () => ({}),
    numbers: {
      ratio: SHARE,
      targetSpansPerSecond: { min: Number.EPSILON, fractions: true },
      precision: { min: 1, max: 14 },
    },
    words: ['targetPer', 'criticalUntil', 'keepErrors', 'degradeRemoteParents'],
    contradictions: [
      ['controller', { controller: { level: 'mild' } }],
      ['ratios.heavy', { ratios: { heavy: 1.1 } }],
      ['ratios.light', { ratios: { light: Number.NaN } }],
      ['ratios.mild', { ratios: { mild: 0.5 } }],
      ['keepErrors.heavy', { keepErrors: { heavy: 'some' } }],
      ['rules[0].ratio', { rules: [{ name: 'GET' }] }],
      ['rules[1].ratio', { rules: [{ ratio: 0 }, { ratio: -0.1 }] }],
      ['rules[0].keepErrors', { rules: [{ ratio: 1, keepErrors: 'off' }] }],
      ['rules[0].kind', { rules: [{ ratio: 1, kind: 'SERVER' }] }],
      ['rules[0].route', { rules: [{ ratio: 1, route: /health/ }] }],
      ['rules[0].name', { rules: [{ ratio: 1, name: [] }] }],
      ['rules[0].attributes.tier', { rules: [{ ratio: 1, attributes: { tier: Number.NaN } }] }],
      ['criticalServices[0]', { criticalServices: [''] }],
      ['criticalRoutes', { criticalRoutes: [5] }],
      ['delegate', { delegate: { shouldSample: true } }],
      ['resource', { resource: {} }],
    ],
  },
  {
    owner: 'TailSamplingSpanProcessor',
    make: (options) => new TailSamplingSpanProcessor(options as never),
    valid: () => ({ next: new AdaptiveBatchSpanProcessor({ exporter: new ScriptedExporter() }) }),
    numbers: { slowThresholdMillis: MILLIS, maxHeldTraces: COUNT, maxHeldBytes: COUNT, maxHoldMillis: SOME_MILLIS },
    words: [],
    contradictions: [
      ['next', { next: { onEnd() {} } }],
      ['controller', { controller: {} }],
      // There is nothing to know of another service here.
      ['keepRules[0].service', { keepRules: [{ service: 'shop' }] }],
      ['keepRules[0].ratio', { keepRules: [{ ratio: 1 }] }],
      ['keepRules[1].attributes', { keepRules: [{}, { attributes: [] }] }],
    ],
  },
];
