import { ConfigurationError } from '@otel-resilience/core';
import { describe, expect, it } from 'vitest';
import { Leaf } from '../../../../test/support/failover.js';
import { FailoverSpanExporter } from './failover-span-exporter.js';
import type { FailoverSpanExporterOptions } from './options.js';

describe('options', () => {
  const exporter = new Leaf();
  const endpoints = [
    { name: 'A', exporter },
    { name: 'B', exporter },
  ];

  it.each<[string, unknown]>([
    ['endpoints', {}],
    ['endpoints', { endpoints: [] }],
    ['endpoints[1].name', { endpoints: [endpoints[0], endpoints[0]] }],
    ['endpoints[0].name', { endpoints: [{ exporter }] }],
    ['endpoints[1].exporter', { endpoints: [endpoints[0], { name: 'B', exporter: {} }] }],
    ['endpoints[1].weight', { endpoints: [endpoints[0], { ...endpoints[1], weight: 0 }] }],
    ['endpoints[1].weight', { endpoints: [endpoints[0], { ...endpoints[1], weight: Number.NaN }] }],
    ['endpoints[0].priority', { endpoints: [{ ...endpoints[0], priority: -1 }] }],
    ['endpoints[0].url', { endpoints: [{ ...endpoints[0], url: 'http://a' }] }],
    ['strategy', { endpoints, strategy: 'best' }],
    ['attemptTimeoutMillis', { endpoints, attemptTimeoutMillis: 0 }],
    ['maxEjectionRatio', { endpoints, maxEjectionRatio: 1.1 }],
    ['onFailover', { endpoints, onFailover: true }],
    ['random', { endpoints, random: {} }],
    ['timeoutMillis', { endpoints, timeoutMillis: 1 }],
  ])('throws for a wrong %s', (path, options) => {
    const construct = () => new FailoverSpanExporter(options as FailoverSpanExporterOptions);
    expect(construct).toThrow(ConfigurationError);
    expect(construct).toThrow(expect.objectContaining({ path: `FailoverSpanExporter.${path}` }));
  });

  it('are copied', async () => {
    const mine = [{ name: 'A', exporter: new Leaf() }];
    const failover = new FailoverSpanExporter({ endpoints: mine });
    mine[0]!.name = 'changed';
    mine.push({ name: 'more', exporter: new Leaf() });
    expect(failover.endpoints().map(({ name }) => name)).toEqual(['A']);
  });
});
