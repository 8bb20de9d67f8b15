import { DEFAULT_STRATEGIES, DEGRADATION_LEVELS, type DegradationStrategy } from '@otel-resilience/core';
import { describe, expect, it } from 'vitest';
import { refusal, started } from '../../../test/support/degradation.js';

describe('features', () => {
  it.each([
    ['core', 'emergency'],
    ['caching', 'moderate'],
    ['detailedLogs', 'light'],
    ['analytics', 'normal'],
    ['nonEssential', 'normal'],
    ['suggestions', 'heavy'],
  ])('%s is available up to %s', (feature, last) => {
    const { controller } = started({ features: { suggestions: 'emergency' } });
    const available = DEGRADATION_LEVELS.filter((level) => {
      controller.force(level);
      expect(controller.status().features[feature]).toBe(controller.isFeatureAvailable(feature));
      return controller.isFeatureAvailable(feature);
    });
    expect(available.at(-1)).toBe(last);
    expect(available).toEqual(DEGRADATION_LEVELS.slice(0, available.length));
  });

  it('may get another level, and are only run when available', () => {
    const { controller } = started({ features: { caching: 'light' } });
    expect(controller.runIfAvailable('caching', () => 'ran')).toBe('ran');
    controller.force('light');
    expect(controller.runIfAvailable('caching', () => expect.unreachable())).toBeUndefined();
    expect(controller.runIfAvailable('core', () => 'ran')).toBe('ran');
  });

  it.each(['unknown', '', 'constructor', '__proto__', undefined, 5, Symbol('f')])(
    '%s is unknown: not available',
    (feature) => {
      const { controller } = started();
      expect(controller.isFeatureAvailable(feature as string)).toBe(false);
    },
  );

  it.each([
    [{ a: 'normal' }, 'features.a'],
    [{ a: 'huge' }, 'features.a'],
    [{ a: 3 }, 'features.a'],
    [{ core: 'heavy' }, 'features.core'],
    [['a'], 'features'],
    ['a', 'features'],
    [null, 'features'],
  ])('%j are refused', (features, path) => {
    expect(refusal(() => started({ features: features as never })).path).toBe(`DegradationController.${path}`);
  });

  it('runIfAvailable takes a function', () => {
    const { controller } = started();
    expect(refusal(() => controller.runIfAvailable('core', 5 as never)).path).toBe(
      'DegradationController.runIfAvailable.fn',
    );
  });
});

describe('strategies', () => {
  const activeAt = (options: Parameters<typeof started>[0], strategy: DegradationStrategy) => {
    const { controller } = started(options);
    return DEGRADATION_LEVELS.filter((level) => {
      controller.force(level);
      expect(controller.status().strategies.includes(strategy)).toBe(controller.isActive(strategy));
      return controller.isActive(strategy);
    });
  };

  it.each(Object.entries(DEFAULT_STRATEGIES))('%s is in force from %s on', (strategy, level) => {
    const expected = DEGRADATION_LEVELS.slice(DEGRADATION_LEVELS.indexOf(level));
    expect(activeAt({}, strategy as DegradationStrategy)).toEqual(expected);
  });

  it('may be moved, always be in force, or be off', () => {
    const strategies = { errorsOnly: 'heavy', increaseBatchSize: 'normal', increaseBatchWait: 'off' } as const;
    expect(activeAt({ strategies }, 'errorsOnly')).toEqual(['heavy', 'emergency']);
    expect(activeAt({ strategies }, 'increaseBatchSize')).toEqual(DEGRADATION_LEVELS);
    expect(activeAt({ strategies }, 'increaseBatchWait')).toEqual([]);
    expect(activeAt({ strategies }, 'reduceSamplingRate')).toEqual(DEGRADATION_LEVELS.slice(1));
  });

  it.each([
    [{ dropEverything: 'light' }, 'strategies.dropEverything'],
    [{ errorsOnly: 'huge' }, 'strategies.errorsOnly'],
    [5, 'strategies'],
  ])('%j are refused', (strategies, path) => {
    expect(refusal(() => started({ strategies: strategies as never })).path).toBe(`DegradationController.${path}`);
  });
});
