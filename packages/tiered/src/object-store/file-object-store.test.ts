import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FileSystem } from '@otel-resilience/core';
import { FaultyDisk, VirtualClock } from '@otel-resilience/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MemoryObjectStore } from '../../../../test/support/memory-object-store.js';
import { collect, describeObjectStore } from '../../../../test/support/object-store-contract.js';
import { nodeFileSystem } from '../spool/node-file-system.js';
import { FileObjectStore } from './file-object-store.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'objects-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const value = [Buffer.from('value')];
const failing = (code: string) => Promise.reject(Object.assign(new Error(`${code}: as told`), { code }));
const filesUnder = (path: string): string[] =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1));

describeObjectStore('FileObjectStore', {
  makeStore: () => new FileObjectStore({ directory: join(folder, 'made', 'here') }),
  archives: false,
});
describeObjectStore('MemoryObjectStore', { makeStore: () => new MemoryObjectStore(), archives: true });

describe('FileObjectStore', () => {
  it('makes files 0600 in directories 0700, and leaves no empty directory and no draft behind', async () => {
    const directory = join(folder, 'store');
    const store = new FileObjectStore({ directory });
    await store.put('a/b/c.gz', value);
    expect(filesUnder(directory)).toEqual(['STANDARD/a/b/c.gz']);
    expect(statSync(join(directory, 'STANDARD/a/b/c.gz')).mode & 0o777).toBe(0o600);
    for (const path of ['.', 'STANDARD', 'STANDARD/a/b'])
      expect(statSync(join(directory, path)).mode & 0o777).toBe(0o700);
    await store.remove('a/b/c.gz');
    expect(readdirSync(directory)).toEqual([]);
    await store.put('a/b/c.gz', value);
    expect(filesUnder(directory)).toEqual(['STANDARD/a/b/c.gz']);
  });

  it('removes and moves all objects of a directory at the same time, in whatever order that happens', async () => {
    for (let seed = 0; seed < 50; seed++) {
      const store = new FileObjectStore({ directory: '/store', fileSystem: new FaultyDisk({ seed }) });
      const keys = Array.from({ length: 6 }, (_, index) => `a/b/${index}`);
      await Promise.all(keys.map((key) => store.put(key, value)));
      await Promise.all(keys.slice(1).map((key) => store.changeStorageClass(key, 'GLACIER')));
      await Promise.all([...keys.map((key) => store.remove(key)), store.remove('a/b/none')]);
      expect(await collect(store.list(''))).toEqual([]);
      expect(store.status()).toMatchObject({ state: 'ready', failures: 0 });
    }
  });

  it('never follows a key out of its directory', async () => {
    const store = new FileObjectStore({ directory: join(folder, 'store') });
    writeFileSync(join(folder, 'secret'), 'secret');
    for (const key of ['../secret', '..', 'a/../../../secret', '%2e%2e/secret']) {
      await expect(store.get(key, { maxBytes: 100 })).rejects.toMatchObject({ code: 'INVALID_KEY' });
      await expect(store.put(key, value)).rejects.toMatchObject({ code: 'INVALID_KEY' });
    }
    expect(readFileSync(join(folder, 'secret'), 'utf8')).toBe('secret');
  });

  it('leaves alone and reports what is none of its objects', async () => {
    const store = new FileObjectStore({ directory: folder });
    await store.put('a/b', value);
    writeFileSync(join(folder, 'README'), '');
    writeFileSync(join(folder, 'STANDARD', 'a', '.DS_Store'), '');
    writeFileSync(join(folder, 'STANDARD', 'with space'), '');
    expect((await collect(store.list(''))).map(({ key }) => key)).toEqual(['a/b']);
    expect(store.status().foreign).toEqual({
      count: 3,
      names: expect.arrayContaining(['README', 'STANDARD/a/.DS_Store', 'STANDARD/with space']),
    });
    await store.remove('a/b');
    expect(filesUnder(folder).sort()).toEqual(['README', 'STANDARD/a/.DS_Store', 'STANDARD/with space']);
  });

  it('removes a draft whose writer is gone, and no other', async () => {
    const clock = new VirtualClock();
    const store = new FileObjectStore({ directory: folder, clock });
    mkdirSync(join(folder, 'STANDARD'));
    const draft = join(folder, 'STANDARD', `.put-${clock.wallTime().toString(36)}-0123`);
    writeFileSync(draft, 'half');
    await collect(store.list(''));
    expect(existsSync(draft)).toBe(true);
    clock.jumpWallTime(25 * 3_600_000);
    expect(await collect(store.list(''))).toEqual([]);
    expect(existsSync(draft)).toBe(false);
    expect(store.status().foreign.count).toBe(0);
  });

  it('has the old bytes or the new ones, never a part, and no draft, when anything fails', async () => {
    for (const step of ['open', 'write', 'sync', 'rename', 'syncDirectory'] as const) {
      let broken = false;
      const fileSystem: FileSystem = {
        ...nodeFileSystem,
        rename: (from, to) => (broken && step === 'rename' ? failing('EIO') : nodeFileSystem.rename(from, to)),
        syncDirectory: (path) =>
          broken && step === 'syncDirectory' ? failing('EIO') : nodeFileSystem.syncDirectory(path),
        open: async (path, how) => {
          if (broken && step === 'open' && how === 'create') return failing('ENOSPC');
          const file = await nodeFileSystem.open(path, how);
          return {
            size: () => file.size(),
            read: (into, at) => file.read(into, at),
            truncate: (length) => file.truncate(length),
            close: () => file.close(),
            sync: () => (broken && step === 'sync' ? failing('EIO') : file.sync()),
            // Short writes throughout.
            write: ([first], at) => (broken && at > 0 ? failing('ENOSPC') : file.write([first!.subarray(0, 3)], at)),
          };
        },
      };
      const directory = join(folder, step);
      const store = new FileObjectStore({ directory, fileSystem });
      await store.put('k', [Buffer.from('old '), Buffer.from('value')]);
      broken = true;
      const failure = { code: step === 'open' || step === 'write' ? 'FULL' : expect.any(String), failure: 'retryable' };
      await expect(store.put('k', [Buffer.from('new value')])).rejects.toMatchObject(failure);
      expect(store.status()).toMatchObject({ state: 'failing', failures: 1, error: expect.stringContaining('put k') });
      broken = false;
      expect(['old value', 'new value']).toContain(Buffer.from(await store.get('k', { maxBytes: 100 })).toString());
      expect(filesUnder(directory)).toEqual(['STANDARD/k']);
      expect(store.status()).toMatchObject({ state: 'ready', failures: 0 });
    }
  });

  it('copies and compares where a class lies on another device', async () => {
    const fileSystem: FileSystem = {
      ...nodeFileSystem,
      rename: (from, to) =>
        from.includes('/STANDARD/') && to.includes('/GLACIER/') ? failing('EXDEV') : nodeFileSystem.rename(from, to),
    };
    const store = new FileObjectStore({ directory: folder, fileSystem });
    await store.put('a/k', value);
    expect(await store.changeStorageClass('a/k', 'GLACIER')).toMatchObject({ storageClass: 'GLACIER', bytes: 5 });
    expect(filesUnder(folder)).toEqual(['GLACIER/a/k']);
  });

  it('finishes a move that a crash has left with two copies', async () => {
    const store = new FileObjectStore({ directory: folder });
    await store.put('k', value);
    mkdirSync(join(folder, 'GLACIER'));
    writeFileSync(join(folder, 'GLACIER', 'k'), 'value');
    expect(await collect(store.list(''))).toHaveLength(1);
    await store.changeStorageClass('k', 'GLACIER');
    expect(filesUnder(folder)).toEqual(['GLACIER/k']);
  });

  it('lists what is moved meanwhile, and once', async () => {
    const store = new FileObjectStore({ directory: folder });
    const keys = ['a/1', 'a/2', 'b/1', 'b/2'];
    for (const key of keys) await store.put(key, value);
    const listed: string[] = [];
    for await (const { key } of store.list('', { pageSize: 1 })) {
      listed.push(key);
      for (const other of keys) await store.changeStorageClass(other, listed.length % 2 === 1 ? 'GLACIER' : 'STANDARD');
    }
    expect(listed).toEqual(keys);
  });

  it('does what concerns one key in the order it was asked', async () => {
    const store = new FileObjectStore({ directory: folder });
    const puts = Array.from({ length: 20 }, (_, i) => store.put('k', [Buffer.from(`${i}`)], { ifNoneMatch: true }));
    const results = await Promise.allSettled(puts);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(Buffer.from(await store.get('k', { maxBytes: 9 })).toString()).toBe('0');
  });

  it('makes directories again that somebody has removed', async () => {
    const store = new FileObjectStore({ directory: join(folder, 'store') });
    await store.put('a/b', value);
    rmSync(join(folder, 'store'), { recursive: true });
    await store.put('a/c', value);
    expect((await collect(store.list(''))).map(({ key }) => key)).toEqual(['a/c']);
  });

  it('moves into a directory that somebody removes before it has come', async () => {
    const disk = new FaultyDisk();
    const store = new FileObjectStore({ directory: '/store', fileSystem: disk });
    await store.put('a/k', value);
    let removals = 0;
    const fileSystem = new Proxy<FileSystem>(disk, {
      get: (target, name: keyof FileSystem) => async (from: string, to: string) => {
        if (name === 'rename' && removals++ === 0) await disk.removeDirectory('/store/GLACIER/a');
        return (target[name] as (...args: string[]) => unknown)(from, to);
      },
    });
    const other = new FileObjectStore({ directory: '/store', fileSystem });
    expect(await other.changeStorageClass('a/k', 'GLACIER')).toMatchObject({ storageClass: 'GLACIER' });
    expect(Buffer.from(await store.get('a/k', { maxBytes: 9 })).toString()).toBe('value');
  });

  it('says what is wrong with its directory: at open if it is required, else in its status, and tries again', async () => {
    const directory = join(folder, 'file');
    writeFileSync(directory, '');
    const required = new FileObjectStore({ directory, required: true });
    await expect(required.open()).rejects.toThrow(/cannot write to .*file/);
    const store = new FileObjectStore({ directory });
    await store.open();
    expect(store.status()).toMatchObject({ state: 'failing', location: `file://${directory}` });
    rmSync(directory);
    await store.open();
    expect(store.status()).toMatchObject({ state: 'ready' });
    expect(readdirSync(directory)).toEqual(['STANDARD']);
  });

  it('reports a link that leads to nothing instead of failing', async () => {
    const store = new FileObjectStore({ directory: folder });
    await store.put('k', value);
    symlinkSync('/nowhere/at-all', join(folder, 'STANDARD', 'link'));
    expect((await collect(store.list(''))).map(({ key }) => key)).toEqual(['k']);
  });

  it.runIf(process.getuid?.() !== 0)('reports a directory without permission', async () => {
    chmodSync(folder, 0o500);
    const store = new FileObjectStore({ directory: folder, required: true });
    await expect(store.open()).rejects.toMatchObject({ code: 'DENIED' });
  });

  it('refuses wrong options by name', () => {
    expect(() => new FileObjectStore({ directory: '' })).toThrow(/FileObjectStore\.directory/);
    expect(() => new FileObjectStore({ directory: 'x', storageClass: 'ICE' as 'GLACIER' })).toThrow(/storageClass/);
    expect(() => new FileObjectStore({ directory: 'x', path: 'y' } as never)).toThrow(/the unknown key path/);
  });
});
