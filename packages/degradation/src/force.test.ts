import { describe, expect, it } from 'vitest';
import { refusal, started } from '../../../test/support/degradation.js';

const INTERVAL = 30_000;

describe('force', () => {
  it('is in force at once, while the automatic level goes on underneath, until it is released', async () => {
    const { clock, load, controller } = started();
    controller.force('light');
    expect(controller.level).toBe('light');
    load.says = 90;
    await clock.advance(INTERVAL);
    expect(controller.status()).toMatchObject({ level: 'light', automaticLevel: 'heavy', forced: { level: 'light' } });
    controller.release();
    expect([controller.level, controller.status().forced]).toEqual(['heavy', undefined]);
  });

  it('ends after its time, not before, and leaves no timer', async () => {
    const { clock, controller } = started();
    controller.force('emergency', { ttlMillis: 45_000 });
    expect(controller.status().forced?.expiresAt).toBe(clock.wallTime() + 45_000);
    await clock.advance(44_999);
    expect(controller.level).toBe('emergency');
    await clock.advance(1);
    expect([controller.level, clock.pendingTimers]).toEqual(['normal', 1]);
  });

  it('replaces the one before, its end too', async () => {
    const { clock, controller } = started();
    controller.force('emergency', { ttlMillis: 1_000 });
    controller.force('light', { ttlMillis: 5_000 });
    await clock.advance(4_999);
    expect(controller.level).toBe('light');
    await clock.advance(1);
    expect(controller.level).toBe('normal');
    controller.force('heavy', { ttlMillis: 1_000 });
    controller.force('moderate');
    await clock.advance(1e6);
    expect(controller.level).toBe('moderate');
  });

  it('works on a controller that does not run, and with monitorOnly', async () => {
    const { clock, load, controller } = started({ monitorOnly: true });
    load.says = 99;
    await clock.advance(INTERVAL);
    expect(controller.status()).toMatchObject({ level: 'normal', automaticLevel: 'emergency' });
    controller.force('light');
    expect(controller.level).toBe('light');
    controller.stop();
    controller.force('heavy');
    expect(controller.level).toBe('heavy');
  });

  it.each([
    ['unknown', {}, 'DegradationController.force.level'],
    [undefined, {}, 'DegradationController.force.level'],
    [3, {}, 'DegradationController.force.level'],
    ['light', { ttlMillis: 0 }, 'DegradationController.force.ttlMillis'],
    ['light', { ttlMillis: Number.NaN }, 'DegradationController.force.ttlMillis'],
    ['light', { ttlMillis: 2 ** 31 }, 'DegradationController.force.ttlMillis'],
    ['light', { ttl: 5 }, 'DegradationController.force.ttl'],
    ['light', 5, 'DegradationController.force'],
  ])('refuses %s with %j, and changes nothing', (level, options, path) => {
    const { controller } = started();
    expect(refusal(() => controller.force(level as never, options as never)).path).toBe(path);
    expect(controller.level).toBe('normal');
  });
});

describe('the history', () => {
  it('says what moved the level, when, from where to where and why', async () => {
    const { clock, load, controller } = started();
    const start = clock.wallTime();
    const events: unknown[] = [];
    controller.on('transition', (event) => events.push(event));
    load.says = 71;
    await clock.advance(INTERVAL);
    load.says = 0;
    await clock.advance(INTERVAL);
    controller.force('emergency', { ttlMillis: 1_000 });
    await clock.advance(1_000);
    controller.force('heavy');
    controller.release();
    const history = controller.history();
    expect(history.map(({ time, ...rest }) => ({ after: time - start, ...rest }))).toEqual([
      {
        after: 30_000,
        from: 'normal',
        to: 'moderate',
        cause: 'trigger',
        trigger: 'load',
        value: 71,
        threshold: 70,
        inForce: true,
      },
      { after: 60_000, from: 'moderate', to: 'light', cause: 'recovery', inForce: true },
      { after: 60_000, from: 'light', to: 'emergency', cause: 'force', inForce: true },
      { after: 61_000, from: 'emergency', to: 'light', cause: 'expiry', inForce: true },
      { after: 61_000, from: 'light', to: 'heavy', cause: 'force', inForce: true },
      { after: 61_000, from: 'heavy', to: 'light', cause: 'release', inForce: true },
    ]);
    expect(events).toEqual(history);
  });

  it('marks what only the automatic level did', async () => {
    const { clock, load, controller } = started({ monitorOnly: true });
    load.says = 71;
    await clock.advance(INTERVAL);
    load.says = 0;
    await clock.advance(INTERVAL);
    expect(controller.history()).toMatchObject([
      { from: 'normal', to: 'moderate', cause: 'trigger', trigger: 'load', inForce: false },
      { from: 'moderate', to: 'light', cause: 'recovery', inForce: false },
    ]);
  });

  it('keeps the last 1,000', () => {
    const { controller } = started();
    for (let i = 0; i < 600; i++) {
      controller.force('light');
      controller.release();
    }
    controller.force('emergency');
    expect([controller.history().length, controller.history().at(-1)?.to]).toEqual([1_000, 'emergency']);
  });
});

describe('listeners', () => {
  it('are called in order of events, each as often as added, until taken away; what they throw harms nothing', async () => {
    const { clock, load, controller } = started();
    const seen: string[] = [];
    const listener = ({ to }: { to: string }) => {
      seen.push(to);
      if (seen.length === 1) controller.force('light');
      throw new Error('mine');
    };
    const off = controller.on('transition', listener);
    controller.on('transition', listener);
    controller.on('transition', async () => Promise.reject(new Error('mine')));
    load.says = 99;
    await clock.advance(INTERVAL);
    expect(seen).toEqual(['emergency', 'emergency', 'light', 'light']);
    off();
    off();
    controller.release();
    expect(seen.slice(4)).toEqual(['emergency']);
  });

  it('are not called in the middle of one another', () => {
    const { controller } = started();
    const seen: string[] = [];
    for (const name of ['a', 'b']) {
      controller.on('transition', ({ to }) => {
        seen.push(`${name} hears ${to}`);
        if (to === 'heavy') controller.force('light');
        seen.push(`${name} is done`);
      });
    }
    controller.force('heavy');
    expect(seen.filter((_, index) => index % 2 === 1)).toEqual(['a is done', 'b is done', 'a is done', 'b is done']);
  });

  it('of unknown events, and what is no function, are refused', () => {
    const { controller } = started();
    expect(refusal(() => controller.on('change' as never, () => {})).path).toBe('DegradationController.on');
    expect(refusal(() => controller.on('transition', 5 as never)).path).toBe('DegradationController.on');
  });
});
