import { context, type DiagLogger, DiagLogLevel, diag } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { asApplication, contextFaults } from '../../../../test/support/application-context.js';
import { HOUR, NOON } from '../../../../test/support/archive.js';
import { MemoryObjectStore } from '../../../../test/support/memory-object-store.js';
import { Lifecycle } from './lifecycle.js';
import type { LifecycleOptions } from './lifecycle-options.js';
import type { LifecycleProgress } from './lifecycle-report.js';
import { AGES, LifecycleWorld, makeOriginals } from './lifecycle-world.test-support.js';
import { DEFAULT_ARCHIVE_AGES, placeFor } from './place.js';

// Two that are young, two for cold, one to be deleted.
const originals = await makeOriginals([1, 2, 5, 6, 10], ['a']);
const bytesOf = (...ages: number[]) =>
  ages.reduce(
    (sum, age) => sum + originals.find(({ hourMillis }) => NOON - HOUR - hourMillis === age * HOUR)!.data.byteLength,
    0,
  );
const DAY = 24 * HOUR;

const setUp = (stores: 1 | 2 = 2, options: Partial<LifecycleOptions> = {}) => {
  const world = new LifecycleWorld(originals, { stores });
  const { warm, cold, clock } = world;
  const one = { warm, ...(stores === 2 && { cold }) };
  return { world, clock, lifecycle: new Lifecycle({ ...one, ...AGES, clock, random: () => 0.5, ...options }) };
};

/** The n-th call of this kind waits until it is let go. */
function gate(store: MemoryObjectStore, kind: string, nth = 0) {
  let [open, arrive] = [() => {}, () => {}];
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const arrived = new Promise<void>((resolve) => {
    arrive = resolve;
  });
  let calls = 0;
  store.before = (operation) => {
    if (operation !== kind || calls++ !== nth) return undefined;
    arrive();
    return opened;
  };
  return { open: () => open(), arrived };
}

describe('where an object belongs', () => {
  it('follows from the age of its hour, which is counted from its end', () => {
    const placeAt = (ageMillis: number) => placeFor(NOON, NOON + HOUR + ageMillis, DEFAULT_ARCHIVE_AGES);
    expect([-DAY, 0, 30 * DAY, 30 * DAY + 1, 90 * DAY, 90 * DAY + 1].map(placeAt)).toEqual([
      ...['warm', 'warm', 'warm'],
      ...['cold', 'cold'],
      'gone',
    ]);
    expect(placeFor(NOON, NOON + 3 * HOUR, { coldAfterMillis: HOUR, deleteAfterMillis: HOUR })).toBe('gone');
    expect(placeFor(NOON, Number.NaN, DEFAULT_ARCHIVE_AGES)).toBe('warm');
  });
});

describe('a run', () => {
  it.each([1, 2] as const)(
    'moves what is old to cold, deletes what is older, and says so (%i stores)',
    async (stores) => {
      const { world, lifecycle } = setUp(stores);
      const none = { objects: 0, bytes: 0 };
      expect(await lifecycle.run({ countKept: true })).toEqual({
        dryRun: false,
        startedMillis: NOON,
        durationMillis: 0,
        complete: true,
        interrupted: false,
        moved: { objects: 2, bytes: bytesOf(5, 6), spans: 4 },
        deleted: { objects: 1, bytes: bytesOf(10) },
        repaired: none,
        orphans: 0,
        damaged: { count: 0, keys: [] },
        failed: { count: 0, errors: [] },
        foreign: { count: 0, names: [] },
        kept: { warm: { objects: 2, bytes: bytesOf(1, 2) }, cold: none },
      });
      world.expectAllInPlace();
      expect(await lifecycle.run({ countKept: true })).toMatchObject({
        moved: none,
        kept: { warm: { objects: 2 }, cold: { objects: 2, bytes: bytesOf(5, 6) } },
      });
      expect(await lifecycle.run()).not.toHaveProperty('kept');
      expect(lifecycle.status()).toEqual({ running: false, lastReport: expect.objectContaining({ complete: true }) });
    },
  );

  it('that is dry says what would be done, by lists alone', async () => {
    const { world, lifecycle } = setUp();
    world.warm.objects.delete(originals.find(({ key }) => key.includes('/05/'))!.indexKey);
    const before = [world.warm.keys, world.cold.keys];
    expect(await lifecycle.run({ dryRun: true })).toMatchObject({
      dryRun: true,
      complete: true,
      moved: { objects: 2, bytes: bytesOf(5, 6) },
      deleted: { objects: 1, bytes: bytesOf(10) },
      repaired: { objects: expect.any(Number) },
    });
    expect([world.warm.keys, world.cold.keys]).toEqual(before);
    expect([...world.warm.calls, ...world.cold.calls].map(({ operation }) => operation)).toEqual(['list', 'list']);
    expect(lifecycle.status().lastReport).toBeUndefined();
  });

  it('looks no further than it must', async () => {
    const { world, lifecycle } = setUp();
    await lifecycle.run();
    const looked = world.warm.calls.filter(({ operation, key }) => operation !== 'list' && /\/(09|10)\/a/.test(key));
    expect(looked).toEqual([]);
  });

  it('is one at a time: who calls meanwhile gets the same report, or waits where only one of them is dry', async () => {
    const { world, lifecycle } = setUp();
    const { open, arrived } = gate(world.cold, 'put');
    const first = lifecycle.run();
    await arrived;
    expect(lifecycle.status().running).toBe(true);
    expect(lifecycle.run()).toBe(first);
    const dry = lifecycle.run({ dryRun: true });
    open();
    expect(await first).toMatchObject({ moved: { objects: 2 } });
    expect(await dry).toMatchObject({ dryRun: true, moved: { objects: 0 } });
    expect(lifecycle.run()).not.toBe(first);
  });

  it('ends between two objects when it is interrupted, and the next one goes on', async () => {
    const { world, lifecycle } = setUp(2, { concurrency: 1 });
    const abort = new AbortController();
    world.warm.after = (operation) => {
      if (operation === 'remove') abort.abort();
      world.look();
    };
    const report = await lifecycle.run({ signal: abort.signal });
    expect(report).toMatchObject({ complete: false, interrupted: true, failed: { count: 0 }, deleted: { objects: 1 } });
    expect(await lifecycle.run({ signal: abort.signal })).toMatchObject({ interrupted: true, moved: { objects: 0 } });
    expect(await lifecycle.run()).toMatchObject({ complete: true, interrupted: false, moved: { objects: 2 } });
    world.expectAllInPlace();
  });

  it('tells how far it is, at most every 250 ms and at the end, whatever the listener does', async () => {
    const { world, clock, lifecycle } = setUp(2, { concurrency: 1 });
    const progress: LifecycleProgress[] = [];
    const onProgress = (told: LifecycleProgress) => {
      progress.push(told);
      throw new Error('a listener');
    };
    world.cold.after = async (operation) => {
      if (operation === 'put') await clock.advance(100);
    };
    expect(await lifecycle.run({ onProgress })).toMatchObject({ complete: true });
    expect(progress.map(({ looked }) => looked)).toEqual([1, 2, 3]);
    expect(progress.at(-1)).toMatchObject({
      looked: 3,
      moved: { objects: 2, spans: 4 },
      deleted: { objects: 1 },
      failed: 0,
    });
  });

  it('resolves with what failed, and shows it in the status', async () => {
    const { world, clock, lifecycle } = setUp();
    world.warm.failNext('list', 'DENIED', Number.POSITIVE_INFINITY);
    const report = await clock.run(lifecycle.run());
    expect(report).toMatchObject({ complete: false, failed: { count: 1, errors: [{ key: 'traces/' }] } });
    expect(lifecycle.status().lastError).toMatch(/^traces\/: DENIED/);
  });
});

describe('a clock that jumps', () => {
  let lines: string[] = [];
  beforeAll(() => {
    const logger = { warn: (line: string) => lines.push(line) } as unknown as DiagLogger;
    diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  });
  afterEach(() => {
    lines = [];
  });
  afterAll(() => diag.disable());

  it.each([1, 2] as const)(
    'ahead by a year has nothing moved or deleted for an hour, and it is said (%i stores)',
    async (stores) => {
      const { world, clock, lifecycle } = setUp(stores);
      await lifecycle.run();
      const before = [...world.warm.keys, ...world.cold.keys];
      clock.jumpWallTime(365 * DAY);
      const report = await lifecycle.run();
      expect(report).toMatchObject({
        complete: false,
        deleted: { objects: 0 },
        moved: { objects: 0 },
        failed: { count: 0 },
        heldBack: { objects: 4, bytes: bytesOf(1, 2, 5, 6), reason: 'the wall clock has jumped ahead by 31536000 s' },
      });
      expect(lines).toEqual([
        expect.stringMatching(/Lifecycle: nothing is moved or deleted for an hour \(4 objects\): .* ahead/),
      ]);
      expect(await lifecycle.run()).toMatchObject({ complete: false, heldBack: { objects: 4 } });
      // It was set right in the meantime.
      clock.jumpWallTime(-365 * DAY);
      await clock.advance(HOUR);
      await lifecycle.run();
      expect([...world.warm.keys, ...world.cold.keys]).toEqual(before);
      await clock.advance(HOUR);
      expect(await lifecycle.run()).toMatchObject({ complete: true });
    },
  );

  it('and stays so is believed after an hour; one that goes with NTP always is', async () => {
    const { world, clock, lifecycle } = setUp();
    clock.jumpWallTime(59_000);
    expect(await lifecycle.run()).toMatchObject({ complete: true, moved: { objects: 2 } });
    clock.jumpWallTime(30 * DAY);
    expect(await lifecycle.run()).toMatchObject({ deleted: { objects: 0 }, heldBack: { objects: 4 } });
    await clock.advance(HOUR - 1);
    expect(await lifecycle.run()).toMatchObject({ deleted: { objects: 0 }, heldBack: { objects: 4 } });
    await clock.advance(1);
    expect(await lifecycle.run()).toMatchObject({ complete: true, deleted: { objects: 4 } });
    expect([...world.warm.keys, ...world.cold.keys]).toEqual([]);
  });
});

describe('start and shutdown', () => {
  it('makes a run soon and then every interval, one after the other, until it is shut down', async () => {
    const { world, clock, lifecycle } = setUp(2, { intervalMillis: 10 * 60_000 });
    expect(clock.pendingTimers).toBe(0);
    lifecycle.start();
    lifecycle.start();
    expect(clock.pendingTimers).toBe(1);
    expect(lifecycle.status()).toEqual({ running: false, nextRunAt: NOON + 30_000 });
    await clock.advance(30_000);
    expect(lifecycle.status()).toMatchObject({
      running: false,
      lastReport: { moved: { objects: 2 } },
      nextRunAt: NOON + 10.5 * 60_000,
    });
    world.expectAllInPlace();
    await clock.advance(2 * HOUR);
    expect(lifecycle.status().lastReport).toMatchObject({
      complete: true,
      startedMillis: NOON + 2 * HOUR + 30_000,
    });
    world.expectAllInPlace();
    await lifecycle.shutdown();
    expect(clock.pendingTimers).toBe(0);
    lifecycle.start();
    expect(clock.pendingTimers).toBe(0);
    expect(lifecycle.status()).not.toHaveProperty('nextRunAt');
    expect(await lifecycle.run()).toMatchObject({ complete: false, interrupted: true });
  });

  it('never has two runs at a time, also when one takes longer than the interval', async () => {
    const { world, clock, lifecycle } = setUp(2, { intervalMillis: 60_000 });
    const { open, arrived } = gate(world.cold, 'put');
    lifecycle.start();
    await clock.advance(30_000);
    await arrived;
    await clock.advance(10 * 60_000);
    expect(world.cold.calls.filter(({ operation, key }) => operation === 'list' && key === 'traces/')).toHaveLength(1);
    expect(lifecycle.status()).toEqual({ running: true });
    open();
    await clock.advance(1);
    expect(lifecycle.status()).toMatchObject({ running: false, nextRunAt: clock.wallTime() + 6_000 - 1 });
    await lifecycle.shutdown();
    expect(clock.pendingTimers).toBe(0);
  });

  it('keeps the process alive for a run that was asked for, and for no other', async () => {
    const { clock, lifecycle } = setUp();
    const kept: boolean[] = [];
    const { setTimeout } = clock;
    clock.setTimeout = (callback, delayMillis, options?: { keepAlive?: boolean }) => {
      kept.push(options?.keepAlive === true);
      return setTimeout.call(clock, callback, delayMillis);
    };
    await lifecycle.run();
    expect(kept).toEqual([true]);
    expect(clock.pendingTimers).toBe(0);
    lifecycle.start();
    await clock.advance(2 * HOUR);
    expect(kept.slice(1)).toEqual([false, false, false]);
    await lifecycle.shutdown();
  });

  it('lets the object end that is under way', async () => {
    const { world, clock, lifecycle } = setUp(2, { concurrency: 1 });
    const { open, arrived } = gate(world.cold, 'put', 1);
    const running = lifecycle.run();
    await arrived;
    const shutdown = lifecycle.shutdown();
    await clock.advance(1_000);
    open();
    await clock.run(shutdown);
    expect(await running).toMatchObject({
      complete: false,
      interrupted: true,
      moved: { objects: 1 },
      failed: { count: 0 },
    });
    expect(clock.pendingTimers).toBe(0);
    expect(world.losses).toEqual([]);
  });

  it('ends by its deadline, and with it the run, when a store answers to nothing', async () => {
    for (const operation of ['list', 'head', 'put', 'remove'] as const) {
      const { world, clock, lifecycle } = setUp();
      for (const store of [world.warm, world.cold]) {
        store.before = (called) => (called === operation ? new Promise<void>(() => {}) : undefined);
      }
      const running = lifecycle.run();
      await clock.settle();
      await clock.run(lifecycle.shutdown({ deadline: clock.now() + 500 }), 500);
      expect(await running).toMatchObject({ complete: false, interrupted: true, failed: { count: 0 } });
      expect(clock.pendingTimers).toBe(0);
      expect(world.losses).toEqual([]);
    }
  });

  it('leaves no listener at a signal', async () => {
    const { lifecycle } = setUp();
    const abort = new AbortController();
    let listeners = 0;
    const { signal } = abort;
    const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
    signal.addEventListener = (...about: Parameters<typeof add>) => {
      listeners++;
      add(...about);
    };
    signal.removeEventListener = (...about: Parameters<typeof remove>) => {
      listeners--;
      remove(...about);
    };
    await lifecycle.run({ signal });
    expect(listeners).toBe(0);
  });
});

describe('what a lifecycle does', () => {
  beforeAll(() => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  });
  afterAll(() => context.disable());

  it('is never traced, and keeps no request of the application', async () => {
    const { world, clock, lifecycle } = setUp();
    const faults = new Set<string>();
    for (const store of [world.warm, world.cold]) {
      store.before = (operation) => {
        for (const fault of contextFaults(operation)) faults.add(fault);
      };
    }
    await asApplication(() => lifecycle.run());
    asApplication(() => lifecycle.start());
    await clock.advance(2 * HOUR);
    expect([...faults]).toEqual([]);
    await lifecycle.shutdown();
  });
});

describe('wrong options', () => {
  it('are refused by name', async () => {
    const warm = new MemoryObjectStore();
    const make = (options: object) => () => new Lifecycle({ warm, ...options } as LifecycleOptions);
    expect(make({ warm: undefined })).toThrow(/Lifecycle\.warm/);
    expect(make({ cold: {} })).toThrow(/Lifecycle\.cold/);
    expect(make({ coldAfterMillis: 2, deleteAfterMillis: 1 })).toThrow(
      /Lifecycle\.deleteAfterMillis: expected at least coldAfterMillis \(2\)/,
    );
    expect(make({ deleteAfterMillis: DAY })).toThrow(/Lifecycle\.deleteAfterMillis/);
    expect(make({ coldAfterMillis: Number.NaN })).toThrow(/Lifecycle\.coldAfterMillis/);
    expect(make({ coldStorageClass: 'ICE' })).toThrow(/Lifecycle\.coldStorageClass/);
    expect(make({ intervalMillis: 10 })).toThrow(/Lifecycle\.intervalMillis/);
    expect(make({ concurrency: 0 })).toThrow(/Lifecycle\.concurrency/);
    expect(make({ coldAfter: 1 })).toThrow(/the unknown key coldAfter/);
    const lifecycle = make({})();
    await expect(lifecycle.run({ dryrun: true } as never)).rejects.toThrow(/Lifecycle\.run\.dryrun/);
    await expect(lifecycle.run({ signal: {} as AbortSignal })).rejects.toThrow(/Lifecycle\.run\.signal/);
  });
});
