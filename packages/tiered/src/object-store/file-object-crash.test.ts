import type { FileSystem } from '@otel-resilience/core';
import { FaultyDisk } from '@otel-resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collect } from '../../../../test/support/object-store-contract.js';
import { FileObjectStore } from './file-object-store.js';
import type { StorageClass } from './object-store.js';

type Step =
  | { readonly do: 'put'; readonly key: string; readonly value: string; readonly storageClass: StorageClass }
  | { readonly do: 'move'; readonly key: string; readonly storageClass: StorageClass }
  | { readonly do: 'remove'; readonly key: string };

const key = fc.constantFrom('a/x', 'a/y', 'b/c/z');
const storageClass = fc.constantFrom<StorageClass>('STANDARD', 'GLACIER', 'STANDARD_IA');
const value = fc
  .integer({ min: 1, max: 3 })
  .chain((n) => fc.constantFrom('old', 'new', 'third').map((text) => text.repeat(n * 300)));
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('put' as const), key, value, storageClass }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('move' as const), key, storageClass }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('remove' as const), key }) },
);
const scenario = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 8 }),
  crashAt: fc.nat(120),
  seed: fc.nat(2 ** 32 - 1),
  how: fc.constantFrom('some' as const, 'none' as const, 'all' as const),
});

/** What the store may say of each key: what was acknowledged last, or what was about to become of it. */
type Allowed = Map<string, Array<Held | undefined>>;

interface Held {
  readonly value: string;
  readonly storageClass: StorageClass;
}

function become(step: Step, held: Held | undefined): Held | undefined {
  if (step.do === 'remove' || (step.do === 'move' && !held)) return undefined;
  return { value: step.do === 'put' ? step.value : held!.value, storageClass: step.storageClass };
}

async function crash(
  { steps, crashAt, seed, how }: { steps: Step[]; crashAt: number; seed: number; how: 'some' | 'none' | 'all' },
  through: (disk: FaultyDisk) => FileSystem,
): Promise<{ disk: FaultyDisk; allowed: Allowed }> {
  const acknowledged = new Map<string, Held | undefined>();
  let open: Step | undefined;
  let operations = 0;
  let crashed: { disk: FaultyDisk; allowed: Allowed } | undefined;
  const look = (disk: FaultyDisk) => {
    const allowed: Allowed = new Map([...acknowledged].map(([one, held]) => [one, [held]]));
    if (open) {
      const before = acknowledged.get(open.key);
      const after = become(open, before);
      // Replaced where it lies, and then moved.
      const between = before && after && { ...after, storageClass: before.storageClass };
      allowed.set(open.key, [before, between, after]);
    }
    crashed = { disk: disk.crash({ keep: how }), allowed };
  };
  const disk = new FaultyDisk({
    seed,
    shortWrites: 0.2,
    onOperation: () => {
      if (operations++ === crashAt) look(disk);
    },
  });
  const store = new FileObjectStore({ directory: '/archive', fileSystem: through(disk) });
  for (const next of steps) {
    open = next;
    if (next.do === 'put') await store.put(next.key, [Buffer.from(next.value)], { storageClass: next.storageClass });
    else if (next.do === 'remove') await store.remove(next.key);
    else await store.changeStorageClass(next.key, next.storageClass).catch(() => {});
    acknowledged.set(next.key, become(next, acknowledged.get(next.key)));
    open = undefined;
  }
  expect(disk.openFiles).toBe(0);
  if (!crashed) look(disk);
  return crashed!;
}

async function check({ disk, allowed }: { disk: FaultyDisk; allowed: Allowed }): Promise<void> {
  const store = new FileObjectStore({ directory: '/archive', fileSystem: disk });
  const found = new Map<string, Held>();
  const listed = await collect(store.list(''));
  for (const { key: one, bytes, storageClass } of listed) {
    const value = Buffer.from(await store.get(one, { maxBytes: 10_000 })).toString();
    found.set(one, { value, storageClass });
    expect(value.length).toBe(bytes);
  }
  expect(listed).toHaveLength(found.size);
  for (const [one, held] of allowed) expect(held).toContainEqual(found.get(one));
  for (const one of found.keys()) expect(allowed.has(one)).toBe(true);
  // And it goes on from there.
  for (const one of allowed.keys()) {
    await store.put(one, [Buffer.from('after')], { storageClass: 'DEEP_ARCHIVE' });
    expect(Buffer.from(await store.get(one, { maxBytes: 9 })).toString()).toBe('after');
    await store.remove(one);
    expect(await store.head(one)).toBeUndefined();
  }
}

const holds = (through: (disk: FaultyDisk) => FileSystem, numRuns: number) =>
  fc.assert(
    fc.asyncProperty(scenario, async (made) => check(await crash(made, through))),
    { numRuns },
  );

/** The disk, but for one call that does nothing. */
const without = (disk: FaultyDisk, skipped: 'sync' | 'syncDirectory'): FileSystem => ({
  makeDirectory: (path) => disk.makeDirectory(path),
  list: (path) => disk.list(path),
  rename: (from, to) => disk.rename(from, to),
  remove: (path) => disk.remove(path),
  removeDirectory: (path) => disk.removeDirectory(path),
  syncDirectory: (path) => (skipped === 'syncDirectory' ? Promise.resolve() : disk.syncDirectory(path)),
  open: async (path, how) => {
    const file = await disk.open(path, how);
    return {
      size: () => file.size(),
      read: (into, at) => file.read(into, at),
      write: (chunks, at) => file.write(chunks, at),
      truncate: (length) => file.truncate(length),
      close: () => file.close(),
      sync: () => (skipped === 'sync' ? Promise.resolve() : file.sync()),
    };
  },
});

describe('FileObjectStore on a machine that crashes at any moment', () => {
  it('has every object whole, as it was acknowledged last or as it was about to be, and each once', async () => {
    await holds((disk) => disk, 400);
  });

  it.each(['sync', 'syncDirectory'] as const)('would not, without %s', async (skipped) => {
    await expect(holds((disk) => without(disk, skipped), 2_000)).rejects.toThrow();
  });
});

it('an object that is said to exist survives the machine, also when who wrote it was killed before it knew', async () => {
  const value = [Buffer.from('value')];
  for (let at = 0, wasKilled = true; wasKilled; at++) {
    let killed: FaultyDisk | undefined;
    const first = new FaultyDisk({
      seed: 1,
      onOperation: ({ disk, when, operation }) => {
        if (disk === first && when === 'after' && operation.index === at) killed = disk.kill();
      },
    });
    await new FileObjectStore({ directory: '/store', fileSystem: first }).put('a/b/k', value);
    wasKilled = killed !== undefined;
    const store = new FileObjectStore({ directory: '/store', fileSystem: killed ?? first });
    const put = await store.put('a/b/k', value, { ifNoneMatch: true }).catch((error) => error.code);
    expect([undefined, 'EXISTS']).toContain(put);
    const fileSystem = (killed ?? first).crash({ keep: 'none' });
    const afterwards = new FileObjectStore({ directory: '/store', fileSystem });
    expect(await afterwards.head('a/b/k'), `killed at operation ${at}`).toMatchObject({ bytes: 5 });
  }
});
