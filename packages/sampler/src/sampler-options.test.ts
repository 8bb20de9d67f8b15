import { ConfigurationError } from '@otel-resilience/core';
import { expect, test } from 'vitest';
import { DegradationSampler } from './degradation-sampler.js';

test.each([
  [null, 'DegradationSampler'],
  [{ ration: 1 }, 'DegradationSampler.ration'],
  [{ controller: { level: 'bad' } }, 'DegradationSampler.controller'],
  [{ delegate: {} }, 'DegradationSampler.delegate'],
  [{ delegate: 'AlwaysOn' }, 'DegradationSampler.delegate'],
  [{ ratio: 1.1 }, 'DegradationSampler.ratio'],
  [{ ratio: -0.1 }, 'DegradationSampler.ratio'],
  [{ ratio: Number.NaN }, 'DegradationSampler.ratio'],
  [{ ratio: '0.5' }, 'DegradationSampler.ratio'],
  [{ ratios: { light: 2 } }, 'DegradationSampler.ratios.light'],
  [{ ratios: { bad: 1 } }, 'DegradationSampler.ratios.bad'],
  [{ ratios: 0.5 }, 'DegradationSampler.ratios'],
  [{ rules: {} }, 'DegradationSampler.rules'],
  [{ rules: [{ route: '/x' }] }, 'DegradationSampler.rules[0].ratio'],
  [{ rules: [{ ratio: 1 }, { ratio: 3 }] }, 'DegradationSampler.rules[1].ratio'],
  [{ rules: [{ ratio: 1, path: '/x' }] }, 'DegradationSampler.rules[0].path'],
  [{ rules: [{ ratio: 1, kind: 'http' }] }, 'DegradationSampler.rules[0].kind'],
  [{ rules: [{ ratio: 1, keepErrors: 'all' }] }, 'DegradationSampler.rules[0].keepErrors'],
  [{ serviceName: '' }, 'DegradationSampler.serviceName'],
  [{ resource: 'shop' }, 'DegradationSampler.resource'],
  [{ targetSpansPerSecond: 0 }, 'DegradationSampler.targetSpansPerSecond'],
  [{ targetSpansPerSecond: Number.POSITIVE_INFINITY }, 'DegradationSampler.targetSpansPerSecond'],
  [{ targetPer: 'route' }, 'DegradationSampler.targetPer'],
  [{ criticalServices: 'shop' }, 'DegradationSampler.criticalServices'],
  [{ criticalServices: [''] }, 'DegradationSampler.criticalServices[0]'],
  [{ criticalRoutes: [] }, 'DegradationSampler.criticalRoutes'],
  [{ criticalUntil: 'never' }, 'DegradationSampler.criticalUntil'],
  [{ keepErrors: 'some' }, 'DegradationSampler.keepErrors'],
  [{ keepErrors: { heavy: 'some' } }, 'DegradationSampler.keepErrors.heavy'],
  [{ keepErrors: true }, 'DegradationSampler.keepErrors'],
  [{ degradeRemoteParents: true }, 'DegradationSampler.degradeRemoteParents'],
  [{ precision: 0 }, 'DegradationSampler.precision'],
  [{ precision: 15 }, 'DegradationSampler.precision'],
  [{ precision: 4.5 }, 'DegradationSampler.precision'],
  [{ metrics: 'no' }, 'DegradationSampler.metrics'],
  [{ clock: {} }, 'DegradationSampler.clock'],
])('%j is refused at %s', (options, path) => {
  const construct = () => new DegradationSampler(options as never);
  expect(construct).toThrow(ConfigurationError);
  expect(construct).toThrow(expect.objectContaining({ path }));
});

test('what was given is copied: changing it later changes nothing', () => {
  const rules = [{ ratio: 0 }];
  const sampler = new DegradationSampler({ rules });
  rules[0]!.ratio = 1;
  rules.length = 0;
  expect(sampler.shouldSample({} as never, 'f'.repeat(32), 'x', 0, {}, []).decision).toBeGreaterThan(0);
  expect(String(sampler)).toBe('DegradationSampler{ratio=1, rules=1}');
});
