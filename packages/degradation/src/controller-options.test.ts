import { describe, expect, it } from 'vitest';
import { JumpingClock, refusal, ScriptedTrigger } from '../../../test/support/degradation.js';
import { DegradationController } from './degradation-controller.js';

const PLAIN = { name: 'plain', thresholds: { light: 1, moderate: 2, heavy: 3, emergency: 4 }, read: () => 0 };
const plain = (changes: object) => [{ ...PLAIN, ...changes }];
const thresholds = (changes: object) => plain({ thresholds: { ...PLAIN.thresholds, ...changes } });

describe('what the controller refuses', () => {
  it.each<[string, object, string]>([
    ['no triggers', {}, 'triggers'],
    ['a trigger that is none', { triggers: [5] }, 'triggers[0]'],
    ['a trigger without read', { triggers: plain({ read: undefined }) }, 'triggers[0]'],
    ['no name', { triggers: plain({ name: '' }) }, 'triggers[0].name'],
    ['the same name twice', { triggers: [PLAIN, PLAIN] }, 'triggers[1].name'],
    ['no thresholds', { triggers: plain({ thresholds: undefined }) }, 'triggers[0].thresholds'],
    ['a missing threshold', { triggers: thresholds({ heavy: undefined }) }, 'triggers[0].thresholds.heavy'],
    ['thresholds out of order', { triggers: thresholds({ heavy: 1.5 }) }, 'triggers[0].thresholds.heavy'],
    ['a threshold after Infinity', { triggers: thresholds({ heavy: Infinity }) }, 'triggers[0].thresholds.emergency'],
    ['a light that is never reached', { triggers: thresholds({ light: Infinity }) }, 'triggers[0].thresholds.light'],
    ['NaN as a threshold', { triggers: thresholds({ moderate: NaN }) }, 'triggers[0].thresholds.moderate'],
    ['an unknown level', { triggers: thresholds({ normal: 0 }) }, 'triggers[0].thresholds.normal'],
    ['recovery at light', { triggers: plain({ recoveryThreshold: 1 }) }, 'triggers[0].recoveryThreshold'],
    ['recovery at NaN', { triggers: plain({ recoveryThreshold: NaN }) }, 'triggers[0].recoveryThreshold'],
    ['no recovery below 0', { triggers: thresholds({ light: -1 }) }, 'triggers[0].recoveryThreshold'],
    ['a hold below 0', { triggers: plain({ holdForMillis: -1 }) }, 'triggers[0].holdForMillis'],
    ['immediate as a word', { triggers: plain({ immediate: 'yes' }) }, 'triggers[0].immediate'],
    ['a start that is no function', { triggers: plain({ start: true }) }, 'triggers[0].start'],
    ['outcomes to no function', { triggers: plain({ recordOutcome: 1 }) }, 'triggers[0].recordOutcome'],
    ['signals that are none', { triggers: plain({ signals: {} }) }, 'triggers[0].signals'],
    ['no interval', { triggers: [], evaluationIntervalMillis: 0 }, 'evaluationIntervalMillis'],
    ['an endless interval', { triggers: [], recoveryIntervalMillis: Infinity }, 'recoveryIntervalMillis'],
    ['an endless timeout', { triggers: [], triggerTimeoutMillis: 60_001 }, 'triggerTimeoutMillis'],
    ['an unknown profile', { triggers: [], recoveryProfile: 'mine' }, 'recoveryProfile'],
    ['an unknown option', { triggers: [], intervalMillis: 5 }, 'intervalMillis'],
    ['signals without changes', { triggers: [], signals: {} }, 'signals'],
  ])('%s', (_, options, path) => {
    expect(refusal(() => new DegradationController(options as never)).path).toBe(`DegradationController.${path}`);
  });
});

describe('what the controller takes', () => {
  const levelAt = async (trigger: object, values: number[], options: object = {}) => {
    const clock = new JumpingClock();
    let value = 0;
    const controller = new DegradationController({
      triggers: [{ ...PLAIN, read: () => value, ...trigger }],
      clock,
      metrics: false,
      ...options,
    });
    controller.start();
    const levels: string[] = [];
    for (value of values) {
      await clock.advance(30_000);
      levels.push(controller.level);
    }
    return levels;
  };

  it('equal thresholds skip a level, Infinity is never asked for', async () => {
    const skipping = { thresholds: { light: 1, moderate: 1, heavy: 5, emergency: Number.POSITIVE_INFINITY } };
    expect(await levelAt(skipping, [1, 4, Number.MAX_VALUE])).toEqual(['moderate', 'moderate', 'heavy']);
  });

  it('values and thresholds below 0, when there is a recovery threshold', async () => {
    const negative = { thresholds: { light: -3, moderate: -2, heavy: -1, emergency: 0 }, recoveryThreshold: -5 };
    expect(await levelAt(negative, [-1, -4, -6])).toEqual(['heavy', 'heavy', 'moderate']);
  });

  it('calm is 0.8 × light unless said otherwise', async () => {
    expect(await levelAt({}, [1, 0.8, 0.79])).toEqual(['light', 'light', 'normal']);
    expect(await levelAt({ recoveryThreshold: 0.3 }, [1, 0.3, 0.29])).toEqual(['light', 'light', 'normal']);
  });

  it('the reference profile goes by the reference thresholds, where they are not above light', async () => {
    const reference = { recoveryProfile: 'reference' };
    expect(await levelAt({ referenceRecoveryThreshold: 0.2 }, [1, 0.2, 0.19], reference)).toEqual([
      'light',
      'light',
      'normal',
    ]);
    expect(await levelAt({ referenceRecoveryThreshold: 1 }, [1, 0.99], reference)).toEqual(['light', 'normal']);
    expect(await levelAt({ referenceRecoveryThreshold: 1.1 }, [1, 0.99, 0.79], reference)).toEqual([
      'light',
      'light',
      'normal',
    ]);
    expect(await levelAt({ referenceRecoveryThreshold: 0.2 }, [1, 0.79])).toEqual(['light', 'normal']);
  });

  it('is copied: what is changed later changes nothing', async () => {
    const clock = new JumpingClock();
    const trigger = new ScriptedTrigger();
    const options = { triggers: [trigger], clock, metrics: false, features: { mine: 'light' as const } };
    const controller = new DegradationController(options);
    options.triggers.pop();
    Object.assign(trigger.thresholds, { light: 1 });
    Object.assign(options.features, { mine: 'heavy' });
    trigger.says = 10;
    controller.start();
    await clock.advance(30_000);
    expect([controller.level, controller.status().triggers.length]).toEqual(['normal', 1]);
    controller.force('light');
    expect(controller.isFeatureAvailable('mine')).toBe(false);
  });
});
