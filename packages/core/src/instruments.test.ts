import { metrics } from '@opentelemetry/api';
import { DataPointType, MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createInstruments, METRIC } from './instruments.js';

class TestReader extends MetricReader {
  protected override async onForceFlush() {}
  protected override async onShutdown() {}

  /** Every data point there is, by metric name. */
  async points() {
    const { resourceMetrics, errors } = await this.collect();
    expect(errors).toEqual([]);
    const all = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
    return Object.fromEntries(
      all.map((metric) => [
        metric.descriptor.name,
        metric.dataPoints.map(({ attributes, value }) => ({
          value: metric.dataPointType === DataPointType.HISTOGRAM ? (value as { sum: number }).sum : value,
          attributes,
        })),
      ]),
    );
  }
}

function setGlobalProvider(): TestReader {
  const reader = new TestReader();
  metrics.disable();
  metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));
  return reader;
}

afterEach(() => metrics.disable());

function queueInstruments() {
  const state = { size: 3, dropped: 1, reads: 0 };
  const instruments = createInstruments('TestQueue', [
    {
      kind: 'upDownCounter',
      name: METRIC.queueSize,
      unit: '{span}',
      description: 'd',
      read: (report) => {
        state.reads++;
        report(state.size);
      },
    },
    {
      kind: 'counter',
      name: METRIC.spanProcessed,
      unit: '{span}',
      description: 'd',
      read: (report) => {
        report(10);
        report(state.dropped, { 'error.type': 'queue_full' });
      },
    },
  ]);
  const identity = { 'otel.component.type': 'TestQueue', 'otel.component.name': instruments.componentName };
  return { state, instruments, identity };
}

describe('createInstruments', () => {
  it('reports to a meter provider that was set after it, what is true when metrics are collected', async () => {
    const { state, instruments, identity } = queueInstruments();
    instruments.refresh();
    instruments.recordDuration(0.25);

    const reader = setGlobalProvider();
    instruments.refresh();
    state.size = 8;
    instruments.recordDuration(0.5, { 'error.type': 'timeout' });
    expect(await reader.points()).toEqual({
      [METRIC.queueSize]: [{ value: 8, attributes: identity }],
      [METRIC.spanProcessed]: [
        { value: 10, attributes: identity },
        { value: 1, attributes: { ...identity, 'error.type': 'queue_full' } },
      ],
      [METRIC.operationDuration]: [{ value: 0.5, attributes: { ...identity, 'error.type': 'timeout' } }],
    });
    instruments.shutdown();
  });

  it('registers once per provider, however often it is refreshed, and moves when the provider is replaced', async () => {
    const { state, instruments } = queueInstruments();
    const first = setGlobalProvider();
    const getMeter = vi.spyOn(metrics.getMeterProvider(), 'getMeter');
    for (let i = 0; i < 5; i++) instruments.refresh();
    expect((await first.points())[METRIC.queueSize]).toHaveLength(1);
    expect(getMeter).toHaveBeenCalledOnce();
    const second = setGlobalProvider();
    instruments.refresh();
    expect((await second.points())[METRIC.queueSize]).toHaveLength(1);
    expect(state.reads).toBe(2);
    await first.points();
    expect(state.reads).toBe(2);
    instruments.shutdown();
  });

  it('registers a component that has called it once with a provider that another one finds later', async () => {
    const sampler = queueInstruments();
    const exporting = queueInstruments();
    sampler.instruments.refresh();
    const reader = setGlobalProvider();
    exporting.instruments.refresh();
    const names = (await reader.points())[METRIC.queueSize]?.map(({ attributes }) => attributes['otel.component.name']);
    expect(names).toEqual([sampler.instruments.componentName, exporting.instruments.componentName]);
    sampler.instruments.shutdown();
    exporting.instruments.shutdown();
  });

  it('reads nothing any more after its shutdown, not even for a provider that comes then', async () => {
    const { instruments } = queueInstruments();
    const reader = setGlobalProvider();
    instruments.refresh();
    instruments.shutdown();
    instruments.refresh();
    expect((await reader.points())[METRIC.queueSize]).toBeUndefined();
    const later = setGlobalProvider();
    instruments.refresh();
    expect((await later.points())[METRIC.queueSize]).toBeUndefined();
  });

  it('numbers components of a type, so that no two report under one name', () => {
    const names = [queueInstruments(), queueInstruments()].map(({ instruments }) => instruments.componentName);
    expect(new Set(names).size).toBe(2);
    for (const name of names) expect(name).toMatch(/^TestQueue\/\d+$/);
  });
});
