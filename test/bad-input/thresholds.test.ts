import { ConfigurationError } from '@otel-resilience/core';
import { DegradationController, type Trigger } from '@otel-resilience/degradation';
import { resilience } from '@otel-resilience/node';
import { ScriptedExporter } from '@otel-resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { refusal } from '../support/degradation.js';
import { TRIGGERS } from './degradation-components.js';

const LEVELS = ['light', 'moderate', 'heavy', 'emergency'] as const;
const NEVER = Number.POSITIVE_INFINITY;

describe.each(TRIGGERS)('thresholds of $owner', ({ owner, make, valid, light, max }) => {
  const withThresholds = (thresholds: unknown) => () => make({ ...valid(), thresholds });

  it.each(LEVELS)('refuse a wrong %s', (level) => {
    const outside = max === NEVER ? [] : [max + 0.001, 10 * max];
    const wrong = [Number.NaN, Number.NEGATIVE_INFINITY, 0, -1, `${light}`, null, true, [light], ...outside];
    for (const value of wrong) {
      expect(refusal(withThresholds({ [level]: value })).path).toBe(`${owner}.thresholds.${level}`);
    }
  });

  it('refuse a light that nothing reaches, but any other that nothing does', () => {
    expect(refusal(withThresholds({ light: NEVER })).path).toBe(`${owner}.thresholds.light`);
    withThresholds({ moderate: NEVER, heavy: NEVER, emergency: NEVER })();
    expect(refusal(withThresholds({ moderate: NEVER, heavy: light })).path).toBe(`${owner}.thresholds.heavy`);
  });

  it('refuse to be out of order, one against its own defaults too', () => {
    for (const [index, level] of LEVELS.entries()) {
      if (index > 0) expect(refusal(withThresholds({ [level]: light / 2 })).path).toBe(`${owner}.thresholds.${level}`);
    }
    const descending = { light: 0.04 * light, moderate: 0.03 * light, heavy: 0.02 * light, emergency: 0.01 * light };
    expect(refusal(withThresholds(descending)).path).toBe(`${owner}.thresholds.moderate`);
  });

  it('refuse levels that there are not, and what is no object', () => {
    for (const level of ['normal', 'mild', 'constructor', '']) {
      expect(refusal(withThresholds({ [level]: light })).path).toBe(`${owner}.thresholds.${level}`);
    }
    for (const none of [null, 5, 'light', [light], () => light]) {
      expect(refusal(withThresholds(none)).path).toBe(`${owner}.thresholds`);
    }
  });

  it('take all that are in order and in range, and nothing else', () => {
    const value = fc.oneof(fc.double(), fc.double({ min: 0, max: Math.min(max, 1e6), noNaN: true }));
    fc.assert(
      fc.property(fc.tuple(value, value, value, value), ([a, b, c, d]) => {
        fc.pre(!(a > 0 && a < 1e-300)); // too small for another number below it
        const thresholds = { light: a, moderate: b, heavy: c, emergency: d };
        const inRange = (each: number) => each > 0 && (each <= max || each === NEVER);
        const isRight = [a, b, c, d].every(inRange) && a < NEVER && a <= b && b <= c && c <= d;
        if (isRight) make({ ...valid(), thresholds });
        else expect(withThresholds(thresholds)).toThrow(ConfigurationError);
      }),
    );
  });
});

describe('a trigger of the user’s own', () => {
  const good: Trigger = {
    name: 'mine',
    thresholds: { light: -20, moderate: -10, heavy: 0, emergency: NEVER },
    recoveryThreshold: -25,
    read: () => 0,
  };
  const refused = (wrong: object) => () =>
    new DegradationController({ triggers: [{ ...good, ...wrong } as Trigger], metrics: false });

  it('may have thresholds below 0', () => {
    new DegradationController({ triggers: [good], metrics: false });
  });

  it.each<[string, object]>([
    ['name', { name: '' }],
    ['name', { name: Symbol('mine') }],
    ['name', { name: undefined }],
    ['thresholds', { thresholds: undefined }],
    ['thresholds.emergency', { thresholds: { light: 1, moderate: 2, heavy: 3 } }],
    ['thresholds.light', { thresholds: { ...good.thresholds, light: Number.NaN } }],
    ['thresholds.moderate', { thresholds: { ...good.thresholds, moderate: -30 } }],
    ['recoveryThreshold', { recoveryThreshold: -20 }],
    ['recoveryThreshold', { recoveryThreshold: Number.NaN }],
    ['recoveryThreshold', { recoveryThreshold: Number.NEGATIVE_INFINITY }],
    // 0.8 × light is above a light that is negative.
    ['recoveryThreshold', { recoveryThreshold: undefined }],
    ['referenceRecoveryThreshold', { referenceRecoveryThreshold: 'low' }],
    ['holdForMillis', { holdForMillis: -1 }],
    ['immediate', { immediate: 'yes' }],
    ['start', { start: 'now' }],
    ['stop', { stop: 5 }],
    ['recordOutcome', { recordOutcome: {} }],
    ['signals', { signals: {} }],
  ])('is refused for a wrong %s', (option, wrong) => {
    expect(refusal(refused(wrong)).path).toBe(`DegradationController.triggers[0].${option}`);
  });

  it('is refused without read', () => {
    for (const none of [{ ...good, read: undefined }, { ...good, read: 5 }, null, 5, 'cpu', [], () => 0]) {
      const triggers = [good, none] as Trigger[];
      expect(refusal(() => new DegradationController({ triggers, metrics: false })).path).toBe(
        'DegradationController.triggers[1]',
      );
    }
  });
});

describe('the preset', () => {
  const refused = (options: object) => () => resilience({ exporters: [new ScriptedExporter()], ...options });

  it.each<[string, object]>([
    [
      'resilience.degradation.triggers.cpu.thresholds.light',
      { degradation: { triggers: { cpu: { thresholds: { light: 700 } } } } },
    ],
    [
      'resilience.degradation.triggers.queue.thresholds.heavy',
      { degradation: { triggers: { queue: { thresholds: { heavy: 0.86 } } } } },
    ],
    [
      'resilience.degradation.triggers.latency.recoveryThreshold',
      { degradation: { triggers: { latency: { recoveryThreshold: 1_000 } } } },
    ],
    [
      'resilience.degradation.triggers.endpoints.holdForMillis',
      { degradation: { triggers: { endpoints: { holdForMillis: -1 } } } },
    ],
    ['resilience.degradation.triggers.disk', { degradation: { triggers: { disk: true } } }],
    ['resilience.degradation.triggers.constructor', { degradation: { triggers: { constructor: true } } }],
    ['resilience.degradation.triggers.cpu', { degradation: { triggers: { cpu: 'off' } } }],
    ['resilience.degradation.triggers', { degradation: { triggers: [] } }],
    ['resilience.degradation.additionalTriggers', { degradation: { additionalTriggers: {} } }],
    ['resilience.degradation.additionalTriggers[0]', { degradation: { additionalTriggers: [5] } }],
    ['resilience.degradation.evaluationIntervalMillis', { degradation: { evaluationIntervalMillis: 0 } }],
    ['resilience.degradation.evaluationIntervalMillis', { degradation: { evaluationIntervalMillis: Number.NaN } }],
    ['resilience.degradation.evaluationIntervalMillis', { degradation: { evaluationIntervalMillis: '30 s' } }],
    ['resilience.degradation.features.core', { degradation: { features: { core: 'light' } } }],
    ['resilience.degradation.strategies.errorsOnly', { degradation: { strategies: { errorsOnly: 5 } } }],
    ['resilience.sampler.ratio', { sampler: { ratio: 1.01 } }],
    ['resilience.sampler.ratios.heavy', { sampler: { ratios: { heavy: -0.01 } } }],
    ['resilience.sampler.rules[0].ratio', { sampler: { rules: [{ ratio: Number.NaN }] } }],
    ['resilience.sampler.controller', { sampler: { controller: { level: 'heavy' } } }],
    ['resilience.tailSampling.next', { tailSampling: { next: {} } }],
    ['resilience.tailSampling.maxHeldTraces', { tailSampling: { maxHeldTraces: 0 } }],
    ['resilience.attributeTrimming.maxEvents', { attributeTrimming: { maxEvents: -1 } }],
  ])('names %s', (path, options) => {
    expect(refusal(refused(options)).path).toBe(path);
  });

  it('knows no feature that nobody has declared, and forces no level that there is not', () => {
    const { degradation } = resilience({ exporters: [new ScriptedExporter()] });
    for (const feature of ['serach', '', 'constructor', '__proto__', undefined, 5, {}]) {
      expect(degradation.isFeatureAvailable(feature as string)).toBe(false);
      expect(degradation.runIfAvailable(feature as string, () => 1)).toBe(undefined);
    }
    for (const level of ['mild', '', undefined, null, 4, 'constructor']) {
      expect(refusal(() => degradation.force(level as never)).path).toBe('DegradationController.force.level');
    }
    for (const ttlMillis of [0, -1, Number.NaN, NEVER, '5']) {
      expect(refusal(() => degradation.force('heavy', { ttlMillis } as never)).path).toContain('ttlMillis');
    }
    expect(degradation.level).toBe('normal');
    expect(refusal(() => degradation.on('transitions' as never, () => {})).path).toContain('on');
    expect(refusal(() => degradation.on('transition', 5 as never)).path).toContain('on');
    expect(refusal(() => degradation.guard(5 as never, () => 1)).path).toContain('guard.primary');
    expect(refusal(() => degradation.guard(() => 1, undefined as never)).path).toContain('guard.fallback');
  });
});
