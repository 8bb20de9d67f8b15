import { getEventListeners } from 'node:events';
import { context, createContextKey } from '@opentelemetry/api';
import { isTracingSuppressed } from '@opentelemetry/core';
import { VirtualClock } from '@otel-resilience/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { installAsyncContext } from '../../../test/support/async-context.js';
import { settledBy, sleep, systemClock } from './clock.js';

describe('systemClock', () => {
  beforeEach(() => {
    installAsyncContext();
  });
  afterEach(() => {
    context.disable();
    vi.restoreAllMocks();
  });

  it('calls back with tracing suppressed and nothing of the request in which the timer was set', async () => {
    const key = createContextKey('request');
    const seen = await new Promise<{ request: unknown; suppressed: boolean }>((resolve) => {
      context.with(context.active().setValue(key, 'of a user'), () => {
        const read = () => ({
          request: context.active().getValue(key),
          suppressed: isTracingSuppressed(context.active()),
        });
        expect(read()).toEqual({ request: 'of a user', suppressed: false });
        systemClock.setTimeout(() => resolve(read()), 0);
      });
      const alive = setTimeout(() => {}, 1_000);
      setTimeout(() => clearTimeout(alive), 50);
    });
    expect(seen).toEqual({ request: undefined, suppressed: true });
  });

  it('lets the process end while a timer is set, unless the application waits for it', () => {
    const background = systemClock.setTimeout(() => {}, 60_000) as NodeJS.Timeout;
    const awaited = systemClock.setTimeout(() => {}, 60_000, { keepAlive: true }) as NodeJS.Timeout;
    expect([background.hasRef(), awaited.hasRef()]).toEqual([false, true]);
    systemClock.clearTimeout(background);
    systemClock.clearTimeout(awaited);
    systemClock.clearTimeout(undefined);
  });

  it.each([
    [Number.POSITIVE_INFINITY, 2 ** 31 - 1],
    [2 ** 31, 2 ** 31 - 1],
    [-5, 0],
  ])('sets a timer of %d ms as one of %d ms, not of 1', (asked, set) => {
    const setTimeoutSpy = vi.spyOn(globalThis, 'setTimeout');
    systemClock.clearTimeout(systemClock.setTimeout(() => {}, asked));
    expect(setTimeoutSpy.mock.calls[0]![1]).toBe(set);
  });

  it('takes the timers of a browser-like environment, which are numbers', () => {
    vi.spyOn(globalThis, 'setTimeout').mockReturnValue(7 as never);
    expect(systemClock.setTimeout(() => {}, 5)).toBe(7);
  });

  it('counts monotonic and wall milliseconds', () => {
    const before = systemClock.now();
    expect(systemClock.now()).toBeGreaterThanOrEqual(before);
    expect(Math.abs(systemClock.wallTime() - Date.now())).toBeLessThan(1_000);
  });
});

describe('sleep', () => {
  it('resolves to true after the whole time', async () => {
    const clock = new VirtualClock();
    const startedAt = clock.now();
    expect(await clock.run(sleep(clock, 250))).toBe(true);
    expect(clock.now() - startedAt).toBe(250);
  });

  it.each([0, 1])(
    'resolves to false at once when signal %i aborts, leaving neither timer nor listener',
    async (which) => {
      const clock = new VirtualClock();
      const controllers = [new AbortController(), new AbortController()];
      const signals = controllers.map(({ signal }) => signal);
      const asleep = sleep(clock, 250, ...signals);
      controllers[which]!.abort();
      expect(await asleep).toBe(false);
      expect(await sleep(clock, 250, ...signals)).toBe(false);
      expect(clock.pendingTimers).toBe(0);
      expect(signals.flatMap((signal) => getEventListeners(signal, 'abort'))).toEqual([]);
    },
  );

  it('leaves no listener after the whole time', async () => {
    const clock = new VirtualClock();
    const { signal } = new AbortController();
    expect(await clock.run(sleep(clock, 250, signal))).toBe(true);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});

describe('settledBy', () => {
  it.each([
    ['resolves', () => Promise.resolve(), true],
    ['rejects', () => Promise.reject(new Error('no')), true],
    ['hangs', () => new Promise(() => {}), false],
  ])('says whether a promise that %s has settled in time, and leaves no timer', async (_, start, settled) => {
    const clock = new VirtualClock();
    const deadline = clock.now() + 100;
    expect(await clock.run(settledBy(clock, deadline, start()))).toBe(settled);
    expect(clock.now()).toBe(settled ? deadline - 100 : deadline);
    expect(clock.pendingTimers).toBe(0);
  });

  it('does not wait past a deadline that has passed', async () => {
    const clock = new VirtualClock();
    const startedAt = clock.now();
    expect(await clock.run(settledBy(clock, startedAt - 500, new Promise(() => {})))).toBe(false);
    expect(clock.now()).toBe(startedAt);
  });

  it('keeps the process alive: the application awaits it', async () => {
    const clock = new VirtualClock();
    const setTimer = vi.spyOn(clock, 'setTimeout');
    await settledBy(clock, clock.now() + 100, Promise.resolve());
    expect(setTimer.mock.calls[0]).toMatchObject([expect.any(Function), 100, { keepAlive: true }]);
  });
});
