import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { ConfigurationError, systemClock } from '@otel-resilience/core';
import { DegradationController } from '@otel-resilience/degradation';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { EventLoopTrigger } from './event-loop-trigger.js';

const INTERVAL = 200;

const sleep = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis));

function block(millis: number): void {
  const until = performance.now() + millis;
  while (performance.now() < until);
}

let stop: Array<() => void> = [];
afterEach(() => {
  for (const undo of stop) undo();
  stop = [];
});

function started(options: ConstructorParameters<typeof EventLoopTrigger>[0] = {}): EventLoopTrigger {
  const trigger = new EventLoopTrigger(options);
  trigger.start(systemClock, INTERVAL);
  stop.push(() => trigger.stop());
  return trigger;
}

describe('event-loop delay', () => {
  it('sees a block that has ended in this very turn', async () => {
    const trigger = started();
    await sleep(150);
    block(400);
    expect(trigger.read()).toBeGreaterThan(300);
  });

  it('sees a block that began right after the read before', async () => {
    const trigger = started();
    await sleep(INTERVAL);
    trigger.read();
    block(400);
    await sleep(50);
    expect(trigger.read()).toBeGreaterThan(300);
  });

  it('does not lose it by being read twice in one interval, and forgets it after the next', async () => {
    const trigger = started();
    await sleep(150);
    block(400);
    const first = trigger.read()!;
    expect(trigger.read()).toBeGreaterThanOrEqual(first);
    await sleep(20);
    expect(trigger.read()).toBeGreaterThanOrEqual(first);
    await sleep(INTERVAL);
    expect(trigger.read()).toBeLessThan(first);
  });

  it.skipIf(process.platform === 'win32')(
    'does not mistake a process that was stopped while idle for a block',
    async () => {
      const trigger = new EventLoopTrigger();
      trigger.start(systemClock, 10_000);
      stop.push(() => trigger.stop());
      await sleep(300);
      const { pid } = process;
      const stopper = spawn('sh', ['-c', `sleep 0.1; kill -STOP ${pid}; sleep 2; kill -CONT ${pid}`]);
      const before = performance.now();
      await once(stopper, 'exit');
      expect(performance.now() - before).toBeGreaterThan(1_900);
      expect(trigger.read()).toBeLessThan(500);
      await sleep(300); // the tick that came late is seen by now
      expect(trigger.read()).toBeLessThan(500);
    },
  );

  it('sees a long block that takes no CPU time, such as a synchronous wait', async () => {
    const trigger = new EventLoopTrigger();
    trigger.start(systemClock, 10_000);
    stop.push(() => trigger.stop());
    await sleep(50);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_500);
    await sleep(300);
    expect(trigger.read()).toBeGreaterThan(1_000);
  });

  it('says something sane right after the start, and nothing before it and after the stop', () => {
    const trigger = new EventLoopTrigger();
    expect(trigger.read()).toBeUndefined();
    trigger.start(systemClock, INTERVAL);
    expect(trigger.read()).toBeLessThan(50);
    trigger.stop();
    expect(trigger.read()).toBeUndefined();
  });

  it('alone moves the level', async () => {
    const controller = new DegradationController({
      triggers: [new EventLoopTrigger()],
      evaluationIntervalMillis: INTERVAL,
    });
    controller.start();
    stop.push(() => controller.stop());
    for (let i = 0; i < 3 && controller.level === 'normal'; i++) {
      block(300);
      await sleep(60);
    }
    await vi.waitFor(() => expect(controller.history()[0]?.trigger).toBe('eventLoopDelay'));
  });

  it('keeps no process alive', () => {
    const before = process.getActiveResourcesInfo().length;
    started();
    expect(process.getActiveResourcesInfo().length).toBe(before);
  });
});

describe('event-loop utilization', () => {
  it('is the share of the time in which the loop was not idle', async () => {
    const trigger = started({ measure: 'utilization' });
    expect(trigger.read()).toBeUndefined();
    await sleep(50);
    block(INTERVAL);
    await sleep(5);
    const busy = trigger.read()!;
    expect(busy).toBeGreaterThan(0.5);
    expect(busy).toBeLessThanOrEqual(1);
    await sleep(INTERVAL);
    expect(trigger.read()).toBeLessThan(busy);
  });

  it('has thresholds up to 1', () => {
    expect(() => new EventLoopTrigger({ measure: 'utilization', thresholds: { emergency: 1.1 } })).toThrow(
      ConfigurationError,
    );
    expect(() => new EventLoopTrigger({ resolutionMillis: 0.5 })).toThrow(/EventLoopTrigger.resolutionMillis/);
  });
});
