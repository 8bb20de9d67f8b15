import type { FileSystem, OpenFile } from '@otel-resilience/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FaultyDisk, type FaultyDiskOptions } from './faulty-disk.js';
import type { Keep, PendingChange } from './survival.js';

const bytes = (length: number, value = 1) => new Uint8Array(length).fill(value);
const text = (words: string) => new TextEncoder().encode(words);

/** A directory that is durable, with a file in it that is not. */
async function withFile(options: FaultyDiskOptions = {}) {
  const disk = new FaultyDisk({ seed: 1, ...options });
  await disk.makeDirectory('/d');
  await disk.syncDirectory('/');
  return { disk, file: await disk.open('/d/f', 'create') };
}

const contents = (disk: FaultyDisk) =>
  Object.fromEntries([...disk.contents()].map(([path, bytes]) => [path, new TextDecoder().decode(bytes)]));

async function put(disk: FileSystem, path: string, words: string): Promise<void> {
  const file = await disk.open(path, 'create');
  await file.write([text(words)], 0);
  await file.sync();
  await file.close();
}

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'fine',
    (error: { code?: string }) => error.code,
  );

describe('FaultyDisk, until something happens', () => {
  it('reads what was written, before it is durable', async () => {
    const { disk, file } = await withFile();
    expect(await file.write([text('ab'), text('cde')], 0)).toBe(5);
    await file.write([text('X')], 1);
    const into = new Uint8Array(10);
    expect(await file.read(into, 1)).toBe(4);
    expect(new TextDecoder().decode(into.subarray(0, 4))).toBe('Xcde');
    expect(await file.read(into, 5)).toBe(0);
    await file.truncate(2);
    await file.write([text('!')], 3);
    expect(await file.size()).toBe(4);
    expect(contents(disk)).toEqual({ '/d/f': 'aX\0!' });
    expect([disk.usedBytes, disk.openFiles]).toEqual([4, 1]);
    await file.close();
    expect(disk.openFiles).toBe(0);
  });

  it('is a tree of directories, with the errors of node', async () => {
    const { disk, file } = await withFile();
    await disk.makeDirectory('/d/e/g');
    await put(disk, '/d/e/h', 'h');
    expect((await disk.list('/d')).sort()).toEqual(['e', 'f']);
    expect(await codeOf(disk.open('/d/f', 'create'))).toBe('EEXIST');
    expect(await codeOf(disk.open('/d/none', 'update'))).toBe('ENOENT');
    expect(await codeOf(disk.open('/none/f', 'create'))).toBe('ENOENT');
    expect(await codeOf(disk.open('/d/e', 'read'))).toBe('EISDIR');
    expect(await codeOf(disk.open('/d/f/x', 'create'))).toBe('ENOTDIR');
    expect(await codeOf(disk.makeDirectory('/d/f/x'))).toBe('ENOTDIR');
    expect(await codeOf(disk.list('/d/none'))).toBe('ENOENT');
    expect(await codeOf(disk.syncDirectory('/none'))).toBe('ENOENT');
    expect(await codeOf(disk.remove('/d/none'))).toBe('ENOENT');
    expect(await codeOf(disk.removeDirectory('/d/e'))).toBe('ENOTEMPTY');
    expect(await codeOf(disk.rename('/d/none', '/d/x'))).toBe('ENOENT');
    expect(await codeOf(disk.rename('/d/f', '/d/e'))).toBe('EISDIR');
    expect(await codeOf(disk.rename('/d/f', '/d'))).toBe('ENOTEMPTY');
    await disk.rename('/d/f', '/d/e/h');
    await file.write([text('moved')], 0);
    expect(contents(disk)).toEqual({ '/d/e/h': 'moved' });
    await disk.removeDirectory('/d/e/g');
    await disk.remove('/d/e/h');
    expect(await file.size()).toBe(5);
    await disk.removeDirectory('/d/e');
    expect(await disk.list('/d')).toEqual([]);
    await file.close();
    expect(await codeOf(file.size())).toBe('EBADF');
    await expect(disk.open('/d/f', 'read')).rejects.toMatchObject({
      message: "ENOENT: no such file or directory, open '/d/f'",
      syscall: 'open',
      path: '/d/f',
      errno: -2,
    });
  });

  it('lets nobody write through a handle for reading', async () => {
    const { disk } = await withFile();
    const file = await disk.open('/d/f', 'read');
    expect(await codeOf(file.write([bytes(1)], 0))).toBe('EBADF');
    expect(await codeOf(file.truncate(0))).toBe('EINVAL');
  });
});

describe('FaultyDisk after a crash', () => {
  it('has what was synced in a directory that was synced, and may have nothing else', async () => {
    const { disk, file } = await withFile();
    await file.write([text('durable')], 0);
    await file.sync();
    expect(contents(disk.crash({ keep: 'none' }))).toEqual({});
    await disk.syncDirectory('/d');
    await file.write([text(', and not')], 7);
    expect(contents(disk.crash({ keep: 'none' }))).toEqual({ '/d/f': 'durable' });
    expect(contents(disk.crash({ keep: 'all' }))).toEqual({ '/d/f': 'durable, and not' });
  });

  it('may lack a directory with all that is durable in it', async () => {
    const disk = new FaultyDisk({ seed: 1 });
    await disk.makeDirectory('/a/b');
    await put(disk, '/a/b/f', 'f');
    await disk.syncDirectory('/a/b');
    await disk.syncDirectory('/');
    expect(contents(disk.crash({ keep: 'none' }))).toEqual({});
    await disk.syncDirectory('/a');
    expect(contents(disk.crash({ keep: 'none' }))).toEqual({ '/a/b/f': 'f' });
  });

  it('may have a removed file again, and the old name of a renamed one or both, but never neither', async () => {
    const outcomes = async (change: (disk: FaultyDisk) => Promise<void>) => {
      const disk = new FaultyDisk({ seed: 7 });
      await disk.makeDirectory('/e');
      await put(disk, '/a', 'A');
      await put(disk, '/b', 'B');
      await disk.syncDirectory('/');
      await change(disk);
      return new Set(Array.from({ length: 200 }, () => JSON.stringify(contents(disk.crash()))));
    };
    const [both, onlyB, renamed, twice, moved, movedTwice] = [
      { '/a': 'A', '/b': 'B' },
      { '/b': 'B' },
      { '/b': 'A' },
      { '/a': 'A', '/b': 'A' },
      { '/b': 'B', '/e/a': 'A' },
      { '/a': 'A', '/b': 'B', '/e/a': 'A' },
    ].map((each) => JSON.stringify(each)) as [string, string, string, string, string, string];
    expect(await outcomes((disk) => disk.remove('/a'))).toEqual(new Set([both, onlyB]));
    expect(await outcomes((disk) => disk.rename('/a', '/b'))).toEqual(new Set([both, renamed, twice]));
    const sorted = (all: Set<string>) =>
      new Set([...all].map((each) => JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(each)).sort()))));
    const acrossDirectories = await outcomes((disk) => disk.rename('/a', '/e/a'));
    expect(sorted(acrossDirectories)).toEqual(new Set([both, moved, movedTwice]));
    const targetSynced = await outcomes(async (disk) => {
      await disk.rename('/a', '/e/a');
      await disk.syncDirectory('/e');
    });
    expect(sorted(targetSynced)).toEqual(new Set([moved, movedTwice]));
    const sourceSynced = await outcomes(async (disk) => {
      await disk.rename('/a', '/e/a');
      await disk.syncDirectory('/');
    });
    expect(sorted(sourceSynced)).toEqual(new Set([moved]));
  });

  it('leaves the same whether or not the process died before, also of a directory that was renamed', async () => {
    const disk = new FaultyDisk({ seed: 1 });
    await disk.makeDirectory('/d/a');
    await disk.rename('/d/a', '/a');
    await (await disk.open('/d/b', 'create')).close();
    const asked = (from: FaultyDisk) => {
      const changes: PendingChange[] = [];
      from.crash({ keep: (change) => changes.push(change) > 0 });
      return changes;
    };
    expect(asked(disk.kill())).toEqual(asked(disk));
    expect(asked(disk.kill().kill())).toEqual(asked(disk));
  });

  it('has a directory that was renamed at one of both names', async () => {
    const disk = new FaultyDisk({ seed: 7 });
    await disk.makeDirectory('/a/d');
    await disk.makeDirectory('/b');
    for (const path of ['/', '/a', '/a/d']) await disk.syncDirectory(path);
    await put(disk, '/a/d/f', 'f');
    await disk.syncDirectory('/a/d');
    await disk.rename('/a/d', '/b/d');
    const outcomes = () => new Set(Array.from({ length: 50 }, () => JSON.stringify(contents(disk.crash()))));
    expect(outcomes()).toEqual(new Set(['{"/a/d/f":"f"}', '{"/b/d/f":"f"}']));
    const killed = disk.kill();
    for (const [one, synced] of [
      [disk, '/a'],
      [killed, '/b'],
    ] as const) {
      await one.syncDirectory(synced);
      expect(contents(one.crash({ keep: 'none' }))).toEqual({ '/b/d/f': 'f' });
    }
  });

  it('has any of the sectors of a write, and any of the lengths that the file had', async () => {
    const { disk, file } = await withFile();
    await disk.syncDirectory('/d');
    await file.write([bytes(600)], 0);
    await file.sync();
    await file.write([bytes(1_000, 2)], 600);
    const sectorsKept = new Set<string>();
    const lengths = new Set<number>();
    for (let i = 0; i < 300; i++) {
      const found = disk.crash().contents().get('/d/f')!;
      expect(found.subarray(0, 600)).toEqual(bytes(600));
      lengths.add(found.length);
      if (found.length < 1_600) continue;
      const parts = [found.subarray(600, 1_024), found.subarray(1_024, 1_536), found.subarray(1_536)];
      sectorsKept.add(parts.map((part) => (part.every((byte) => byte === 2) ? 'x' : '.')).join(''));
      // Zeros or garbage, but no mixture with what was written.
      for (const part of parts) {
        expect(part.every((byte) => byte === 2) || part.filter((byte) => byte === 2).length < 20).toBe(true);
      }
    }
    expect([...lengths].sort((a, b) => a - b)).toEqual([600, 1_024, 1_536, 1_600]);
    expect([...sectorsKept].sort()).toEqual(['...', '..x', '.x.', '.xx', 'x..', 'x.x', 'xx.', 'xxx']);
  });

  it('has the end of a file that was cut off, or has not', async () => {
    const { disk, file } = await withFile();
    await disk.syncDirectory('/d');
    await file.write([text('long')], 0);
    await file.sync();
    await file.truncate(1);
    expect(new Set(Array.from({ length: 50 }, () => contents(disk.crash())['/d/f']))).toEqual(new Set(['l', 'long']));
    await file.sync();
    expect(contents(disk.crash())).toEqual({ '/d/f': 'l' });
  });

  it('keeps what a function keeps, and says what it lost', async () => {
    const { disk, file } = await withFile();
    await file.write([bytes(700)], 0);
    const seen: PendingChange[] = [];
    const after = disk.crash({
      keep: (change) => {
        seen.push(change);
        return change.kind !== 'data' || change.position === 0;
      },
    });
    expect(seen).toEqual([
      { kind: 'entry', path: '/d/f', present: true },
      { kind: 'data', path: '/d/f', position: 0, bytes: 512 },
      { kind: 'size', path: '/d/f', size: 512 },
      { kind: 'data', path: '/d/f', position: 512, bytes: 188 },
      { kind: 'size', path: '/d/f', size: 700 },
    ]);
    expect(after.lost).toEqual([seen[3]]);
    expect(after.contents().get('/d/f')).toEqual(new Uint8Array([...bytes(512), ...bytes(188, 0)]));
  });

  it('is durable, has no open file and no fault, and keeps its options', async () => {
    const { disk, file } = await withFile({ capacityBytes: 10 });
    await file.write([text('abc')], 0);
    disk.fail({ code: 'EIO', times: Number.POSITIVE_INFINITY });
    disk.readOnly = true;
    const after = disk.crash({ keep: 'all' });
    expect([after.openFiles, after.capacityBytes, after.seed, after.readOnly]).toEqual([0, 10, 1, false]);
    expect(contents(after.crash({ keep: 'none' }))).toEqual({ '/d/f': 'abc' });
  });

  it('is a disk of its own: the other one goes on', async () => {
    const { disk, file } = await withFile();
    await file.write([text('abc')], 0);
    const [crashed, killed] = [disk.crash({ keep: 'all' }), disk.kill()];
    await (await crashed.open('/d/f', 'update')).write([text('X')], 0);
    await (await killed.open('/d/f', 'update')).write([text('Y')], 0);
    await disk.rename('/d/f', '/d/g');
    expect([disk, crashed, killed].map(contents)).toEqual([{ '/d/g': 'abc' }, { '/d/f': 'Xbc' }, { '/d/f': 'Ybc' }]);
    expect([disk, crashed, killed].map(({ openFiles }) => openFiles)).toEqual([1, 1, 1]);
  });

  it('after a kill has everything, and no more of it durable than before', async () => {
    const { disk, file } = await withFile();
    await file.write([text('abc')], 0);
    const after = disk.kill();
    expect(contents(after)).toEqual({ '/d/f': 'abc' });
    expect(after.openFiles).toBe(0);
    await after.syncDirectory('/d');
    expect(contents(after.crash({ keep: 'none' }))).toEqual({ '/d/f': '' });
    const again = await after.open('/d/f', 'update');
    await again.sync();
    expect(contents(after.crash({ keep: 'none' }))).toEqual({ '/d/f': 'abc' });
  });
});

describe('a sync of FaultyDisk', () => {
  it('is bound to what was written before it was called', async () => {
    let late: OpenFile | undefined;
    const { disk, file } = await withFile({
      onOperation: async ({ when, operation }) => {
        if (when !== 'before' || !late || operation.kind !== 'sync') return;
        const writing = late;
        late = undefined;
        await writing.write([text('late')], 5);
      },
    });
    await disk.syncDirectory('/d');
    await file.write([text('early')], 0);
    late = file;
    await file.sync();
    expect(contents(disk)).toEqual({ '/d/f': 'earlylate' });
    expect(contents(disk.crash({ keep: 'none' }))).toEqual({ '/d/f': 'early' });
    await file.sync();
    expect(contents(disk.crash({ keep: 'none' }))).toEqual({ '/d/f': 'earlylate' });
  });

  it('that fails loses the pages: they can be read until the crash, and no later sync writes them', async () => {
    const { disk, file } = await withFile();
    await disk.syncDirectory('/d');
    await file.write([text('abc')], 0);
    disk.fail({ operations: ['sync'], code: 'EIO', keep: 'none' });
    expect(await codeOf(file.sync())).toBe('EIO');
    await file.sync();
    expect(contents(disk)).toEqual({ '/d/f': 'abc' });
    await file.write([text('d')], 3);
    await file.sync();
    expect(contents(disk.crash({ keep: 'all' }))).toEqual({ '/d/f': '\0\0\0d' });
    await file.write([text('abc')], 0);
    await file.sync();
    expect(contents(disk.crash({ keep: 'none' }))).toEqual({ '/d/f': 'abcd' });
  });

  it('of a directory that fails leaves its changes as they were', async () => {
    const { disk } = await withFile();
    disk.fail({ operations: ['syncDirectory'], code: 'EIO' });
    expect(await codeOf(disk.syncDirectory('/d'))).toBe('EIO');
    expect(contents(disk.crash({ keep: 'none' }))).toEqual({});
    await disk.syncDirectory('/d');
    expect(contents(disk.crash({ keep: 'none' }))).toEqual({ '/d/f': '' });
  });
});

describe('faults of FaultyDisk', () => {
  it.each<[string, (disk: FaultyDisk, file: OpenFile) => Promise<unknown>]>([
    ['makeDirectory', (disk) => disk.makeDirectory('/x')],
    ['list', (disk) => disk.list('/d')],
    ['create', (disk) => disk.open('/d/x', 'create')],
    ['open', (disk) => disk.open('/d/f', 'update')],
    ['rename', (disk) => disk.rename('/d/f', '/d/x')],
    ['remove', (disk) => disk.remove('/d/f')],
    ['removeDirectory', (disk) => disk.removeDirectory('/d')],
    ['syncDirectory', (disk) => disk.syncDirectory('/d')],
    ['size', (_, file) => file.size()],
    ['read', (_, file) => file.read(bytes(1), 0)],
    ['write', (_, file) => file.write([bytes(1)], 0)],
    ['sync', (_, file) => file.sync()],
    ['truncate', (_, file) => file.truncate(0)],
    ['close', (_, file) => file.close()],
  ])('hit %s, and nothing else', async (kind, call) => {
    const { disk, file } = await withFile();
    disk.fail({ operations: [kind as 'list'], code: 'ETEST', path: /^\/(d|x)/ });
    const before = disk.operations.length;
    await expect(call(disk, file)).rejects.toMatchObject({ code: 'ETEST' });
    expect(disk.operations.slice(before)).toMatchObject([{ index: before, kind, error: 'ETEST' }]);
    expect(await disk.list('/')).toEqual(['d']);
    expect(await disk.list('/d')).toEqual(['f']);
  });

  it('come after some, some times, on some paths, until they are healed', async () => {
    const { disk, file } = await withFile();
    const other = await disk.open('/d/g', 'create');
    disk.fail({ operations: ['sync'], code: 'EIO', after: 1, times: 2, path: /f$/ });
    const codes = [];
    for (let i = 0; i < 4; i++) codes.push(await codeOf(file.sync()), await codeOf(other.sync()));
    expect(codes).toEqual(['fine', 'fine', 'EIO', 'fine', 'EIO', 'fine', 'fine', 'fine']);
    disk.fail({ code: 'EACCES', times: Number.POSITIVE_INFINITY });
    expect([await codeOf(disk.list('/d')), await codeOf(file.sync()), await codeOf(file.close())]).toEqual([
      'EACCES',
      'EACCES',
      'fine',
    ]);
    disk.heal();
    expect(await codeOf(disk.list('/d'))).toBe('fine');
  });

  it('of a write may leave a part of it', async () => {
    const { disk, file } = await withFile();
    const left = new Set<number>();
    disk.fail({ operations: ['write'], code: 'EIO', times: Number.POSITIVE_INFINITY });
    for (let i = 0; i < 50; i++) {
      await file.truncate(0);
      expect(await codeOf(file.write([text('ab')], 0))).toBe('EIO');
      left.add(disk.usedBytes);
    }
    expect([...left].sort()).toEqual([0, 1, 2]);
  });

  it('are short writes and short reads', async () => {
    const { file } = await withFile({ shortWrites: 1, shortReads: 0.5 });
    let written = 0;
    while (written < 100) written += await file.write([bytes(60).subarray(written), bytes(100 - written)], written);
    const reads = new Set<number>();
    for (let i = 0; i < 100; i++) reads.add(await file.read(new Uint8Array(50), 0));
    expect(reads.has(50)).toBe(true);
    expect(reads.size).toBeGreaterThan(10);
    expect(Math.min(...reads)).toBeGreaterThan(0);
  });

  it('come when it is full: the write is short, then ENOSPC, and a removal makes room once the file is closed', async () => {
    const { disk, file } = await withFile({ capacityBytes: 100 });
    const other = await disk.open('/d/g', 'create');
    await other.write([bytes(70)], 0);
    expect(await file.write([bytes(50)], 0)).toBe(30);
    expect(await codeOf(file.write([bytes(20)], 30))).toBe('ENOSPC');
    expect(await codeOf(file.truncate(31))).toBe('ENOSPC');
    expect(await file.write([bytes(30, 2)], 0)).toBe(30);
    await disk.remove('/d/g');
    expect(await codeOf(file.write([bytes(20)], 30))).toBe('ENOSPC');
    await other.close();
    expect(await file.write([bytes(20)], 30)).toBe(20);
    disk.capacityBytes = undefined;
    expect(await file.write([bytes(200)], 0)).toBe(200);
  });

  it('come when it is read-only: it can still be read', async () => {
    const { disk, file } = await withFile();
    disk.readOnly = true;
    const changes = [
      disk.makeDirectory('/x'),
      disk.open('/d/x', 'create'),
      disk.open('/d/f', 'update'),
      disk.rename('/d/f', '/d/x'),
      disk.remove('/d/f'),
      disk.removeDirectory('/d'),
      file.write([bytes(1)], 0),
      file.truncate(0),
    ];
    expect(new Set(await Promise.all(changes.map(codeOf)))).toEqual(new Set(['EROFS']));
    await disk.makeDirectory('/d');
    expect(await disk.list('/d')).toEqual(['f']);
    expect(await (await disk.open('/d/f', 'read')).size()).toBe(0);
  });

  it.each([
    [() => new FaultyDisk({ seed: -1 }), 'FaultyDisk.seed'],
    [() => new FaultyDisk({ shortWrites: 2 }), 'FaultyDisk.shortWrites'],
    [() => new FaultyDisk().fail({ code: '' }), 'FaultyDisk.fail.code'],
    [() => new FaultyDisk().fail({ code: 'EIO', operations: ['fsync' as 'sync'] }), 'FaultyDisk.fail.operations[0]'],
    [() => new FaultyDisk().crash({ keep: 'most' as Keep }), 'FaultyDisk.crash.keep'],
  ])('are options that are checked', (make, path) => {
    expect(make).toThrow(path);
  });
});

describe('a crash at a chosen moment', () => {
  /** Replaces a file as one should, or without one of the steps. */
  const replace = async (disk: FileSystem, skipped?: 'sync' | 'syncDirectory') => {
    const file = await disk.open('/new', 'create');
    await file.write([text('new')], 0);
    if (skipped !== 'sync') await file.sync();
    await file.close();
    await disk.rename('/new', '/file');
    if (skipped !== 'syncDirectory') await disk.syncDirectory('/');
  };

  const foundWhen = async (skipped?: 'sync' | 'syncDirectory') => {
    const found = { during: new Set<string>(), afterwards: new Set<string>() };
    let moment: keyof typeof found = 'during';
    let isWatching = false;
    const look = (disk: FaultyDisk) => {
      for (let i = 0; isWatching && i < 20; i++) found[moment].add(contents(disk.crash())['/file']!);
    };
    const disk = new FaultyDisk({ seed: 3, onOperation: ({ disk }) => look(disk) });
    await put(disk, '/file', 'old');
    await disk.syncDirectory('/');
    isWatching = true;
    await replace(disk, skipped);
    moment = 'afterwards';
    look(disk);
    return { during: [...found.during].sort(), afterwards: [...found.afterwards].sort() };
  };

  it('finds the old file or the new one, and in the end the new one', async () => {
    expect(await foundWhen()).toEqual({ during: ['new', 'old'], afterwards: ['new'] });
  });

  it('finds out who does not sync', async () => {
    expect(await foundWhen('syncDirectory')).toEqual({ during: ['new', 'old'], afterwards: ['new', 'old'] });
    expect((await foundWhen('sync')).afterwards).toContain('');
  });

  it('is the same for the same seed', async () => {
    const run = async (seed: number) => {
      const disk = new FaultyDisk({ seed, shortWrites: 0.5 });
      for (const name of ['a', 'b', 'c']) {
        const file = await disk.open(`/${name}`, 'create');
        await Promise.all([file.write([bytes(3_000)], 0), file.write([bytes(2_000, 2)], 0), file.sync()]);
      }
      return [...disk.crash().contents()];
    };
    await fc.assert(
      fc.asyncProperty(fc.nat(), async (seed) => {
        expect(await run(seed)).toEqual(await run(seed));
      }),
      { numRuns: 20 },
    );
  });
});
