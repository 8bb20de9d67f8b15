import { FaultyDisk } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { guardedFileSystem } from './guarded-file-system.js';

const LOST = new Error('lost');
const bytes = Buffer.from('abc');

async function setUp() {
  const disk = new FaultyDisk();
  await disk.makeDirectory('/a');
  let isLost = false;
  const lose = () => {
    isLost = true;
  };
  const guarded = guardedFileSystem(disk, () => (isLost ? Promise.reject(LOST) : undefined));
  return { disk, guarded, lose };
}

describe('guardedFileSystem', () => {
  it('does what it is told while nothing is lost', async () => {
    const { disk, guarded } = await setUp();
    await guarded.makeDirectory('/a/b');
    const file = await guarded.open('/a/b/c', 'create');
    expect(await file.write([bytes], 0)).toBe(3);
    await file.sync();
    await file.truncate(2);
    const into = Buffer.alloc(4);
    expect([await file.size(), await file.read(into, 0)]).toEqual([2, 2]);
    await file.close();
    await guarded.rename('/a/b/c', '/a/c');
    await guarded.syncDirectory('/a');
    expect(await guarded.list('/a/b')).toEqual([]);
    await guarded.removeDirectory('/a/b');
    await guarded.remove('/a/c');
    expect([await disk.list('/a'), disk.openFiles]).toEqual([[], 0]);
  });

  it('touches nothing that may be another’s', async () => {
    const { disk, guarded, lose } = await setUp();
    const file = await guarded.open('/a/c', 'create');
    await file.write([bytes], 0);
    lose();
    const before = disk.operations.length;
    for (const call of [
      () => file.write([bytes], 3),
      () => file.sync(),
      () => file.truncate(0),
      () => guarded.makeDirectory('/a/b'),
      () => guarded.list('/a'),
      () => guarded.open('/a/c', 'read'),
      () => guarded.rename('/a/c', '/a/d'),
      () => guarded.remove('/a/c'),
      () => guarded.removeDirectory('/a'),
      () => guarded.syncDirectory('/a'),
    ]) {
      await expect(call()).rejects.toBe(LOST);
    }
    expect(disk.operations.length).toBe(before);
    await file.close();
    expect(disk.openFiles).toBe(0);
  });

  it.each(['write', 'sync'] as const)('promises nothing of a %s after which the directory was lost', async (call) => {
    const { disk, guarded, lose } = await setUp();
    const file = await guarded.open('/a/c', 'create');
    const done = call === 'write' ? file.write([bytes], 0) : file.sync();
    lose();
    await expect(done).rejects.toBe(LOST);
    expect(disk.operations.at(-1)?.kind).toBe(call);
  });
});
