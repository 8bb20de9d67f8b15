import { describe, expect, it } from 'vitest';
import { ScriptedTrigger, started } from '../../../test/support/degradation.js';
import { DegradationController } from './degradation-controller.js';

const INTERVAL = 30_000;

describe('immediate triggers', () => {
  const setUp = () => {
    const queue = new ScriptedTrigger({ name: 'queue', immediate: true });
    const load = new ScriptedTrigger();
    return { ...started({ triggers: [queue, load] }), queue, load };
  };

  it('raise the level as soon as signals change, and the others are not read for that', () => {
    const { queue, load, signals, controller } = setUp();
    queue.says = 85;
    load.says = 99;
    signals.changed();
    expect([controller.level, load.reads]).toEqual(['heavy', 0]);
  });

  it('raise it at most once per second, and the last change is not overlooked', async () => {
    const { clock, queue, signals, controller } = setUp();
    queue.says = 50;
    signals.changed();
    queue.says = 99;
    for (let i = 0; i < 100; i++) signals.changed();
    await clock.advance(999);
    expect(controller.level).toBe('light');
    await clock.advance(1);
    expect(controller.level).toBe('emergency');
  });

  it('are not read with every change', async () => {
    const { clock, queue, signals } = setUp();
    for (let i = 0; i < 1_000; i++) {
      signals.changed();
      await clock.advance(1);
    }
    expect(queue.reads).toBeLessThanOrEqual(51);
  });

  it('never lower it', async () => {
    const { clock, queue, signals, controller } = setUp();
    queue.says = 99;
    signals.changed();
    queue.says = 0;
    await clock.advance(INTERVAL - 1);
    signals.changed();
    expect(controller.level).toBe('emergency');
    await clock.advance(1);
    expect(controller.level).toBe('heavy');
  });

  it('that fail are left to the evaluations', async () => {
    const { clock, queue, signals, controller } = setUp();
    queue.says = 'throws';
    for (let i = 0; i < 100; i++) {
      signals.changed();
      await clock.advance(100);
    }
    expect([controller.level, controller.status().triggers[0]]).toMatchObject(['normal', { failures: 1 }]);
  });

  it('are heard through their own signals too', () => {
    const { signals, queue } = setUp();
    const controller = new DegradationController({ triggers: [Object.assign(queue, { signals })], metrics: false });
    controller.start();
    queue.says = 70;
    signals.changed();
    expect(controller.level).toBe('moderate');
    controller.stop();
  });

  it('may answer late', async () => {
    const { clock, queue, signals, controller } = setUp();
    queue.says = 'hangs';
    signals.changed();
    queue.answer(70);
    await clock.settle();
    expect(controller.level).toBe('moderate');
  });
});
