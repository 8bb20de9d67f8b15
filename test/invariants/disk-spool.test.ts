import type { FileSystem } from '@otel-resilience/core';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import {
  calmCommand,
  type SpoolCommand,
  type SpoolSettings,
  settings,
  sharedCommand,
  troubledCommand,
} from './disk-spool-commands.js';
import { DiskSpoolWorld } from './disk-spool-world.js';
import { processesSeenBy } from './simulated-process.js';

/** More of them for a longer search. */
const RUNS = Number(process.env.DISK_SPOOL_RUNS ?? 40);

interface PropertyOptions {
  readonly command: fc.Arbitrary<SpoolCommand>;
  readonly with?: Partial<SpoolSettings>;
  readonly through?: (disk: FileSystem) => FileSystem;
  readonly looks?: number;
}

/** Whatever was promised is found after a crash at any moment, and the ledger adds up at every step. */
const keepsItsPromises = ({ command, through, looks = 0.15, with: fixed = {} }: PropertyOptions) =>
  fc.asyncProperty(
    fc.array(command, { minLength: 1, maxLength: 25 }),
    settings.map((each) => ({ ...each, ...fixed })),
    fc.nat(),
    async (commands, settings, seed) => {
      await new DiskSpoolWorld({ settings, seed, looks, through }).run(commands);
    },
  );

// Several processes in one: each is found by the file system it uses.
vi.mock('../../packages/tiered/src/spool/spool-directory.js', async (original) => {
  const module = await original<typeof import('../../packages/tiered/src/spool/spool-directory.js')>();
  const acquireDirectory: typeof module.acquireDirectory = (options) =>
    module.acquireDirectory({ ...options, processes: processesSeenBy(options.fileSystem) });
  return { ...module, acquireDirectory };
});

describe('Spool on a disk that forgets', () => {
  it('keeps its promises while the machine and the process fail', async () => {
    await fc.assert(keepsItsPromises({ command: calmCommand }), { numRuns: RUNS });
  });

  it('keeps them while the disk fails too', async () => {
    await fc.assert(keepsItsPromises({ command: troubledCommand }), { numRuns: RUNS });
  });

  it('keeps them while several processes come and go', async () => {
    await fc.assert(keepsItsPromises({ command: sharedCommand }), { numRuns: RUNS });
  });

  it.each<[string, Mutant]>([
    ['a file', { file: true }],
    ['a directory', { directory: true }],
  ])('is found out when it does not sync %s', async (_, mutant) => {
    const property = keepsItsPromises({
      command: calmCommand,
      with: { fsync: 'always' },
      through: (disk) => withoutSync(disk, mutant),
    });
    const { failed, error } = await check(property);
    expect(failed).toBe(true);
    expect(error).toMatch(/crash that keeps .* loses span/);
  });
});

interface Mutant {
  readonly file?: boolean;
  readonly directory?: boolean;
}

async function check<T>(property: fc.IAsyncPropertyWithHooks<T>): Promise<{ failed: boolean; error: string }> {
  const { failed, errorInstance } = await fc.check(property, { numRuns: 100, endOnFailure: true });
  return { failed, error: String(errorInstance) };
}

/** A disk whose user does not sync. */
function withoutSync(disk: FileSystem, { file = false, directory = false }: Mutant): FileSystem {
  return {
    makeDirectory: (path) => disk.makeDirectory(path),
    list: (path) => disk.list(path),
    open: async (path, how) => {
      const opened = await disk.open(path, how);
      if (file) opened.sync = async () => {};
      return opened;
    },
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    removeDirectory: (path) => disk.removeDirectory(path),
    syncDirectory: async (path) => {
      if (!directory) await disk.syncDirectory(path);
    },
  };
}
