import { type PipelineGauge, PipelineSignals } from '@otel-resilience/core';
import { describe, expect, it } from 'vitest';
import { refusal, started } from '../../../../../test/support/degradation.js';
import {
  BudgetTrigger,
  EndpointTrigger,
  ErrorRateTrigger,
  LatencyTrigger,
  QueueTrigger,
  QuotaTrigger,
  SpoolTrigger,
  TimeoutRateTrigger,
} from './index.js';

const INTERVAL = 30_000;

/** Each trigger, what moves it, and the value from which it asks for each level. */
const TRIGGERS = [
  ['LatencyTrigger', LatencyTrigger, 'exportLatencyP95Millis', [100, 250, 500, 1_000]],
  ['ErrorRateTrigger', ErrorRateTrigger, 'exportErrorRate', [0.05, 0.075, 0.1, 0.2]],
  ['TimeoutRateTrigger', TimeoutRateTrigger, 'exportTimeoutRate', [0.05, 0.075, 0.1, 0.2]],
  ['QueueTrigger', QueueTrigger, 'queueUtilization', [0.5, 0.7, 0.85, 0.95]],
  ['SpoolTrigger', SpoolTrigger, 'spoolUtilization', [0.5, 0.7, 0.85, 0.95]],
  ['EndpointTrigger', EndpointTrigger, 'failedEndpoints', [0.5, 1]],
  ['QuotaTrigger', QuotaTrigger, 'throttledExports', [1, 5, 20, 60]],
  ['BudgetTrigger', BudgetTrigger, undefined, [0.8, 0.9, 1, 1.2]],
] as const;

type Name = (typeof TRIGGERS)[number][0];
const LEVELS = ['light', 'moderate', 'heavy', 'emergency'];
const IMMEDIATE: readonly Name[] = ['QueueTrigger', 'SpoolTrigger', 'EndpointTrigger', 'QuotaTrigger'];

describe.each(TRIGGERS)('%s', (name, Trigger, gauge, thresholds) => {
  const make = (options: object = {}) => {
    let value: unknown;
    const signals = new PipelineSignals();
    const read = () => {
      if (value === 'throws') throw new Error('out of order');
      return value as number;
    };
    if (gauge) signals.publish(gauge as PipelineGauge, read);
    const trigger = new Trigger({ ...(gauge ? { signals } : { spent: read }), ...options } as never);
    const say = (next: unknown) => {
      value = next;
    };
    return { trigger, say, signals };
  };

  it.each(thresholds.map((threshold, index) => [threshold, LEVELS[index]!]))(
    'alone, at %d, makes the level %s',
    async (threshold, level) => {
      const { trigger, say, signals } = make();
      say(0);
      const { clock, controller } = started({ triggers: [trigger], signals });
      say(threshold * 0.999);
      await clock.advance(INTERVAL);
      expect(controller.level).not.toBe(level);
      say(threshold);
      await clock.advance(INTERVAL);
      expect(controller.level).toBe(level);
      expect(controller.status().reason).toEqual({ trigger: trigger.name, value: threshold, threshold });
    },
  );

  it('alone lets the level go down when it is below 0.8 × light', async () => {
    const { trigger, say, signals } = make();
    const { clock, controller } = started({ triggers: [trigger], signals });
    say(thresholds[0]);
    await clock.advance(INTERVAL);
    if (name !== 'QuotaTrigger') {
      say(thresholds[0] * 0.8);
      await clock.advance(3 * INTERVAL);
      expect(controller.level).toBe('light');
      say(thresholds[0] * 0.799);
    }
    await clock.advance(3 * INTERVAL);
    expect(controller.level).toBe('normal');
  });

  it.each(['throws', 'NaN'])('moves nothing when what it reads is out of order: %s', async (how) => {
    const { trigger, say, signals } = make();
    say(0);
    const { clock, controller } = started({ triggers: [trigger], signals });
    // NaN is what a gauge says that has no number yet, so only the signals themselves can say it to a trigger.
    if (how === 'NaN' && gauge) signals.read = () => Number.NaN;
    say(how === 'NaN' ? Number.NaN : 'throws');
    await clock.advance(5 * INTERVAL);
    expect([controller.level, controller.status().triggers[0]]).toMatchObject(['normal', { failures: 5 }]);
  });

  it('keeps the level up when it fails after having asked', async () => {
    const { trigger, say, signals } = make();
    say(0);
    const { clock, controller } = started({ triggers: [trigger], signals });
    say(thresholds[1]);
    await clock.advance(INTERVAL);
    say('throws');
    await clock.advance(5 * INTERVAL);
    expect(controller.level).toBe('moderate');
  });

  it('has nothing to say while nobody says anything to it', async () => {
    const { trigger, say } = make();
    say(gauge ? Number.NaN : undefined);
    const { clock, controller } = started({ triggers: [trigger] });
    await clock.advance(INTERVAL);
    expect(controller.status().triggers[0]).toMatchObject({ value: undefined, recovered: true, failures: 0 });
  });

  it(`is ${IMMEDIATE.includes(name) ? '' : 'not '}immediate`, () => {
    const { trigger, say, signals } = make();
    say(0);
    const { controller } = started({ triggers: [trigger], signals });
    say(thresholds[0]);
    signals.changed();
    expect(controller.level).toBe(IMMEDIATE.includes(name) ? 'light' : 'normal');
  });

  it('takes a name, thresholds, a recovery threshold and a hold', () => {
    const { trigger } = make({
      name: 'mine',
      thresholds: { light: 0.01 },
      recoveryThreshold: 0.005,
      holdForMillis: 5,
    });
    expect(trigger).toMatchObject({ name: 'mine', recoveryThreshold: 0.005, holdForMillis: 5 });
    expect(trigger.thresholds).toMatchObject({ light: 0.01, moderate: thresholds[1] });
  });

  it.each<[string, object, string]>([
    ['thresholds out of order', { thresholds: { moderate: 0.01 } }, 'thresholds.moderate'],
    ['light at 0', { thresholds: { light: 0 } }, 'thresholds.light'],
    ['light at Infinity', { thresholds: { light: Infinity } }, 'thresholds.light'],
    ['NaN', { thresholds: { heavy: NaN } }, 'thresholds.heavy'],
    ['an unknown level', { thresholds: { severe: 5 } }, 'thresholds.severe'],
    ['recovery at light', { recoveryThreshold: thresholds[0] }, 'recoveryThreshold'],
    ['recovery at 0', { recoveryThreshold: 0 }, 'recoveryThreshold'],
    ['an empty name', { name: '' }, 'name'],
    ['a hold below 0', { holdForMillis: -1 }, 'holdForMillis'],
    ['an unknown option', { threshold: 5 }, 'threshold'],
    [gauge ? 'no signals' : 'nothing spent', { signals: 5, spent: 5 }, ''],
  ])('refuses %s', (_, options, path) => {
    expect(refusal(() => make(options)).path).toContain(`${name}.${path}`);
  });

  const isShare = /Rate|Utilization|failed/.test(gauge ?? '');
  if (isShare) {
    it('refuses shares above 1, but for Infinity, which is never asked for', () => {
      expect(refusal(() => make({ thresholds: { emergency: 1.01 } })).path).toBe(`${name}.thresholds.emergency`);
      const { trigger } = make({ thresholds: { emergency: Number.POSITIVE_INFINITY } });
      expect(trigger.thresholds.heavy).toBe(thresholds[2] ?? Number.POSITIVE_INFINITY);
    });
  }
});

describe('a recovery profile', () => {
  it.each([
    ['LatencyTrigger', LatencyTrigger, 'exportLatencyP95Millis', 100, 99.9],
    ['ErrorRateTrigger', ErrorRateTrigger, 'exportErrorRate', 0.01, 0.0099],
  ] as const)('of reference: %s is calm below %d', async (_, Trigger, gauge, notCalm, calm) => {
    const signals = new PipelineSignals();
    let value = 0.2 * 1_000;
    signals.publish(gauge, () => value);
    const trigger = new Trigger({ signals });
    const { clock, controller } = started({ triggers: [trigger], recoveryProfile: 'reference' });
    await clock.advance(INTERVAL);
    const level = controller.level;
    value = notCalm;
    await clock.advance(INTERVAL);
    expect(controller.level).toBe(level);
    value = calm;
    await clock.advance(INTERVAL);
    expect(controller.level).not.toBe(level);
  });

  it('does not touch a trigger that has a recovery threshold of its own', () => {
    const signals = new PipelineSignals();
    const trigger = new ErrorRateTrigger({ signals, recoveryThreshold: 0.04 });
    const { controller } = started({ triggers: [trigger], recoveryProfile: 'reference' });
    expect(controller.status().triggers[0]?.recoveryThreshold).toBe(0.04);
  });
});

describe('BudgetTrigger', () => {
  it('waits for an answer, and one that never comes moves nothing', async () => {
    const answers = [async () => 1, () => new Promise<number>(() => {}), async () => Promise.reject(new Error('no'))];
    for (const [index, spent] of answers.entries()) {
      const { clock, controller } = started({ triggers: [new BudgetTrigger({ spent })] });
      await clock.advance(INTERVAL + 1_000);
      expect([controller.level, controller.status().triggers[0]?.failures]).toEqual(
        index === 0 ? ['heavy', 0] : ['normal', 1],
      );
      controller.stop();
    }
  });
});

describe('QuotaTrigger', () => {
  const setUp = (before = 0) => {
    const signals = new PipelineSignals();
    const all = { signals, total: before };
    signals.publish('throttledExports', () => all.total);
    return Object.assign(all, started({ triggers: [new QuotaTrigger({ signals })], evaluationIntervalMillis: 500 }));
  };
  const value = ({ controller }: ReturnType<typeof setUp>) => controller.status().triggers[0]?.value;

  it('counts what has been throttled in the last 60 s, since the start', async () => {
    const all = setUp(1_000);
    await all.clock.advance(1_000);
    expect(value(all)).toBe(0);
    for (let second = 0; second < 200; second++) {
      all.total += 2;
      await all.clock.advance(1_000);
    }
    expect(value(all)).toBe(120);
    await all.clock.advance(30_000);
    expect(value(all)).toBe(60);
    await all.clock.advance(30_000);
    expect(value(all)).toBe(0);
  });

  it('begins anew when another exporter takes the place of the first, or time goes back', async () => {
    const all = setUp();
    all.total = 10;
    await all.clock.advance(500);
    all.total = 3;
    await all.clock.advance(500);
    all.total = 4;
    await all.clock.advance(1_000);
    expect(value(all)).toBe(11);
    all.clock.jump(-1e6);
    await all.clock.advance(2_000);
    expect(value(all)).toBe(0);
  });
});

describe('ErrorRateTrigger', () => {
  const setUp = (options: object = {}) => started({ triggers: [new ErrorRateTrigger(options)] });
  const call = ({ controller }: ReturnType<typeof setUp>, ok: number, failed: number) => {
    const primary = (fails: boolean) => () => {
      if (fails) throw new Error('mine');
    };
    for (let i = 0; i < ok + failed; i++) {
      try {
        controller.guard(primary(i >= ok), () => {});
      } catch {}
    }
  };

  it('counts how calls through guard() end, from the tenth on', async () => {
    const all = setUp({ windowMillis: 90_000 });
    call(all, 0, 9);
    await all.clock.advance(INTERVAL);
    expect(all.controller.level).toBe('normal');
    call(all, 91, 0);
    await all.clock.advance(INTERVAL);
    expect([all.controller.level, all.controller.status().triggers[0]?.value]).toEqual(['moderate', 0.09]);
  });

  it('forgets them after its window', async () => {
    const all = setUp({ windowMillis: 10_000, minimumCalls: 1 });
    call(all, 0, 10);
    await all.clock.advance(INTERVAL);
    expect(all.controller.status().triggers[0]?.value).toBeUndefined();
    await all.clock.advance(INTERVAL - 9_000);
    call(all, 0, 10);
    await all.clock.advance(9_000);
    expect(all.controller.status().triggers[0]?.value).toBe(1);
    call(all, 0, 10);
    all.clock.jump(-1e6);
    await all.clock.advance(INTERVAL);
    expect(all.controller.status().triggers[0]?.value).toBeUndefined();
  });

  it('says the higher of exports and calls', async () => {
    const signals = new PipelineSignals();
    let ofExports = 0.06;
    signals.publish('exportErrorRate', () => ofExports);
    const all = setUp({ signals, minimumCalls: 1 });
    call(all, 92, 8);
    await all.clock.advance(INTERVAL);
    expect(all.controller.status().triggers[0]?.value).toBe(0.08);
    ofExports = 0.5;
    await all.clock.advance(INTERVAL);
    expect(all.controller.status().triggers[0]?.value).toBe(0.5);
  });

  it.each([
    [{ windowMillis: 999 }, 'windowMillis'],
    [{ minimumCalls: 0 }, 'minimumCalls'],
    [{ signals: {} }, 'signals'],
  ])('refuses %j', (options, path) => {
    expect(refusal(() => setUp(options)).path).toBe(`ErrorRateTrigger.${path}`);
  });
});
