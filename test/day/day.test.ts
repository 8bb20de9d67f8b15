// A day of 1,000 spans/s at 1/1000. DAY_SPANS_PER_SECOND=10 for more of it, DAY_SEED=n for the day of a run that failed.
import { VirtualClock } from '@otel-resilience/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { DAY_AGES, type DayStores } from './day-stores.js';
import { DirectoryStores } from './directory-stores.js';
import { MirroredStores } from './mirrored-stores.js';
import { DiskStores, MemoryStores } from './mortal-stores.js';
import { type DayReport, SimulatedDay, type SimulatedDayOptions } from './simulated-day.js';
import { anHourEarly, anHourLate, removingFirst } from './wrong-lifecycles.js';

const seed = Number(process.env.DAY_SEED ?? Math.floor(Math.random() * 2 ** 31));
const spansPerSecond = Number(process.env.DAY_SPANS_PER_SECOND ?? 1);
const timeout = 60_000 + 60_000 * spansPerSecond;
const MORNING = Date.UTC(2026, 10, 21);

const clockOfDay = () => new VirtualClock({ wallTime: MORNING });

describe('every span of a day is in the tier that its age says, once, however often the lifecycle is killed', () => {
  let stores: DayStores | undefined;
  afterEach(async () => {
    await stores?.close();
    stores = undefined;
  });

  const pass = async (clock: VirtualClock, options: Partial<SimulatedDayOptions> = {}) => {
    const day = new SimulatedDay({ seed, clock, stores: stores!, ages: DAY_AGES, spansPerSecond, ...options });

    const { archived, kills, runs, moved, deleted, violations } = await day.run();
    expect(violations, `seed ${seed}`).toEqual([]);
    expect(archived).toBe(86_400 * spansPerSecond);
    // Or it has shown nothing.
    expect(kills).toBeGreaterThan(5);
    expect(runs).toBeGreaterThan(40);
    expect(Math.min(moved, deleted)).toBeGreaterThan(10);
  };

  it('in two directories, where the power fails as well', { timeout }, async () => {
    const clock = clockOfDay();
    stores = new DiskStores({ clock, stores: 2, seed });
    await pass(clock);
  });

  it('in one directory, where cold is a storage class, and all comes as a copy of what goes to a backend', {
    timeout,
  }, async () => {
    const clock = clockOfDay();
    stores = new MirroredStores({ clock, stores: 1, seed });
    await pass(clock, { rehydrates: false });
  });

  it('in one store that has to be asked for what is cold', { timeout }, async () => {
    const clock = clockOfDay();
    stores = new MemoryStores({ clock, stores: 1, seed });
    await pass(clock);
  });

  it('in directories of this machine, by kill -9 of a process', { timeout }, async () => {
    const clock = clockOfDay();
    stores = await DirectoryStores.open(clock);
    await pass(clock, { kills: 0, batchMillis: 120 * 60_000, traces: 10, rehydrates: false });
  });
});

describe('a lifecycle is found out', () => {
  const morning = (makeLifecycle: typeof anHourLate): Promise<DayReport> => {
    const clock = clockOfDay();
    const stores = new MemoryStores({ clock, stores: 2, seed: 1, makeLifecycle });
    const few = { hours: 12, spansPerSecond: 0.1, traces: 0, rehydrates: false };
    return new SimulatedDay({ seed: 1, clock, stores, ages: DAY_AGES, kills: 4, ...few }).run();
  };

  for (const [title, makeLifecycle, violation] of [
    ['that moves everything an hour late', anHourLate, /\(cold\) is 1 times in warm, 0 in cold/],
    ['that deletes everything an hour early', anHourEarly, /\(cold\) is 0 times in warm, 0 in cold/],
    ['that removes the source before there is a copy', removingFirst, /\(cold\) is 0 times in warm, 0 in cold/],
  ] as const) {
    it(title, async () => {
      expect((await morning(makeLifecycle)).violations.join('\n')).toMatch(violation);
    });
  }
});
