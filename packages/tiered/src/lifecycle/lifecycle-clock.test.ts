import { describe, expect, it } from 'vitest';
import { HOUR } from '../../../../test/support/archive.js';
import { Lifecycle } from './lifecycle.js';
import { AGES, LifecycleWorld, makeOriginals } from './lifecycle-world.test-support.js';

const DAY = 24 * HOUR;
const YEAR = 365 * DAY;

// Due by AGES are those of 10 hours and older.
const recent = await makeOriginals([1, 5, 10], ['a']);
const ofLongAgo = await makeOriginals([500 * 24, 600 * 24], ['a']);
const ofTheFuture = await makeOriginals([-3 * 365 * 24], ['a']);

function setUp(originals: typeof recent, stores: 1 | 2, { aheadMillis = 0, ages = AGES } = {}) {
  const world = new LifecycleWorld(originals, { stores });
  const { warm, cold, clock } = world;
  clock.jumpWallTime(aheadMillis);
  // After that: it has seen no jump.
  const lifecycle = new Lifecycle({ warm, ...(stores === 2 && { cold }), ...ages, clock });
  const keys = () => [...warm.keys, ...(stores === 2 ? cold.keys : [])];
  return { world, clock, lifecycle, keys };
}

describe.each([1, 2] as const)('a wall clock that is ahead by years, with %i stores', (stores) => {
  it.each([2, 5, 50])('from the start, has nothing deleted, now or ever: %i years', async (years) => {
    const { clock, lifecycle, keys } = setUp(recent, stores, { aheadMillis: years * YEAR });
    const before = keys();
    for (let run = 0; run < 5; run++) {
      const report = await lifecycle.run();
      expect(report).toMatchObject({ complete: false, deleted: { objects: 0 }, failed: { count: 0 } });
      expect(report.heldBack).toEqual({
        objects: 3,
        bytes: expect.any(Number),
        reason: expect.stringContaining('clock'),
      });
      expect(report.heldBack!.reason).toContain(new Date(clock.wallTime()).toISOString());
      await clock.advance(DAY);
    }
    expect(keys()).toEqual(before);
  });

  it('says so where nothing would be done but said, too', async () => {
    const { lifecycle } = setUp(recent, stores, { aheadMillis: 3 * YEAR });
    expect(await lifecycle.run({ dryRun: true })).toMatchObject({ deleted: { objects: 0 }, heldBack: { objects: 3 } });
  });

  it('has nothing deleted when it has stayed so, and is believed otherwise', async () => {
    const { clock, lifecycle, keys } = setUp(recent, stores);
    clock.jumpWallTime(3 * YEAR);
    const before = keys();
    for (let hour = 0; hour < 3; hour++) {
      await lifecycle.run();
      await clock.advance(HOUR);
    }
    expect(await lifecycle.run()).toMatchObject({ deleted: { objects: 0 }, heldBack: { objects: 3 } });
    expect(keys()).toEqual(before);
  });

  it('is no better for what it has dated itself meanwhile', async () => {
    const { lifecycle, world } = setUp([...recent, ...ofTheFuture], stores, { aheadMillis: 3 * YEAR });
    expect(await lifecycle.run()).toMatchObject({ deleted: { objects: 0 }, heldBack: { objects: 3 } });
    for (const { key } of recent) expect(world.warm.keys).toContain(key);
  });

  it('goes on where it was, once it has been set right', async () => {
    const { clock, lifecycle } = setUp(recent, stores, { aheadMillis: 3 * YEAR });
    await lifecycle.run();
    clock.jumpWallTime(-3 * YEAR);
    await lifecycle.run();
    await clock.advance(HOUR);
    expect(await lifecycle.run()).toMatchObject({ complete: true, deleted: { objects: 1 } });
  });
});

describe.each([1, 2] as const)('a wall clock that is right, with %i stores', (stores) => {
  it('has deleted what is years old, as long as something else is due', async () => {
    const { lifecycle } = setUp([...ofLongAgo, ...recent], stores);
    expect(await lifecycle.run()).toMatchObject({ complete: true, deleted: { objects: 3 } });
  });

  it('has deleted what was forgotten for a year', async () => {
    const { lifecycle, keys } = setUp(recent, stores, { aheadMillis: YEAR - 2 * HOUR });
    expect(await lifecycle.run()).toMatchObject({ complete: true, deleted: { objects: 3 } });
    expect(keys()).toEqual([]);
  });

  it('is believed with ages that are longer', async () => {
    const ages = { coldAfterMillis: 4 * HOUR, deleteAfterMillis: 300 * DAY };
    const { lifecycle, keys } = setUp(ofLongAgo, stores, { ages });
    expect(await setUp(ofLongAgo, stores).lifecycle.run()).toMatchObject({ heldBack: { objects: 2 } });
    expect(await lifecycle.run()).toMatchObject({ complete: true, deleted: { objects: 2 } });
    expect(keys()).toEqual([]);
  });
});

describe('what a store says of a clock', () => {
  it('is asked for once in a run, and only when something is overdue by a year', async () => {
    const lists = (originals: typeof recent) => {
      const { world, lifecycle } = setUp(originals, 1);
      let count = 0;
      world.warm.before = (operation) => {
        if (operation === 'list') count++;
      };
      return lifecycle.run().then(() => count);
    };
    expect(await lists(recent)).toBe(1);
    expect(await lists([...ofLongAgo, ...recent])).toBe(2);
  });

  it('is not needed to keep what is due, when it cannot be had', async () => {
    const { world, lifecycle } = setUp(ofLongAgo, 1);
    let lists = 0;
    world.warm.before = (operation) => {
      if (operation === 'list' && lists++ > 0) throw new Error('no answer');
    };
    const running = lifecycle.run();
    for (let turn = 0; turn < 40; turn++) await world.clock.advance(1_000);
    expect(await running).toMatchObject({ deleted: { objects: 0 }, failed: { count: 2 } });
  });
});
