import { describe, expect, it } from 'vitest';
import { HOUR } from '../../../../test/support/archive.js';
import type { MemoryObjectStore } from '../../../../test/support/memory-object-store.js';
import { decodeIndex, encodeIndex } from '../object-store/archive-index.js';
import { indexKeyOf } from '../object-store/archive-key.js';
import type { ObjectHead, ObjectStore } from '../object-store/object-store.js';
import { ObjectStoreError } from '../object-store/object-store-error.js';
import { RetryingObjectStore } from '../object-store/retrying-object-store.js';
import { Lifecycle } from './lifecycle.js';
import type { LifecycleOptions } from './lifecycle-options.js';
import type { LifecycleReport } from './lifecycle-report.js';
import { AGES, finish, LifecycleWorld, makeOriginals, type Original } from './lifecycle-world.test-support.js';

// One that is young, two for cold, one to be deleted.
const originals = await makeOriginals([1, 5, 6, 10], ['a']);
const find = (world: LifecycleWorld, place: string): Original[] =>
  world.originals.filter((original) => world.placeOf(original) === place);

const run = (world: LifecycleWorld, options: Partial<LifecycleOptions> = {}): Promise<LifecycleReport> => {
  const { warm, cold, clock } = world;
  return finish(clock, new Lifecycle({ warm, cold, ...AGES, clock, ...options }).run());
};

/** The store, with some methods of another one. */
const lying = (store: MemoryObjectStore, lies: Partial<ObjectStore>): ObjectStore =>
  new Proxy<ObjectStore>(store, {
    get: (target, name) => {
      const method = (lies as Record<string | symbol, unknown>)[name] ?? Reflect.get(target, name);
      return typeof method === 'function' ? method.bind(target) : method;
    },
  });

describe('a store that lies', () => {
  const liedTo = async (lies: (cold: MemoryObjectStore) => Partial<ObjectStore>) => {
    const world = new LifecycleWorld(originals, { stores: 2 });
    const report = await run(world, { cold: lying(world.cold, lies(world.cold)) });
    expect(report).toMatchObject({ complete: false, moved: { objects: 0 }, deleted: { objects: 1 } });
    expect(report.failed).toMatchObject({ count: 2, errors: [{ message: expect.stringMatching(/not what/) }, {}] });
    for (const original of find(world, 'cold')) expect(world.warm.objects.has(original.key)).toBe(true);
    expect(await run(world)).toMatchObject({ complete: true, moved: { objects: 2 } });
    world.expectAllInPlace();
  };

  it('about what it has put: the source stays', async () => {
    await liedTo((cold) => ({
      put: (key, [bytes], options) => cold.put(key, bytes ? [bytes.subarray(1)] : [], options),
    }));
    await liedTo((cold) => ({
      put: (key, chunks, options) =>
        cold.put(
          key,
          chunks.map((chunk) => Buffer.alloc(chunk.byteLength)),
          options,
        ),
    }));
  });

  it.each<[string, (head: ObjectHead) => ObjectHead]>([
    ['size', (head) => ({ ...head, bytes: head.bytes + 1 })],
    ['checksum', (head) => ({ ...head, crc32: 1 })],
  ])('about the %s of a copy: the source stays', async (_, lie) => {
    await liedTo((cold) => ({
      head: async (key, options) => {
        const head = await cold.head(key, options);
        return head && lie(head);
      },
    }));
  });

  it('about the checksum of a source: nothing is lost', async () => {
    const world = new LifecycleWorld(originals, { stores: 2 });
    const { warm } = world;
    const head: ObjectStore['head'] = async (key, options) => {
      const found = await warm.head(key, options);
      return found && { ...found, crc32: 1 };
    };
    expect(await run(world, { warm: lying(warm, { head }) })).toMatchObject({ moved: { objects: 0 } });
    expect(world.losses).toEqual([]);
    await run(world);
    world.expectAllInPlace();
  });

  it('by knowing no checksum: what cannot be read back is put as what can be first', async () => {
    const world = new LifecycleWorld(originals, { stores: 2 });
    const { cold } = world;
    const withoutChecksum = lying(cold, { head: (key) => MemoryHead(cold, key) });
    expect(await run(world, { cold: withoutChecksum })).toMatchObject({ complete: true, moved: { objects: 2 } });
    world.expectAllInPlace();
  });
});

const MemoryHead = (store: MemoryObjectStore, key: string) => store.head(key, { checksum: false });

describe('a store that fails', () => {
  it.each(['THROTTLED', 'UNAVAILABLE', 'DEADLINE_EXCEEDED', 'DENIED', 'FULL'] as const)(
    'with %s is tried again, and left alone until the next run when it goes on',
    async (code) => {
      const world = new LifecycleWorld(manyOriginals(25), { stores: 2 });
      const { warm, cold } = world;
      for (const store of [warm, cold])
        for (const operation of ['put', 'head', 'list'] as const) store.failNext(operation, code, 3);
      expect(await run(world)).toMatchObject({ complete: true, moved: { objects: 25 }, failed: { count: 0 } });
      world.expectAllInPlace();

      const again = new LifecycleWorld(world.originals, { stores: 2 });
      again.cold.before = (operation, key) => {
        if (operation === 'put' && key.startsWith('traces/')) throw new ObjectStoreError(code, `put ${key}: as told`);
      };
      const report = await run(again);
      expect(report).toMatchObject({ complete: false, moved: { objects: 0 } });
      expect(report.failed.count).toBeGreaterThanOrEqual(10);
      expect(report.failed.count).toBeLessThan(20);
      expect(report.failed.errors[0]!.message).toContain(code);
      expect(again.losses).toEqual([]);
      again.cold.before = () => {};
      expect(await run(again)).toMatchObject({ complete: true, moved: { objects: 25 } });
      again.expectAllInPlace();
    },
  );

  it('is tried as often as you say, if it is a RetryingObjectStore', async () => {
    for (const [store, calls] of [
      [(warm: MemoryObjectStore) => warm, 4],
      [(warm: MemoryObjectStore) => new RetryingObjectStore({ store: warm, maxRetries: 1 }), 2],
    ] as const) {
      const world = new LifecycleWorld(originals, { stores: 1 });
      world.warm.failNext('list', 'UNAVAILABLE', Number.POSITIVE_INFINITY);
      const warm = store(world.warm);
      await run(world, { warm, cold: warm });
      expect(world.warm.calls).toHaveLength(calls);
    }
  });

  it('in its list is reported, and the other one is seen to', async () => {
    const world = new LifecycleWorld(originals, { stores: 2 });
    world.cold.failNext('list', 'NO_BUCKET', Number.POSITIVE_INFINITY);
    const report = await run(world);
    expect(report).toMatchObject({ complete: false, deleted: { objects: 1 } });
    expect(report.failed.errors[0]).toEqual({ key: 'traces/', message: expect.stringContaining('NO_BUCKET') });
  });

  it('when the first thing is put into it has nothing moved to it', async () => {
    const world = new LifecycleWorld(manyOriginals(25), { stores: 2 });
    world.cold.failNext('put', 'DENIED', Number.POSITIVE_INFINITY);
    expect((await run(world, { concurrency: 2 })).failed.count).toBe(2);
    expect(world.losses).toEqual([]);
  });

  it('and has been shut down is not asked again', async () => {
    const world = new LifecycleWorld(originals, { stores: 2 });
    await world.warm.shutdown();
    expect(await run(world)).toMatchObject({ complete: false, failed: { count: 1 } });
  });
});

/** For cold; the same one under many services. */
function manyOriginals(count: number): Original[] {
  const original = originals[1]!;
  return Array.from({ length: count }, (_, i) => {
    const key = original.key.replace('/a/', `/service-${i}/`);
    return { ...original, key, indexKey: indexKeyOf(key) };
  });
}

describe('an object', () => {
  it.each([1, 2] as const)(
    'that is damaged stays, is reported, and is deleted when its time comes (%i stores)',
    async (stores) => {
      const world = new LifecycleWorld(originals, { stores });
      const [{ key, indexKey }, other] = find(world, 'cold') as [Original, Original];
      const { warm } = world;
      warm.objects.get(key)!.bytes[30]! ^= 1;
      const damage = warm.objects.get(key)!.bytes.slice();
      const report = await run(world);
      expect(report).toMatchObject({ moved: { objects: 1 }, failed: { count: 0 }, damaged: { count: 1, keys: [key] } });
      expect(warm.objects.get(key)).toMatchObject({ bytes: damage, storageClass: 'STANDARD' });
      expect(warm.objects.has(indexKey)).toBe(true);
      expect(world.cold.objects.get(other.key)!.storageClass).toBe('GLACIER');
      await world.clock.advance(4 * HOUR);
      expect(await run(world)).toMatchObject({ complete: true, damaged: { count: 0 } });
      expect([...warm.keys, ...world.cold.keys].filter((each) => each === key || each === indexKey)).toEqual([]);
      await run(world);
    },
  );

  it('that was damaged after it had been copied is removed, since the copy is whole', async () => {
    const world = new LifecycleWorld(originals, { stores: 2 });
    const [{ key, indexKey, data, index }] = find(world, 'cold') as [Original];
    await world.cold.put(key, [data], { storageClass: 'GLACIER' });
    await world.cold.put(indexKey, [index]);
    world.warm.objects.get(key)!.bytes[30]! ^= 1;
    expect(await run(world)).toMatchObject({ complete: true, moved: { objects: 2 }, damaged: { count: 0 } });
    world.expectAllInPlace();
  });

  it('that is damaged in both places is left in both', async () => {
    const world = new LifecycleWorld(originals, { stores: 2 });
    const [{ key, indexKey, data, index }] = find(world, 'cold') as [Original];
    const { warm, cold } = world;
    for (const byte of [30, 31]) {
      const damaged = Buffer.from(data);
      damaged[byte]! ^= 1;
      await (byte === 30 ? warm : cold).put(key, [damaged], { storageClass: byte === 30 ? 'STANDARD' : 'GLACIER' });
    }
    await cold.put(indexKey, [index]);
    expect(await run(world)).toMatchObject({ moved: { objects: 1 }, damaged: { count: 1, keys: [key] } });
    expect([warm.objects.has(key), cold.objects.has(key)]).toEqual([true, true]);
  });

  it('that is whole replaces a copy that is not', async () => {
    const world = new LifecycleWorld(originals, { stores: 2 });
    const [{ key, indexKey, data }] = find(world, 'cold') as [Original];
    await world.cold.put(key, [data.subarray(5)], { storageClass: 'GLACIER' });
    await world.cold.put(indexKey, [Buffer.from('half')]);
    expect(await run(world)).toMatchObject({ complete: true, moved: { objects: 2 }, damaged: { count: 0 } });
    world.expectAllInPlace();
  });

  it.each([1, 2] as const)(
    'whose index is missing or wrong gets a new one before it is archived (%i stores)',
    async (stores) => {
      for (const wrong of ['missing', 'damaged', 'of other data', 'archived', 'too large'] as const) {
        const world = new LifecycleWorld(originals, { stores });
        const [{ indexKey, index }] = find(world, 'cold') as [Original];
        const stored = world.warm.objects.get(indexKey)!;
        if (wrong === 'missing') world.warm.objects.delete(indexKey);
        if (wrong === 'damaged') stored.bytes = stored.bytes.slice(0, 50);
        if (wrong === 'of other data') stored.bytes = encodeIndex({ ...decodeIndex(index)!, crc32: 7 });
        if (wrong === 'archived') stored.storageClass = 'DEEP_ARCHIVE';
        if (wrong === 'too large') stored.bytes = Buffer.alloc(9 * 1024 * 1024);
        const report = await run(world);
        expect(report).toMatchObject({ complete: true, moved: { objects: 2 }, repaired: { objects: 1 } });
        world.expectAllInPlace();
      }
    },
  );

  it('that lies archived in warm stays there, until it is deleted', async () => {
    const world = new LifecycleWorld(originals, { stores: 2 });
    const [{ key }] = find(world, 'cold') as [Original];
    world.warm.objects.get(key)!.storageClass = 'DEEP_ARCHIVE';
    const report = await run(world);
    expect(report).toMatchObject({ complete: true, moved: { objects: 1 }, failed: { count: 0 } });
    expect(world.warm.objects.get(key)!.storageClass).toBe('DEEP_ARCHIVE');
    await world.clock.advance(4 * HOUR);
    await run(world);
    expect(world.warm.objects.has(key)).toBe(false);
  });

  it('of another archive class is cold already', async () => {
    const world = new LifecycleWorld(originals, { stores: 1 });
    const [{ key }] = find(world, 'cold') as [Original];
    world.warm.objects.get(key)!.storageClass = 'DEEP_ARCHIVE';
    expect(await run(world)).toMatchObject({ complete: true, moved: { objects: 1 }, failed: { count: 0 } });
    expect(world.warm.objects.get(key)!.storageClass).toBe('DEEP_ARCHIVE');
  });
});

describe('what lies beside the objects', () => {
  it('is removed where it is an index without data, and kept where it is the only one of what is in cold', async () => {
    const world = new LifecycleWorld(originals, { stores: 2 });
    const [moved, gone] = find(world, 'cold') as [Original, Original];
    const { warm, cold } = world;
    warm.objects.delete(gone.key);
    warm.objects.delete(moved.key);
    await cold.put(moved.key, [moved.data], { storageClass: 'GLACIER' });
    await cold.put(gone.indexKey, [gone.index]);
    // In cold a list goes as far as what is to be deleted.
    await world.clock.advance(HOUR);
    const report = await run(world);
    expect(report).toMatchObject({ complete: true, orphans: 2, deleted: { objects: 1 } });
    expect(warm.keys.some((key) => key === moved.indexKey || key === gone.indexKey)).toBe(false);
    expect(world.hasFittingIndex(cold, moved)).toBe(true);
  });

  it('is put back where the data came back while it was removed', async () => {
    const world = new LifecycleWorld(originals, { stores: 2 });
    const [{ key, indexKey, data }] = find(world, 'cold') as [Original];
    const { warm } = world;
    warm.objects.delete(key);
    warm.before = (operation, removed) => {
      if (operation === 'remove' && removed === indexKey) world.put(warm, key, data);
    };
    expect(await run(world)).toMatchObject({ complete: true, orphans: 0 });
    expect(warm.objects.has(indexKey)).toBe(true);
    warm.before = () => {};
    expect(await run(world)).toMatchObject({ complete: true, orphans: 0, repaired: { objects: 0 } });
    world.losses.length = 0;
    world.expectAllInPlace();
  });

  it('is left alone, and counted, where it is none of an archive', async () => {
    const world = new LifecycleWorld(originals, { stores: 2 });
    const names = [
      'traces/2020-01-01/README',
      'traces/2020-01-01/08/a/not-an-id.otlp.gz',
      `traces/2020-02-31/08/a/${'0'.repeat(32)}.otlp.gz`,
      `traces/2020-01-01/25/a/${'0'.repeat(32)}.otlp.gz`,
      `traces/2020-01-01/08/${'0'.repeat(32)}.otlp.gz`,
      `traces/2020-01-01/08/a/b/${'0'.repeat(32)}.otlp.gz`,
    ];
    for (const name of [...names, 'other/2020-01-01']) world.put(world.warm, name, Buffer.from('x'));
    const report = await run(world);
    expect(report).toMatchObject({ complete: true, foreign: { count: 6, names: names.sort() } });
    world.expectAllInPlace([...names, 'other/2020-01-01']);
    for (const name of names) expect(world.warm.objects.has(name)).toBe(true);
  });
});

describe('ten thousand objects', () => {
  it('are moved a few at a time, from a list that is read as it is needed', async () => {
    const world = new LifecycleWorld(manyOriginals(10_000), { stores: 2 });
    const { warm, cold } = world;
    world.warm.after = world.cold.after = () => {};
    let [open, most, listed, removed, mostAhead] = [0, 0, 0, 0, 0];
    const streamed: ObjectStore['list'] = async function* (prefix, options) {
      for await (const object of warm.list(prefix, options)) {
        listed++;
        mostAhead = Math.max(mostAhead, listed - removed);
        yield object;
      }
    };
    cold.before = async (operation) => {
      if (operation !== 'put') return;
      most = Math.max(most, ++open);
      await Promise.resolve();
      open--;
    };
    warm.after = (operation) => {
      if (operation === 'remove') removed++;
    };
    const report = await run(world, { warm: lying(warm, { list: streamed }), concurrency: 3 });
    expect(report).toMatchObject({ complete: true, moved: { objects: 10_000, spans: 20_000 } });
    expect(most).toBeLessThanOrEqual(3);
    expect(mostAhead).toBeLessThanOrEqual(1_000 + 10);
    expect(cold.keys).toHaveLength(20_000);
    expect(report.damaged.keys.length + report.failed.errors.length).toBe(0);
  });
});

describe("a store of somebody's own", () => {
  it('that throws what is no error of a store does not get through', async () => {
    const world = new LifecycleWorld(originals, { stores: 2 });
    world.cold.before = () => {
      throw new TypeError('no such thing');
    };
    const report = await run(world);
    expect(report).toMatchObject({ complete: false, failed: { errors: [{ message: 'no such thing' }, {}, {}] } });
    world.cold.before = () => {
      throw undefined;
    };
    expect(await run(world)).toMatchObject({ complete: false });
    world.cold.before = () => {
      throw new ObjectStoreError('SHUTDOWN', 'gone');
    };
    expect(await run(world)).toMatchObject({ complete: false });
    expect(world.losses).toEqual([]);
  });
});
