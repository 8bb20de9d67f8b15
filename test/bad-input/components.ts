import { adaptSpanExporter } from '@otel-resilience/core';
import {
  breakerChain,
  CircuitBreaker,
  CircuitBreakerSpanExporter,
  FailoverSpanExporter,
  RetryBudget,
  RetryingSpanExporter,
} from '@otel-resilience/exporter';
import { resilience } from '@otel-resilience/node';
import { OtlpSpanExporter } from '@otel-resilience/otlp';
import { AdaptiveBatchSpanProcessor, AttributeTrimmingSpanProcessor } from '@otel-resilience/processor';
import { CountingReceiver, FaultProxy, ScriptedExporter } from '@otel-resilience/testing';
import { MemorySpool, TieredSpanExporter } from '@otel-resilience/tiered';
import { DEGRADATION_COMPONENTS } from './degradation-components.js';

/** Numbers that an option takes, beside `NaN`, infinities and strings, which none takes. */
export interface NumberRule {
  readonly min?: number;
  readonly max?: number;
  readonly fractions?: boolean;
}

/** A public constructor, and what its options are. */
export interface Component {
  /** What `ConfigurationError.path` begins with. */
  readonly owner: string;
  make(options: unknown): unknown;
  /** The smallest valid options, made anew. */
  valid(): Record<string, unknown>;
  readonly numbers: Readonly<Record<string, NumberRule>>;
  /** Options that take one of a few words. */
  readonly words: readonly string[];
  /** Each a pair of which one contradicts the other, and the option that is blamed. */
  readonly contradictions: ReadonlyArray<readonly [string, Record<string, unknown>]>;
}

const COUNT: NumberRule = { min: 1 };
const COUNT_OR_NONE: NumberRule = { min: 0 };
const MILLIS: NumberRule = { min: 0, fractions: true };
const SOME_MILLIS: NumberRule = { min: 1, fractions: true };
const SHARE: NumberRule = { min: 0, max: 1, fractions: true };
const SHARE_ABOVE_0: NumberRule = { min: Number.EPSILON, max: 1, fractions: true };

const UPSTREAM = { host: '127.0.0.1', port: 4317 };
const exporter = () => new ScriptedExporter();

const BREAKER: Pick<Component, 'numbers' | 'words' | 'contradictions'> = {
  numbers: {
    failureRateThreshold: SHARE_ABOVE_0,
    minimumCalls: COUNT,
    windowMillis: SOME_MILLIS,
    windowSize: { min: 1, max: 100_000 },
    consecutiveFailures: COUNT,
    slowCallRateThreshold: SHARE_ABOVE_0,
    slowCallDurationMillis: MILLIS,
    openMillis: SOME_MILLIS,
    openMultiplier: { min: 1, fractions: true },
    maxOpenMillis: MILLIS,
    halfOpenPermits: { min: 1, max: 1_000 },
    halfOpenSuccesses: COUNT,
    probeTimeoutMillis: SOME_MILLIS,
    lastResortIntervalMillis: MILLIS,
    rejectionRateThreshold: SHARE,
    rejectionWindowMillis: SOME_MILLIS,
  },
  words: ['strategy', 'preset', 'window'],
  contradictions: [
    ['minimumCalls', { window: 'count', windowSize: 5, minimumCalls: 6 }],
    ['halfOpenSuccesses', { halfOpenPermits: 2, halfOpenSuccesses: 3 }],
    ['maxOpenMillis', { openMillis: 2_000, maxOpenMillis: 1_999 }],
  ],
};

export const COMPONENTS: readonly Component[] = [
  ...DEGRADATION_COMPONENTS,
  {
    owner: 'AdaptiveBatchSpanProcessor',
    make: (options) => new AdaptiveBatchSpanProcessor(options as never),
    valid: () => ({ exporter: exporter() }),
    numbers: {
      maxQueueSize: COUNT,
      maxQueueBytes: COUNT,
      maxExportBatchSize: COUNT,
      minExportBatchSize: COUNT,
      scheduledDelayMillis: MILLIS,
      minScheduledDelayMillis: MILLIS,
      exportTimeoutMillis: SOME_MILLIS,
      maxConcurrentExports: COUNT,
      targetLatencyMillis: SOME_MILLIS,
      adaptationIntervalMillis: SOME_MILLIS,
      flushTimeoutMillis: SOME_MILLIS,
      shutdownTimeoutMillis: SOME_MILLIS,
    },
    words: ['dropPolicy', 'profile'],
    contradictions: [
      ['maxExportBatchSize', { maxQueueSize: 10, maxExportBatchSize: 11 }],
      ['minExportBatchSize', { maxExportBatchSize: 10, minExportBatchSize: 11 }],
      ['minExportBatchSize', { maxQueueSize: 100, minExportBatchSize: 26 }],
      ['minScheduledDelayMillis', { scheduledDelayMillis: 10, minScheduledDelayMillis: 11 }],
    ],
  },
  {
    owner: 'AttributeTrimmingSpanProcessor',
    make: (options) => new AttributeTrimmingSpanProcessor(options as never),
    valid: () => ({
      next: new AdaptiveBatchSpanProcessor({ exporter: exporter() }),
      controller: { level: 'normal' },
    }),
    numbers: { maxValueLength: COUNT, maxEvents: COUNT_OR_NONE },
    words: [],
    contradictions: [],
  },
  {
    owner: 'RetryingSpanExporter',
    make: (options) => new RetryingSpanExporter(options as never),
    valid: () => ({ exporter: exporter() }),
    numbers: {
      maxRetries: { min: 0, max: 100 },
      initialDelayMillis: SOME_MILLIS,
      multiplier: { min: 1, max: 100, fractions: true },
      maxDelayMillis: SOME_MILLIS,
      randomizationFactor: SHARE,
      attemptTimeoutMillis: SOME_MILLIS,
    },
    words: ['strategy'],
    contradictions: [
      ['initialDelayMillis', { initialDelayMillis: 11, maxDelayMillis: 10 }],
      ['budget.retryCost', { budget: { capacity: 10, retryCost: 11 } }],
    ],
  },
  {
    owner: 'RetryBudget',
    make: (options) => new RetryBudget(options as never),
    valid: () => ({}),
    numbers: {
      capacity: COUNT,
      retryCost: MILLIS,
      throttledRetryCost: MILLIS,
      successRefund: MILLIS,
      refillPerSecond: MILLIS,
    },
    words: [],
    contradictions: [
      ['retryCost', { capacity: 10, retryCost: 11 }],
      ['throttledRetryCost', { capacity: 14, throttledRetryCost: 15 }],
    ],
  },
  {
    owner: 'CircuitBreaker',
    make: (options) => new CircuitBreaker(options as never),
    valid: () => ({}),
    ...BREAKER,
  },
  {
    owner: 'CircuitBreakerSpanExporter',
    make: (options) => new CircuitBreakerSpanExporter(options as never),
    valid: () => ({ exporter: exporter() }),
    ...BREAKER,
    contradictions: [...BREAKER.contradictions, ['openMillis', { breaker: new CircuitBreaker(), openMillis: 5 }]],
  },
  {
    owner: 'FailoverSpanExporter',
    make: (options) => new FailoverSpanExporter(options as never),
    valid: () => ({ endpoints: [{ name: 'a', exporter: exporter() }] }),
    numbers: { attemptTimeoutMillis: SOME_MILLIS, maxEjectionRatio: SHARE },
    words: ['strategy'],
    contradictions: [
      ['endpoints', { endpoints: [] }],
      ['endpoints[1].name', { endpoints: ['a', 'a'].map((name) => ({ name, exporter: exporter() })) }],
    ],
  },
  {
    owner: 'FailoverSpanExporter.endpoints[0]',
    make: (endpoint) => new FailoverSpanExporter({ endpoints: [endpoint] } as never),
    valid: () => ({ name: 'a', exporter: exporter() }),
    numbers: { priority: COUNT_OR_NONE, weight: { min: Number.EPSILON, fractions: true } },
    words: [],
    contradictions: [],
  },
  {
    owner: 'breakerChain',
    make: (options) => breakerChain(options as never),
    valid: () => ({ levels: [exporter()] }),
    numbers: { attemptTimeoutMillis: SOME_MILLIS, maxEjectionRatio: SHARE },
    words: [],
    contradictions: [
      ['levels', { levels: [] }],
      ['levels[1].name', { levels: [exporter(), { name: 'primary', exporter: exporter() }] }],
    ],
  },
  {
    owner: 'breakerChain.levels[0]',
    make: (level) => breakerChain({ levels: [level] } as never),
    valid: () => ({ exporter: exporter() }),
    ...BREAKER,
    contradictions: [],
  },
  {
    owner: 'TieredSpanExporter',
    make: (options) => new TieredSpanExporter(options as never),
    valid: () => ({ hot: exporter() }),
    numbers: {
      hotTimeoutMillis: SOME_MILLIS,
      probeIntervalMillis: { min: 10, fractions: true },
      replayTimeoutMillis: SOME_MILLIS,
      replaySpansPerSecond: { min: 0.001, fractions: true },
      poisonAttempts: { min: 2 },
    },
    words: [],
    contradictions: [
      ['replayTimeoutMillis', { probeIntervalMillis: 500, replayTimeoutMillis: 499 }],
      ['spool', { spool: { append() {}, lease() {} } }],
    ],
  },
  {
    owner: 'MemorySpool',
    make: (options) => new MemorySpool(options as never),
    valid: () => ({}),
    numbers: { maxBytes: COUNT },
    words: [],
    contradictions: [],
  },
  {
    owner: 'OtlpSpanExporter',
    make: (options) => new OtlpSpanExporter(options as never),
    valid: () => ({}),
    numbers: {
      headersTimeoutMillis: SOME_MILLIS,
      compressionLevel: { min: 1, max: 9 },
      connections: { min: 1, max: 1_000 },
      timeoutMillis: SOME_MILLIS,
      connectTimeoutMillis: SOME_MILLIS,
      maxRequestBytes: COUNT,
      maxConcurrentExports: COUNT,
    },
    words: ['protocol', 'compression'],
    contradictions: [
      ['tls', { url: 'http://a', tls: {} }],
      ['tls.key', { url: 'https://a', tls: { cert: 'client.pem' } }],
      ['maxConcurrentExports', { protocol: 'http/protobuf', connections: 3, maxConcurrentExports: 4 }],
    ],
  },
  {
    owner: 'adaptSpanExporter',
    make: (options) => adaptSpanExporter(exporter(), options as never),
    valid: () => ({}),
    numbers: { maxConcurrentExports: COUNT },
    words: [],
    contradictions: [],
  },
  {
    owner: 'resilience',
    make: (options) => resilience(options as never),
    valid: () => ({}),
    numbers: {},
    words: [],
    contradictions: [
      ['exporters', { endpoints: ['http://a'], exporters: [exporter()] }],
      ['endpoints', { endpoints: [] }],
      ['exporters', { exporters: [] }],
    ],
  },
  {
    owner: 'CountingReceiver',
    make: (options) => new CountingReceiver(options as never),
    valid: () => ({}),
    numbers: {
      port: { min: 0, max: 65_535 },
      maxRequestBytes: COUNT,
      maxLoggedRequests: COUNT_OR_NONE,
      maxKeptSpans: COUNT_OR_NONE,
    },
    words: ['protocol'],
    contradictions: [['keepOutlines', { keepSpans: true, keepOutlines: true }]],
  },
  {
    owner: 'FaultProxy',
    make: (options) => new FaultProxy(options as never),
    valid: () => ({ upstream: UPSTREAM }),
    numbers: { port: { min: 0, max: 65_535 }, connectTimeoutMillis: MILLIS },
    words: [],
    contradictions: [['upstreams', { upstreams: [UPSTREAM] }]],
  },
];
