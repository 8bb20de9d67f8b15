import { FaultyDisk, VirtualClock } from '@otel-resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NOON } from '../../../../test/support/archive.js';
import { collect } from '../../../../test/support/object-store-contract.js';
import { FileObjectStore } from '../object-store/file-object-store.js';
import { Lifecycle } from './lifecycle.js';
import { AGES, finish, makeOriginals, type Original } from './lifecycle-world.test-support.js';
import { placeFor } from './place.js';

const originals = await makeOriginals([0, 3, 5, 6, 9], ['a']);
const clock = new VirtualClock({ wallTime: NOON });
const maxBytes = 100_000;

type Stores = { readonly warm: FileObjectStore; readonly cold: FileObjectStore };
type How = 'one store' | 'one store, two devices' | 'two stores';

function makeStores(how: How, disk: FaultyDisk, coldDisk = disk): Stores {
  const warm = new FileObjectStore({ directory: '/warm', fileSystem: disk, clock });
  const cold = how === 'two stores' ? new FileObjectStore({ directory: '/cold', fileSystem: coldDisk, clock }) : warm;
  if (how === 'one store, two devices') {
    disk.fail({ operations: ['rename'], code: 'EXDEV', path: /^\/warm\/STANDARD\//, times: Number.POSITIVE_INFINITY });
  }
  return { warm, cold };
}

async function fill(disk: FaultyDisk): Promise<void> {
  const store = new FileObjectStore({ directory: '/warm', fileSystem: disk, clock });
  for (const { key, indexKey, data, index } of originals) {
    await store.put(key, [data]);
    await store.put(indexKey, [index]);
  }
}

const makeLifecycle = (stores: Stores, concurrency = 1) => new Lifecycle({ ...stores, ...AGES, concurrency, clock });
/** Retries wait. */
const run = (stores: Stores, concurrency = 1) => finish(clock, makeLifecycle(stores, concurrency).run());
const placeOf = ({ hourMillis }: Original) => placeFor(hourMillis, NOON, AGES);

async function holds({ key, data }: Original, store: FileObjectStore): Promise<boolean> {
  return (await store.head(key)) !== undefined && Buffer.from(await store.get(key, { maxBytes })).equals(data);
}

async function expectNothingLost({ warm, cold }: Stores): Promise<void> {
  for (const original of originals) {
    const isThere = (await holds(original, warm)) || (await holds(original, cold));
    if (placeOf(original) !== 'gone') expect(isThere, original.key).toBe(true);
  }
}

async function expectAllInPlace({ warm, cold }: Stores): Promise<void> {
  const expected = originals.flatMap((original) => {
    const place = placeOf(original);
    const store = place === 'warm' ? warm : cold;
    const dataClass = place === 'warm' ? 'STANDARD' : 'GLACIER';
    const both = [
      `${store.directory} STANDARD ${original.indexKey}`,
      `${store.directory} ${dataClass} ${original.key}`,
    ];
    return place === 'gone' ? [] : both;
  });
  const found: string[] = [];
  for (const store of new Set([warm, cold])) {
    for (const { key, storageClass } of await collect(store.list('traces/'))) {
      found.push(`${store.directory} ${storageClass} ${key}`);
    }
  }
  expect(found.sort()).toEqual(expected.sort());
  await expectNothingLost({ warm, cold });
}

describe('a lifecycle of directories, on a machine that crashes at any moment', () => {
  it('loses nothing, and the next run brings everything to its place', async () => {
    const scenario = fc.record({
      how: fc.constantFrom<How>('one store', 'one store, two devices', 'two stores'),
      crashAt: fc.nat(950),
      seed: fc.nat(2 ** 32 - 1),
      keep: fc.constantFrom('some' as const, 'none' as const, 'all' as const),
      concurrency: fc.constantFrom(1, 3),
    });
    await fc.assert(
      fc.asyncProperty(scenario, async ({ how, crashAt, seed, keep, concurrency }) => {
        let operations = Number.NEGATIVE_INFINITY;
        let crashed: FaultyDisk | undefined;
        const disk = new FaultyDisk({
          seed,
          shortWrites: 0.1,
          onOperation: () => {
            if (operations++ === crashAt) crashed = disk.crash({ keep });
          },
        });
        await fill(disk);
        const stores = makeStores(how, disk);
        operations = 0;
        expect(await run(stores, concurrency)).toMatchObject({ complete: true });
        await expectAllInPlace(stores);
        expect(disk.openFiles).toBe(0);
        const after = makeStores(how, crashed ?? disk.crash({ keep }));
        await expectNothingLost(after);
        expect(await run(after)).toMatchObject({ complete: true, damaged: { count: 0 } });
        await expectAllInPlace(after);
        expect(clock.pendingTimers).toBe(0);
      }),
      { numRuns: 80 },
    );
  });
});

describe('a lifecycle of directories', () => {
  it('leaves the source where it is while the other disk is full, deletes all the same, and goes on when there is room', async () => {
    const [disk, coldDisk] = [new FaultyDisk({ seed: 1 }), new FaultyDisk({ seed: 2 })];
    await fill(disk);
    const stores = makeStores('two stores', disk, coldDisk);
    coldDisk.capacityBytes = originals[0]!.data.byteLength + 10;
    const report = await run(stores);
    expect(report).toMatchObject({ complete: false, deleted: { objects: 1 }, moved: { objects: 0 } });
    expect(report.failed.count).toBe(2);
    expect(report.failed.errors[0]!.message).toMatch(/FULL.*nothing more can be written|ENOSPC/);
    await expectNothingLost(stores);
    expect(await collect(stores.warm.list('traces/'))).toHaveLength(8);
    coldDisk.capacityBytes = undefined;
    expect(await run(stores)).toMatchObject({ complete: true, moved: { objects: 2 } });
    await expectAllInPlace(stores);
  });

  it.each(['EIO', 'EACCES', 'EROFS'])('reports %s of either disk, and loses nothing', async (code) => {
    for (const path of [/^\/warm\//, /^\/cold\//]) {
      for (let after = 0; after < 60; after += 7) {
        const disk = new FaultyDisk({ seed: after });
        await fill(disk);
        const stores = makeStores('two stores', disk);
        disk.fail({ code, path, after, times: 3 });
        await run(stores);
        disk.heal();
        await expectNothingLost(stores);
        expect(await run(stores)).toMatchObject({ complete: true });
        await expectAllInPlace(stores);
      }
    }
  });

  it('finds out that warm and cold are the same place before it removes what it has "copied"', async () => {
    const disk = new FaultyDisk({ seed: 1 });
    await fill(disk);
    const { warm } = makeStores('one store', disk);
    const cold = new FileObjectStore({ directory: '/warm', fileSystem: disk, clock });
    const report = await run({ warm, cold });
    expect(report).toMatchObject({ complete: false, moved: { objects: 0 } });
    expect(report.failed.errors[0]!.message).toMatch(/warm and cold are the same place: file:\/\/\/warm/);
    await expectNothingLost({ warm, cold });
    expect((await collect(warm.list(''))).filter(({ key }) => !key.startsWith('traces/'))).toEqual([]);
  });
});
