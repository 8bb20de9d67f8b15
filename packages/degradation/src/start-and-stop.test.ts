import { describe, expect, it } from 'vitest';
import { JumpingClock, ScriptedTrigger, started } from '../../../test/support/degradation.js';
import { DegradationController } from './degradation-controller.js';

const INTERVAL = 30_000;

describe('start and stop', () => {
  it('constructing starts nothing; starting twice is starting once; stopping leaves nothing', async () => {
    const clock = new JumpingClock();
    const load = new ScriptedTrigger();
    const controller = new DegradationController({ triggers: [load], clock, metrics: false });
    expect([clock.pendingTimers, load.calls]).toEqual([0, []]);
    controller.start();
    controller.start();
    expect([clock.pendingTimers, load.calls]).toEqual([1, ['start every 30000']]);
    controller.stop();
    controller.stop();
    expect([clock.pendingTimers, load.calls]).toEqual([0, ['start every 30000', 'stop']]);
    await clock.advance(10 * INTERVAL);
    expect(load.reads).toBe(0);
  });

  it('stopping ends a force, an evaluation that waits and what a change has left to do', async () => {
    const queue = new ScriptedTrigger({ immediate: true });
    const { clock, signals, controller } = started({ triggers: [queue] });
    controller.force('light', { ttlMillis: 1e6 });
    queue.says = 'hangs';
    await clock.advance(INTERVAL);
    signals.changed();
    signals.changed();
    expect(clock.pendingTimers).toBeGreaterThan(1);
    controller.stop();
    expect([clock.pendingTimers, controller.level]).toEqual([0, 'normal']);
    queue.answer(99);
    await clock.settle();
    const { reads } = queue;
    signals.changed();
    expect(queue.reads).toBe(reads);
    expect([clock.pendingTimers, controller.level, controller.status().automaticLevel]).toEqual([
      0,
      'normal',
      'normal',
    ]);
  });

  it('stopping when one hears that a trigger failed leaves nothing of the evaluation under way', async () => {
    const broken = new ScriptedTrigger({ name: 'broken' });
    const slow = new ScriptedTrigger({ name: 'slow' });
    const { clock, controller } = started({ triggers: [broken, slow] });
    broken.says = 'throws';
    slow.says = 'hangs';
    controller.on('triggerFailure', () => controller.stop());
    await clock.advance(INTERVAL);
    expect([clock.pendingTimers, controller.status().running]).toEqual([0, false]);
  });

  it('a stopped controller is at normal, and may be started again', async () => {
    const { clock, load, controller } = started();
    load.says = 99;
    await clock.advance(INTERVAL);
    controller.stop();
    expect([controller.level, controller.history().at(-1)]).toMatchObject([
      'normal',
      { from: 'emergency', cause: 'stop' },
    ]);
    controller.start();
    await clock.advance(INTERVAL);
    expect(controller.level).toBe('emergency');
  });

  it('what a trigger said before the stop is forgotten', async () => {
    const { clock, load, controller } = started();
    load.says = 99;
    await clock.advance(INTERVAL);
    controller.stop();
    load.says = 'throws';
    controller.start();
    await clock.advance(INTERVAL);
    expect(controller.level).toBe('normal');
  });

  it('a change in the middle of an evaluation begins no second one', async () => {
    const [queue, slow] = [new ScriptedTrigger({ name: 'queue', immediate: true }), new ScriptedTrigger()];
    const { clock, signals, controller } = started({ triggers: [queue, slow], evaluationIntervalMillis: 100 });
    slow.says = 'hangs';
    await clock.advance(150);
    queue.says = 99;
    signals.changed();
    await clock.advance(100);
    expect([controller.level, clock.pendingTimers]).toEqual(['emergency', 1]);
    controller.stop();
    expect(clock.pendingTimers).toBe(0);
  });

  it('not enabled, it does nothing and lets everything be done', async () => {
    const { clock, load, controller } = started({ enabled: false });
    load.says = 99;
    controller.force('emergency');
    await clock.advance(2 * INTERVAL);
    expect([controller.level, load.reads, clock.pendingTimers]).toEqual(['normal', 0, 0]);
    expect(controller.isFeatureAvailable('nonEssential')).toBe(true);
    expect(
      controller.guard(
        () => 'primary',
        () => 'fallback',
      ),
    ).toBe('primary');
  });

  it('a trigger that cannot be started or stopped harms nothing', async () => {
    const broken = {
      ...new ScriptedTrigger({ name: 'broken' }),
      read: () => 55,
      start: () => Promise.reject(new Error('no')) as never,
      stop() {
        throw new Error('no');
      },
    };
    const { clock, controller } = started({ triggers: [broken] });
    await clock.advance(INTERVAL);
    expect(controller.level).toBe('light');
    controller.stop();
    expect(clock.pendingTimers).toBe(0);
  });
});
