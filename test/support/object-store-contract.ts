import { crc32 } from 'node:zlib';
import type { ListedObject, ObjectStore, StorageClass } from '@otel-resilience/tiered';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

export interface ObjectStoreContract {
  /** An empty one of its own for each test. */
  readonly makeStore: () => Promise<ObjectStore> | ObjectStore;
  /** Whether objects of the class GLACIER have to be restored. */
  readonly archives: boolean;
  readonly numRuns?: number;
}

export const collect = async (objects: AsyncIterable<ListedObject>): Promise<ListedObject[]> => {
  const all: ListedObject[] = [];
  for await (const object of objects) all.push(object);
  return all;
};

const text = (value: string): Uint8Array[] => [Buffer.from(value)];
const maxBytes = 1_000_000;

/** What every store does, so that those who use one need not know which. */
export function describeObjectStore(title: string, { makeStore, archives, numRuns = 30 }: ObjectStoreContract): void {
  describe(`${title}, as every ObjectStore`, () => {
    let store: ObjectStore;
    const read = async (key: string) => Buffer.from(await store.get(key, { maxBytes })).toString();
    const keysOf = async (prefix: string, options?: { startAfter?: string; pageSize?: number }) =>
      (await collect(store.list(prefix, options))).map(({ key }) => key);

    beforeEach(async () => {
      store = await makeStore();
    });
    afterEach(() => store.shutdown());

    it('gives back what was put, whatever chunks it came in', async () => {
      await store.open();
      await store.put('a/b.txt', [...text('one '), new Uint8Array(0), ...text('two')]);
      expect(await read('a/b.txt')).toBe('one two');
      await store.put('empty', []);
      expect(await read('empty')).toBe('');
      expect(store.status()).toMatchObject({ state: 'ready', failures: 0 });
    });

    it('says what it holds: size, class, checksum', async () => {
      const bytes = Buffer.alloc(100_000, 'x');
      await store.put('k', [bytes]);
      expect(await store.head('k', { checksum: true })).toEqual({
        key: 'k',
        bytes: 100_000,
        storageClass: 'STANDARD',
        restore: { state: 'readable' },
        crc32: crc32(bytes),
      });
      expect(await store.head('k2')).toBeUndefined();
      expect(await store.head('k/nothing')).toBeUndefined();
    });

    it('replaces, and with ifNoneMatch does not', async () => {
      await store.put('k', text('old'));
      await expect(store.put('k', text('new'), { ifNoneMatch: true })).rejects.toMatchObject({
        name: 'ObjectStoreError',
        code: 'EXISTS',
        failure: 'permanent',
      });
      expect(await read('k')).toBe('old');
      await store.put('k', text('new'));
      expect(await read('k')).toBe('new');
      await store.put('k2', text('first'), { ifNoneMatch: true });
      expect(await read('k2')).toBe('first');
    });

    it('reads no more than was declared', async () => {
      await store.put('k', text('12345'));
      expect(Buffer.from(await store.get('k', { maxBytes: 5 })).toString()).toBe('12345');
      await expect(store.get('k', { maxBytes: 4 })).rejects.toMatchObject({ code: 'TOO_LARGE', failure: 'permanent' });
    });

    it('says so when there is no such object, and removes what is not there', async () => {
      await expect(store.get('k', { maxBytes })).rejects.toMatchObject({ code: 'NOT_FOUND', failure: 'permanent' });
      await expect(store.changeStorageClass('k', 'STANDARD_IA')).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await expect(store.requestRestore('k')).rejects.toMatchObject({ code: 'NOT_FOUND' });
      // An answer all the same: the store is well.
      expect(store.status()).toMatchObject({ state: 'ready', failures: 0 });
      await store.remove('k');
      await store.put('k', text('x'));
      await store.remove('k');
      expect(await store.head('k')).toBeUndefined();
      await store.remove('k');
    });

    it('lists in the order of bytes, by prefix, from a key on, page by page', async () => {
      const keys = ['a/b', 'a.b', 'a-b/c', 'a/c/d', 'B', 'a/b.c', 'z'];
      for (const key of keys) await store.put(key, text(key));
      const sorted = [...keys].sort();
      expect(await keysOf('')).toEqual(sorted);
      expect(await keysOf('', { pageSize: 2 })).toEqual(sorted);
      expect(await keysOf('a/')).toEqual(['a/b', 'a/b.c', 'a/c/d']);
      expect(await keysOf('a')).toEqual(sorted.filter((key) => key.startsWith('a')));
      expect(await keysOf('a/c')).toEqual(['a/c/d']);
      expect(await keysOf('nothing')).toEqual([]);
      for (const startAfter of [...keys, 'a', 'a/b0', 'zz']) {
        expect(await keysOf('', { startAfter, pageSize: 3 })).toEqual(sorted.filter((key) => key > startAfter));
      }
      const [first] = await collect(store.list('B'));
      expect(first).toEqual({ key: 'B', bytes: 1, storageClass: 'STANDARD' });
    });

    it('lists any set of keys in order', async () => {
      const segment = fc.stringMatching(/^[a-c_-][a-c.!_-]{0,3}[a-c]$/);
      const key = fc.array(segment, { minLength: 1, maxLength: 3 }).map((segments) => segments.join('/'));
      const keySet = fc.uniqueArray(key, { maxLength: 12 }).map((keys) =>
        // No key is a directory of another one: a file system cannot have both.
        keys.filter((one) => !keys.some((other) => other.startsWith(`${one}/`))),
      );
      await fc.assert(
        fc.asyncProperty(
          keySet,
          fc.string({ maxLength: 1 }),
          fc.integer({ min: 1, max: 4 }),
          async (keys, after, size) => {
            for (const object of await collect(store.list(''))) await store.remove(object.key);
            for (const one of keys) await store.put(one, text('x'));
            const startAfter = after < '\u0080' ? after : '';
            const wanted = keys.filter((one) => one > startAfter).sort();
            expect(await keysOf('', { startAfter: startAfter || undefined, pageSize: size })).toEqual(wanted);
          },
        ),
        { numRuns },
      );
    });

    it.each([
      '',
      '/',
      'a//b',
      '../x',
      'a/../../x',
      './x',
      '/etc/passwd',
      'a\\b',
      'a\0',
      'a b',
      'ä',
      'con',
      'a/nul.txt',
      'x'.repeat(201),
    ])('takes no key that is none to every store: %j', async (key) => {
      const wrong = { code: 'INVALID_KEY', failure: 'permanent' };
      await expect(store.put(key, text('x'))).rejects.toMatchObject(wrong);
      await expect(store.get(key, { maxBytes })).rejects.toMatchObject(wrong);
      await expect(store.head(key)).rejects.toMatchObject(wrong);
      await expect(store.remove(key)).rejects.toMatchObject(wrong);
      await expect(store.changeStorageClass(key, 'STANDARD')).rejects.toMatchObject(wrong);
    });

    it('keeps the storage class, and changes it without touching a byte', async () => {
      await store.put('k', text('value'), { storageClass: 'STANDARD_IA' });
      expect(await store.head('k')).toMatchObject({ storageClass: 'STANDARD_IA' });
      const classes: StorageClass[] = ['STANDARD_IA', 'STANDARD', 'GLACIER_IR'];
      for (const storageClass of classes) {
        expect(await store.changeStorageClass('k', storageClass)).toMatchObject({ key: 'k', bytes: 5, storageClass });
        expect(await read('k')).toBe('value');
        expect(await collect(store.list(''))).toEqual([{ key: 'k', bytes: 5, storageClass }]);
      }
      await expect(store.put('k', text('x'), { ifNoneMatch: true })).rejects.toMatchObject({ code: 'EXISTS' });
      await store.put('k', text('other'), { storageClass: 'STANDARD' });
      expect(await collect(store.list(''))).toEqual([{ key: 'k', bytes: 5, storageClass: 'STANDARD' }]);
      expect(await read('k')).toBe('other');
    });

    it(archives ? 'reads what is archived once it has been restored' : 'reads what is archived', async () => {
      await store.put('k', text('value'));
      await store.changeStorageClass('k', 'GLACIER');
      const head = await store.head('k');
      expect(head).toMatchObject({ storageClass: 'GLACIER', bytes: 5 });
      if (!archives) {
        expect(await store.requestRestore('k')).toEqual({ state: 'readable' });
        expect(await read('k')).toBe('value');
        return;
      }
      expect(head!.restore).toEqual({ state: 'archived' });
      await expect(store.get('k', { maxBytes })).rejects.toMatchObject({ code: 'ARCHIVED', failure: 'permanent' });
      const status = await store.requestRestore('k', { days: 2 });
      expect(['restoring', 'restored']).toContain(status.state);
      expect(await store.requestRestore('k', { days: 2 })).toBeDefined();
    });

    it('ends by its deadline or signal, and after shutdown does nothing', async () => {
      await expect(store.put('k', text('x'), { deadline: 0 })).rejects.toMatchObject({
        code: 'DEADLINE_EXCEEDED',
        failure: 'retryable',
      });
      const reason = new Error('nobody waits');
      await expect(store.put('k', text('x'), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
      await store.shutdown();
      await expect(store.head('k')).rejects.toMatchObject({ code: 'SHUTDOWN', failure: 'shutdown' });
      await expect(collect(store.list(''))).rejects.toMatchObject({ code: 'SHUTDOWN' });
    });
  });
}
