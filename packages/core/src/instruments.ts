import {
  type Attributes,
  type Histogram,
  type Meter,
  type MeterProvider,
  metrics,
  type Observable,
} from '@opentelemetry/api';
import { LimitedLog } from './limited-log.js';

/** Semantic conventions 1.45 (experimental). */
export const METRIC = {
  spanProcessed: 'otel.sdk.processor.span.processed',
  queueSize: 'otel.sdk.processor.span.queue.size',
  queueCapacity: 'otel.sdk.processor.span.queue.capacity',
  spanInflight: 'otel.sdk.exporter.span.inflight',
  spanExported: 'otel.sdk.exporter.span.exported',
  operationDuration: 'otel.sdk.exporter.operation.duration',
  /** Ours: what lies between a processor and the wire, retries, failover and spool, has no name in the conventions. */
  exportDuration: 'otel_resilience.processor.export.duration',
} as const;

interface ObservedInstrument {
  readonly kind: 'counter' | 'upDownCounter' | 'gauge';
  readonly name: string;
  readonly unit: string;
  readonly description: string;
  /** Reports the current value, once per set of attributes. */
  readonly read: (report: (value: number, attributes?: Attributes) => void) => void;
}

export interface InstrumentsOptions {
  /** Default true. */
  readonly enabled?: boolean;
  /** What `recordDuration` records. Default `otel.sdk.exporter.operation.duration`. */
  readonly duration?: string;
}

/** None of the methods throws, whatever the meter provider does. */
export interface Instruments {
  /** `<type>/<n>`, unique in the process. */
  readonly componentName: string;
  /**
   * Registers this component, and every other one that has called this before, with the global meter provider in force;
   * cheap when that has not changed. Call it at the first span and at every export.
   */
  refresh(): void;
  /** Seconds, as the convention has it. */
  recordDuration(seconds: number, attributes?: Attributes): void;
  /** Takes every callback away from the meter provider. */
  shutdown(): void;
}

/**
 * The self-observability metrics of one component. Counts are observable instruments that read the ledger when
 * metrics are collected, so the hot path pays nothing. NodeSDK hands no meter provider to components of the user's,
 * and the global one may be set after us and is not a proxy: hence `refresh`.
 */
export function createInstruments(
  componentType: string,
  observed: readonly ObservedInstrument[],
  { enabled = true, duration: durationName = METRIC.operationDuration }: InstrumentsOptions = {},
): Instruments {
  const componentName = nextName(componentType);
  const identity = { 'otel.component.type': componentType, 'otel.component.name': componentName };
  let provider: MeterProvider | undefined;
  let duration: Histogram | undefined;
  let unregister: Array<() => void> = [];
  let closed = !enabled;
  const log = new LimitedLog(componentType);

  const attempt = (what: string, run: () => void) => {
    try {
      run();
    } catch (thrown) {
      log.warn('metrics', () => `${what} failed: ${thrown}`);
    }
  };
  const release = () => {
    for (const undo of unregister) attempt('taking a metric away', undo);
    unregister = [];
  };
  const register = (meterProvider: MeterProvider) => {
    const meter = meterProvider.getMeter('otel-resilience');
    duration = meter.createHistogram(durationName, {
      unit: 's',
      description: 'Duration of exporting a batch.',
      advice: { explicitBucketBoundaries: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] },
    });
    for (const instrument of observed) unregister.push(observe(meter, instrument, identity));
  };

  const follow = (current: MeterProvider) => {
    if (current === provider) return;
    release();
    provider = current;
    duration = undefined;
    attempt('registering metrics', () => register(current));
  };

  return {
    componentName,
    refresh() {
      if (closed) return;
      open.add(follow);
      const current = metrics.getMeterProvider();
      if (current === provider) return;
      for (const component of open) component(current);
    },
    recordDuration: (seconds, attributes) =>
      attempt('recording a duration', () => duration?.record(seconds, { ...identity, ...attributes })),
    shutdown() {
      closed = true;
      open.delete(follow);
      release();
    },
  };
}

// A sampler or a controller has no moment of its own at which to look for a new meter provider: whoever exports looks
// for all of them.
const open = new Set<(current: MeterProvider) => void>();

const CREATE = {
  counter: 'createObservableCounter',
  upDownCounter: 'createObservableUpDownCounter',
  gauge: 'createObservableGauge',
} as const;

function observe(meter: Meter, { kind, name, unit, description, read }: ObservedInstrument, identity: Attributes) {
  const instrument: Observable = meter[CREATE[kind]](name, { unit, description });
  const onCollect = (result: { observe(value: number, attributes?: Attributes): void }) =>
    read((value, attributes) => result.observe(value, { ...identity, ...attributes }));
  instrument.addCallback(onCollect);
  return () => instrument.removeCallback(onCollect);
}

// Shared by the ESM and the CommonJS copy of this module, so that two components never get the same name.
const SLOT = Symbol.for('otel-resilience.component-numbers');
const slots = globalThis as { [SLOT]?: Map<string, number> };

function nextName(componentType: string): string {
  slots[SLOT] ??= new Map();
  const numbers = slots[SLOT];
  const number = numbers.get(componentType) ?? 0;
  numbers.set(componentType, number + 1);
  return `${componentType}/${number}`;
}
