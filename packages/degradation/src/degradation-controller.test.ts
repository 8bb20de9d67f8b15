import { diag } from '@opentelemetry/api';
import { describe, expect, it, vi } from 'vitest';
import { ScriptedTrigger, started } from '../../../test/support/degradation.js';

const INTERVAL = 30_000;
const none = () => {};
const SILENT = { error: none, warn: none, info: none, debug: none, verbose: none };

describe('the level', () => {
  it('is normal until the first evaluation, and then what is asked for', async () => {
    const { clock, load, controller } = started();
    load.says = 86;
    await clock.advance(INTERVAL - 1);
    expect([controller.level, load.reads]).toEqual(['normal', 0]);
    await clock.advance(1);
    expect([controller.level, load.reads]).toEqual(['heavy', 1]);
  });

  it.each([
    [49.9, 'normal'],
    [50, 'light'],
    [70, 'moderate'],
    [85, 'heavy'],
    [95, 'emergency'],
    [1e9, 'emergency'],
    [-1e9, 'normal'],
  ])('at a value of %d is %s', async (value, level) => {
    const { clock, load, controller } = started();
    load.says = value;
    await clock.advance(INTERVAL);
    expect(controller.level).toBe(level);
  });

  it('is the highest that any trigger asks for', async () => {
    const triggers = ['a', 'b', 'c'].map((name) => new ScriptedTrigger({ name }));
    const { clock, controller } = started({ triggers });
    for (const [index, value] of [55, 90, 71].entries()) triggers[index]!.says = value;
    await clock.advance(INTERVAL);
    expect(controller.level).toBe('heavy');
    expect(controller.status().reason).toEqual({ trigger: 'b', value: 90, threshold: 85 });
  });

  it('is explained by what asks for it, or did last, and by what holds it', async () => {
    const [a, b] = ['a', 'b'].map((name) => new ScriptedTrigger({ name })) as [ScriptedTrigger, ScriptedTrigger];
    const { clock, controller } = started({ triggers: [a, b] });
    const explained = async (first: number, second: number) => {
      a.says = first;
      b.says = second;
      await clock.advance(INTERVAL);
      const { level, reason, heldBy } = controller.status();
      return [level, reason?.trigger, heldBy];
    };
    expect(await explained(10, 10)).toEqual(['normal', undefined, []]);
    expect(await explained(99, 10)).toEqual(['emergency', 'a', ['a']]);
    expect(await explained(10, 51)).toEqual(['emergency', 'a', ['b']]); // which asks for light alone
    expect(await explained(10, 10)).toEqual(['heavy', 'a', []]);
    expect(await explained(10, 90)).toEqual(['heavy', 'b', ['b']]);
  });

  it('is logged with its reason when it rises', async () => {
    const warn = vi.fn();
    diag.setLogger({ ...SILENT, warn }, { suppressOverrideMessage: true });
    const { clock, load, controller } = started();
    load.says = 90.1234567;
    await clock.advance(INTERVAL);
    load.says = 10;
    await clock.advance(5 * INTERVAL);
    diag.disable();
    expect(controller.level).toBe('normal');
    expect(warn.mock.calls).toEqual([
      [expect.stringContaining('the level rises from normal to heavy: load is 90.12, over 85')],
    ]);
  });

  it('goes down one level per recovery interval while all is calm', async () => {
    const { clock, load, controller } = started();
    load.says = 99;
    await clock.advance(INTERVAL);
    load.says = 10;
    const levels = [];
    for (let step = 0; step < 5; step++) {
      await clock.advance(INTERVAL - 1);
      const before = controller.level;
      await clock.advance(1);
      levels.push([before, controller.level]);
    }
    expect(levels).toEqual([
      ['emergency', 'heavy'],
      ['heavy', 'moderate'],
      ['moderate', 'light'],
      ['light', 'normal'],
      ['normal', 'normal'],
    ]);
  });

  it('goes down exactly when it may, whatever the evaluation interval', async () => {
    const { clock, load, controller } = started({ evaluationIntervalMillis: 30_000, recoveryIntervalMillis: 7_000 });
    load.says = 99;
    await clock.advance(30_000);
    load.says = 0;
    await clock.advance(40_000);
    const times = controller.history().map(({ time }) => time - Date.UTC(2026, 0, 1));
    expect(times).toEqual([30_000, 37_000, 44_000, 51_000, 58_000]);
    expect(clock.pendingTimers).toBe(1);
  });

  it('stays while one trigger is between its recovery threshold and light', async () => {
    const other = new ScriptedTrigger({ name: 'other' });
    const load = new ScriptedTrigger();
    const { clock, controller } = started({ triggers: [load, other] });
    load.says = 75;
    await clock.advance(INTERVAL);
    load.says = 0;
    other.says = 40;
    await clock.advance(10 * INTERVAL);
    expect(controller.level).toBe('moderate');
    other.says = 39.9;
    await clock.advance(INTERVAL);
    expect(controller.level).toBe('light');
  });

  it('takes nothing to say for calm', async () => {
    const { clock, load, controller } = started();
    load.says = 50;
    await clock.advance(INTERVAL);
    load.says = undefined;
    await clock.advance(INTERVAL);
    expect([controller.level, controller.status().triggers[0]]).toMatchObject(['normal', { value: undefined }]);
  });

  it('rises only after a trigger has asked without a break for as long as it holds', async () => {
    const load = new ScriptedTrigger({ holdForMillis: 60_000 });
    const { clock, controller } = started({ triggers: [load] });
    const after = async (value: number) => {
      load.says = value;
      await clock.advance(INTERVAL);
      return controller.level;
    };
    expect([await after(90), await after(90), await after(0), await after(90)]).toEqual(Array(4).fill('normal'));
    // Light for 60 s; emergency not yet.
    expect([await after(55), await after(99)]).toEqual(['normal', 'light']);
    expect([await after(99), await after(99)]).toEqual(['light', 'emergency']);
  });
});

describe('a jump of the clock', () => {
  const atEmergency = async () => {
    const all = started();
    all.load.says = 99;
    await all.clock.advance(INTERVAL);
    all.load.says = 0;
    return all;
  };

  it('back makes the recovery interval begin anew, and no longer', async () => {
    const { clock, controller } = await atEmergency();
    await clock.advance(20_000);
    clock.jump(-1e9);
    await clock.advance(INTERVAL - 1);
    expect(controller.level).toBe('emergency');
    await clock.advance(INTERVAL);
    expect(controller.level).toBe('heavy');
    await clock.advance(INTERVAL);
    expect(controller.level).toBe('moderate');
  });

  it('back makes a hold begin anew, and no longer', async () => {
    const load = new ScriptedTrigger({ holdForMillis: 60_000 });
    const { clock, controller } = started({ triggers: [load] });
    load.says = 99;
    await clock.advance(2 * INTERVAL);
    clock.jump(-1e9);
    await clock.advance(2 * INTERVAL);
    expect(controller.level).toBe('normal');
    await clock.advance(INTERVAL);
    expect(controller.level).toBe('emergency');
  });

  it('back delays no change', () => {
    const queue = new ScriptedTrigger({ immediate: true });
    const { clock, signals, controller } = started({ triggers: [queue] });
    queue.says = 50;
    signals.changed();
    clock.jump(-1e9);
    queue.says = 70;
    signals.changed();
    expect(controller.level).toBe('moderate');
  });

  it('forward is worth one step', async () => {
    const { clock, controller } = await atEmergency();
    clock.jump(1e9);
    await clock.advance(INTERVAL);
    expect(controller.level).toBe('heavy');
    await clock.advance(INTERVAL - 1);
    expect(controller.level).toBe('heavy');
  });
});
