import { gunzipSync } from 'node:zlib';
import { SpanBatch } from '@otel-resilience/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HOUR, soon } from '../../../../test/support/archive.js';
import { ArchiveWriter } from '../object-store/archive-writer.js';
import { Lifecycle } from './lifecycle.js';
import {
  AGES,
  dying,
  type Hook,
  LifecycleWorld,
  makeOriginals,
  type Original,
  runInSteps,
  through,
} from './lifecycle-world.test-support.js';
import { copyData, copyIndex, MOVE_STEPS, type MoveStep, removeData, removeIndex } from './steps.js';

const originals = await makeOriginals([0, 2, 4, 5, 6, 7, 8, 9, 11], ['a', 'b']);
const ofOneService: Original[] = originals.filter(({ key }) => key.includes('/a/'));

const kill = fc.record({ at: fc.nat(120), when: fc.constantFrom('before' as const, 'after' as const) });
const damage = fc.constantFrom(
  'none' as const,
  'none' as const,
  'index missing' as const,
  'index damaged' as const,
  'index of another' as const,
);
const scenario = fc.record({
  stores: fc.constantFrom(1 as const, 2 as const),
  objects: fc.array(fc.record({ original: fc.nat(originals.length - 1), damage }), { minLength: 1, maxLength: 8 }),
  /** Runs that are killed, each some time after the one before. */
  runs: fc.array(fc.record({ kill, waitHours: fc.constantFrom(0, 0, 1, 3) }), { maxLength: 4 }),
  waitHours: fc.constantFrom(0, 1, 2, 5),
  concurrency: fc.integer({ min: 1, max: 4 }),
});
type Scenario = typeof scenario extends fc.Arbitrary<infer T> ? T : never;

function makeWorld({ stores, objects }: Pick<Scenario, 'stores' | 'objects'>): LifecycleWorld {
  const chosen = new Map(objects.map(({ original, damage: how }) => [originals[original]!, how]));
  const world = new LifecycleWorld([...chosen.keys()], { stores });
  const { warm } = world;
  for (const [{ indexKey, index }, how] of chosen) {
    if (how === 'index missing') warm.objects.delete(indexKey);
    if (how === 'index damaged') warm.objects.get(indexKey)!.bytes = Buffer.from(index).fill(0, 40, 60);
    if (how === 'index of another') warm.objects.get(indexKey)!.bytes = originals[0]!.index;
  }
  return world;
}

function makeLifecycle(world: LifecycleWorld, hook: Hook, concurrency = 2): Lifecycle {
  const warm = through(world.warm, hook);
  const cold = world.cold === world.warm ? warm : through(world.cold, hook);
  return new Lifecycle({ warm, cold, ...AGES, concurrency, clock: world.clock });
}

const nothing: Hook = () => {};

describe('a lifecycle that is killed before or after anything it does', () => {
  it('loses nothing that is not due at any moment, and the next run brings everything to its place', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async ({ runs, waitHours, concurrency, ...made }) => {
        const world = makeWorld(made);
        world.look();
        expect(world.losses).toEqual([]);
        for (const {
          kill: { at, when },
          waitHours: hours,
        } of runs) {
          await world.clock.advance(hours * HOUR);
          const hook = dying(at, when);
          const report = await makeLifecycle(world, hook, concurrency).run();
          expect(report.complete).toBe(!hook.isDead());
        }
        await world.clock.advance(waitHours * HOUR);
        const report = await makeLifecycle(world, nothing, concurrency).run();
        expect(report).toMatchObject({ complete: true, failed: { count: 0 }, damaged: { count: 0 } });
        world.expectAllInPlace();
        const again = await makeLifecycle(world, nothing).run();
        const none = { objects: 0, bytes: 0 };
        expect(again).toMatchObject({ complete: true, moved: none, deleted: none, repaired: none, orphans: 0 });
      }),
      { numRuns: 300 },
    );
  });

  it('so at every single operation of one run', async () => {
    for (const stores of [1, 2] as const) {
      for (const when of ['before', 'after'] as const) {
        for (let at = 0; ; at++) {
          const world = new LifecycleWorld(ofOneService, { stores });
          const hook = dying(at, when);
          await makeLifecycle(world, hook).run();
          await makeLifecycle(world, nothing).run();
          world.expectAllInPlace();
          if (!hook.isDead()) break;
        }
      }
    }
  });
});

describe('two lifecycles over the same stores', () => {
  it('lose nothing that is not due, whatever comes first, also when one of them is killed', async () => {
    const arbitrary = fc.record({
      ...{ stores: fc.constantFrom(1 as const, 2 as const) },
      objects: fc.array(fc.record({ original: fc.nat(originals.length - 1), damage }), { minLength: 1, maxLength: 3 }),
      kill: fc.option(kill, { nil: undefined }),
    });
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), arbitrary, async (scheduler, { kill: killed, ...made }) => {
        const world = makeWorld(made);
        const dies = killed && dying(killed.at, killed.when);
        const turn = () => scheduler.schedule(Promise.resolve());
        const one = makeLifecycle(world, async (when, ...about) => {
          await turn();
          await dies?.(when, ...about);
        });
        const other = makeLifecycle(world, turn);
        const [first, second] = await scheduler.waitFor(Promise.all([one.run(), other.run()]));
        expect(world.losses).toEqual([]);
        // Who comes second finds nothing wrong.
        if (!dies?.isDead()) expect(first).toMatchObject({ complete: true, failed: { errors: [] } });
        expect(second).toMatchObject({ complete: true, failed: { errors: [] } });
        const report = await makeLifecycle(world, nothing).run();
        expect(report).toMatchObject({ complete: true, failed: { count: 0 } });
        world.expectAllInPlace();
      }),
      { numRuns: 200 },
    );
  });
});

describe('a lifecycle and a writer that sends again what it has sent', () => {
  it('lose nothing, and the next run brings everything to its place', async () => {
    const arbitrary = fc.record({
      stores: fc.constantFrom(1 as const, 2 as const),
      objects: fc.array(fc.record({ original: fc.nat(originals.length - 1), damage }), { minLength: 1, maxLength: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), arbitrary, async (scheduler, made) => {
        const world = makeWorld(made);
        const turn = () => scheduler.schedule(Promise.resolve());
        const writer = new ArchiveWriter({ store: through(world.warm, turn) });
        const writing = world.originals.map(async ({ data }) => {
          const batch = SpanBatch.fromBytes([gunzipSync(data)]);
          expect(await writer.exportBatch(batch, soon())).toMatchObject({ delivered: 2 });
        });
        const lifecycle = makeLifecycle(world, turn);
        await scheduler.waitFor(Promise.all([lifecycle.run(), ...writing]));
        expect(world.losses).toEqual([]);
        const report = await makeLifecycle(world, nothing).run();
        expect(report).toMatchObject({ complete: true, failed: { count: 0 } });
        world.expectAllInPlace();
      }),
      { numRuns: 100 },
    );
  });
});

describe('a lifecycle that does it in another order', () => {
  const survives = async (steps: readonly MoveStep[]): Promise<void> => {
    for (let at = 0; ; at++) {
      const world = new LifecycleWorld(ofOneService, { stores: 2 });
      const hook = dying(at, 'before');
      await runInSteps(makeLifecycle(world, hook, 1), steps);
      await makeLifecycle(world, nothing).run();
      world.expectAllInPlace();
      if (!hook.isDead()) return;
    }
  };
  it('is found out', async () => {
    await survives(MOVE_STEPS);
    await expect(survives([removeData, copyData, copyIndex, removeIndex])).rejects.toThrow();
    await expect(survives([copyData, removeData, copyIndex, removeIndex])).rejects.toThrow();
    await expect(survives([copyData, removeData, removeIndex])).rejects.toThrow();
    await expect(survives([copyIndex, removeData, removeIndex])).rejects.toThrow();
  });
});
