import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FileSystem, OpenFile } from '@otel-resilience/core';
import { FaultyDisk } from '@otel-resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nodeFileSystem } from '../../packages/tiered/src/spool/node-file-system.js';

type Call =
  | { does: 'makeDirectory' | 'list' | 'remove' | 'removeDirectory' | 'syncDirectory'; path: string }
  | { does: 'open'; path: string; how: 'create' | 'update' | 'read' }
  | { does: 'rename'; path: string; to: string }
  | { does: 'write'; file: number; position: number; chunks: string[] }
  | { does: 'read' | 'truncate'; file: number; position: number }
  | { does: 'size' | 'sync' | 'close'; file: number };

const aPath = fc.constantFrom('a', 'b', 'd', 'd/a', 'd/b', 'd/e', 'd/e/a', 'a/x');
const aFile = fc.nat(3);
const position = fc.nat(2_000);
const call: fc.Arbitrary<Call> = fc.oneof(
  fc.record({
    does: fc.constantFrom('makeDirectory' as const, 'list' as const, 'remove' as const),
    path: aPath,
  }),
  fc.record({ does: fc.constantFrom('removeDirectory' as const, 'syncDirectory' as const), path: aPath }),
  fc.record({
    does: fc.constant('open' as const),
    path: aPath,
    how: fc.constantFrom('create' as const, 'create' as const, 'update' as const, 'read' as const),
  }),
  fc.record({ does: fc.constant('rename' as const), path: aPath, to: aPath }),
  fc.record({
    does: fc.constant('write' as const),
    file: aFile,
    position,
    chunks: fc.array(fc.string({ minLength: 1, maxLength: 700 }), { minLength: 1, maxLength: 3 }),
  }),
  fc.record({ does: fc.constantFrom('read' as const, 'truncate' as const), file: aFile, position }),
  fc.record({ does: fc.constantFrom('size' as const, 'sync' as const, 'close' as const), file: aFile }),
);

/** Makes the calls, and returns what was answered to each and is there in the end. */
async function answers(fileSystem: FileSystem, root: string, calls: readonly Call[]): Promise<unknown[]> {
  const files: OpenFile[] = [];
  const answered: unknown[] = [];
  for (const each of calls) {
    answered.push(await answer(fileSystem, root, files, each).catch((error: { code?: string }) => error.code));
  }
  await Promise.all(files.map((file) => file.close().catch(() => {})));
  return [...answered, await tree(fileSystem, root)];
}

async function answer(fileSystem: FileSystem, root: string, files: OpenFile[], call: Call): Promise<unknown> {
  if ('path' in call) {
    const path = join(root, call.path);
    if (call.does === 'rename') return fileSystem.rename(path, join(root, call.to));
    if (call.does === 'list') return (await fileSystem.list(path)).sort();
    // A file can be synced too, but not by that name.
    if (call.does === 'syncDirectory') await fileSystem.list(path);
    if (call.does !== 'open') return fileSystem[call.does](path);
    // A directory can be opened for reading, and then not be read.
    if (call.how === 'read') await fileSystem.open(path, 'update').then((file) => file.close());
    files.push(await fileSystem.open(path, call.how));
    return undefined;
  }
  const file = files[files.length - 1 - call.file];
  if (!file) return undefined;
  switch (call.does) {
    case 'write':
      return file.write(
        call.chunks.map((chunk) => new TextEncoder().encode(chunk)),
        call.position,
      );
    case 'read': {
      const into = new Uint8Array(600);
      const length = await file.read(into, call.position);
      return Buffer.from(into.subarray(0, length)).toString('hex');
    }
    case 'truncate':
      return file.truncate(call.position);
    case 'close':
      files.splice(files.indexOf(file), 1);
      return file.close();
    default:
      return file[call.does]();
  }
}

async function tree(fileSystem: FileSystem, directory: string): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  for (const name of (await fileSystem.list(directory)).sort()) {
    const path = join(directory, name);
    const file = await fileSystem.open(path, 'update').catch(() => undefined);
    if (!file) found[name] = await tree(fileSystem, path);
    else {
      const bytes = new Uint8Array(await file.size());
      await file.read(bytes, 0);
      await file.close();
      found[name] = Buffer.from(bytes).toString('hex');
    }
  }
  return found;
}

const calls = fc.array(call, { minLength: 1, maxLength: 40 });

describe('FaultyDisk', () => {
  it('without faults answers as the file system of the machine does', async () => {
    const root = await mkdtemp(join(tmpdir(), 'file-systems-'));
    let run = 0;
    try {
      await fc.assert(
        fc.asyncProperty(calls, fc.nat(), async (made, seed) => {
          const directory = join(root, `${run++}`);
          const disk = new FaultyDisk({ seed });
          await Promise.all([disk, nodeFileSystem].map((each) => each.makeDirectory(directory)));
          const [modelled, real] = [
            await answers(disk, directory, made),
            await answers(nodeFileSystem, directory, made),
          ];
          expect(modelled).toEqual(real);
          expect(disk.openFiles).toBe(0);
        }),
        { numRuns: 150 },
      );
    } finally {
      await rm(root, { recursive: true });
    }
  });

  it('loses at a crash nothing when all is kept, and the same after a kill as without', async () => {
    await fc.assert(
      fc.asyncProperty(calls, fc.nat(), fc.nat(1_000), async (made, seed, salt) => {
        const disk = new FaultyDisk({ seed });
        await disk.makeDirectory('/r');
        const [, there] = [await answers(disk, '/r', made), await tree(disk, '/r')];
        const all = disk.crash({ keep: 'all' });
        expect(await tree(all, '/r')).toEqual(there);
        expect(await tree(disk.kill(), '/r')).toEqual(there);
        expect(all.lost).toEqual([]);
        let asked = 0;
        const keep = () => (asked++ * 7 + salt) % 3 > 0;
        const crashed = disk.crash({ keep });
        asked = 0;
        expect([...disk.kill().crash({ keep }).contents()]).toEqual([...crashed.contents()]);
        // All that a crash has left is durable.
        expect([...crashed.crash({ keep: 'none' }).contents()]).toEqual([...crashed.contents()]);
      }),
      { numRuns: 200 },
    );
  });
});
