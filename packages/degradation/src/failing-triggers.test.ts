import { PipelineSignals } from '@otel-resilience/core';
import { describe, expect, it } from 'vitest';
import { type Saying, ScriptedTrigger, started } from '../../../test/support/degradation.js';

const INTERVAL = 30_000;
const TIMEOUT = 1_000;

const FAILURES: ReadonlyArray<readonly [string, Saying]> = [
  ['throws', 'throws'],
  ['rejects', 'rejects'],
  ['hangs', 'hangs'],
  ['returns NaN', Number.NaN],
  ['returns Infinity', Number.POSITIVE_INFINITY],
  ['returns -Infinity', Number.NEGATIVE_INFINITY],
  ['returns a string', { is: '99' }],
  ['returns null', { is: null }],
  ['answers with NaN', { is: Promise.resolve(Number.NaN) }],
];

describe.each(FAILURES)('a trigger that %s', (_, failure) => {
  it('raises nothing', async () => {
    const { clock, load, controller } = started();
    load.says = failure;
    await clock.advance(3 * INTERVAL + TIMEOUT);
    expect(controller.level).toBe('normal');
    expect(controller.status().triggers[0]).toMatchObject({ failures: 3, failing: expect.any(String) });
  });

  it('lowers nothing', async () => {
    const { clock, load, controller } = started();
    load.says = 85;
    await clock.advance(INTERVAL);
    load.says = failure;
    await clock.advance(5 * INTERVAL);
    expect(controller.level).toBe('heavy');
    expect(controller.status().triggers[0]).toMatchObject({ value: 85, asks: 'heavy', recovered: false });
  });

  it('does not keep the level up when it was calm', async () => {
    const load = new ScriptedTrigger();
    const broken = new ScriptedTrigger({ name: 'broken' });
    const { clock, controller } = started({ triggers: [load, broken] });
    load.says = 50;
    await clock.advance(INTERVAL);
    load.says = 0;
    broken.says = failure;
    await clock.advance(INTERVAL + TIMEOUT);
    expect(controller.level).toBe('normal');
  });

  it('does not keep the others from raising it', async () => {
    const load = new ScriptedTrigger();
    const broken = new ScriptedTrigger({ name: 'broken' });
    const { clock, controller } = started({ triggers: [broken, load] });
    load.says = 99;
    broken.says = failure;
    await clock.advance(INTERVAL + TIMEOUT);
    expect(controller.level).toBe('emergency');
  });
});

describe('a failing trigger', () => {
  it('holds on to what it has asked for, and does not complete its hold while it fails', async () => {
    const load = new ScriptedTrigger({ holdForMillis: 60_000 });
    const { clock, controller } = started({ triggers: [load] });
    load.says = 99;
    await clock.advance(INTERVAL);
    load.says = 'throws';
    await clock.advance(10 * INTERVAL);
    expect(controller.level).toBe('normal');
  });

  it('is well again with the first good value', async () => {
    const { clock, load, controller } = started();
    load.says = 'throws';
    await clock.advance(INTERVAL);
    load.says = 50;
    await clock.advance(INTERVAL);
    const [status] = controller.status().triggers;
    expect([controller.level, status?.failing, status?.failures]).toEqual(['light', undefined, 1]);
  });

  it('that hangs is not called again before it has answered, and its late answer is not used', async () => {
    const { clock, load, controller } = started();
    load.says = 'hangs';
    await clock.advance(10 * INTERVAL + TIMEOUT);
    expect([load.reads, controller.status().triggers[0]?.failures]).toEqual([1, 10]);
    load.answer(99);
    load.says = 50;
    await clock.advance(TIMEOUT);
    expect(controller.level).toBe('normal');
    await clock.advance(INTERVAL);
    expect([load.reads, controller.level]).toEqual([2, 'light']);
  });

  it('that answers late and then fails has said nothing', async () => {
    const { clock, load, controller } = started();
    load.says = 'hangs';
    await clock.advance(INTERVAL + TIMEOUT);
    load.answer(99);
    load.says = 'throws';
    await clock.advance(INTERVAL);
    expect([controller.level, controller.status().triggers[0]?.value]).toEqual(['normal', undefined]);
  });

  it('that hangs delays the others by no more than one interval, however long it may be waited for', async () => {
    const load = new ScriptedTrigger();
    const hanging = new ScriptedTrigger({ name: 'hanging' });
    const triggers = [load, hanging];
    const { clock, controller } = started({ triggers, evaluationIntervalMillis: 1_000, triggerTimeoutMillis: 60_000 });
    hanging.says = 'hangs';
    await clock.advance(1_000);
    load.says = 99;
    await clock.advance(2_000);
    expect(controller.level).toBe('emergency');
  });

  it('that hangs is waited for once, then the others are not kept waiting', async () => {
    const load = new ScriptedTrigger();
    const hanging = new ScriptedTrigger({ name: 'hanging' });
    const { clock, controller } = started({ triggers: [load, hanging] });
    hanging.says = 'hangs';
    await clock.advance(INTERVAL + TIMEOUT);
    load.says = 99;
    await clock.advance(INTERVAL - TIMEOUT);
    expect(controller.level).toBe('emergency');
  });

  it('is told of, with what was wrong', async () => {
    const { clock, load, controller } = started();
    const events: unknown[] = [];
    controller.on('triggerFailure', (event) => events.push(event));
    for (const says of ['throws', Number.NaN, 'hangs', { is: 'x' }] as const) {
      load.says = says;
      await clock.advance(INTERVAL + TIMEOUT);
      load.answer(0);
    }
    expect(events).toMatchObject([
      { trigger: 'load', error: 'out of order', failures: 1 },
      { error: 'it returned NaN, not a finite number' },
      { error: 'no answer within 1000 ms' },
      { error: 'it returned string, not a finite number', failures: 4 },
    ]);
  });

  it('whose failure makes a listener stop the controller leaves that stopped', async () => {
    const [broken, asking] = ['broken', 'asking'].map((name) => new ScriptedTrigger({ name, immediate: true }));
    broken!.says = 'throws';
    asking!.says = 99;
    for (const how of ['evaluation', 'change']) {
      const { clock, signals, controller } = started({ triggers: [broken!, asking!] });
      controller.on('triggerFailure', () => controller.stop());
      if (how === 'change') signals.changed();
      else await clock.advance(INTERVAL);
      expect([controller.level, clock.pendingTimers]).toEqual(['normal', 0]);
    }
  });

  it('may throw anything', async () => {
    const hostile = Object.assign(new ScriptedTrigger(), {
      read: () => {
        throw Object.create(null);
      },
    });
    const { clock, controller } = started({ triggers: [hostile] });
    await clock.advance(INTERVAL);
    expect(controller.status().triggers[0]?.failures).toBe(1);
  });

  it('that is read on a change throws nothing into the layer', () => {
    const signals = new PipelineSignals();
    const queue = new ScriptedTrigger({ immediate: true });
    const { controller } = started({ triggers: [queue], signals });
    controller.on('triggerFailure', () => {
      throw new Error('a listener');
    });
    queue.says = 'throws';
    expect(() => signals.changed()).not.toThrow();
  });
});
