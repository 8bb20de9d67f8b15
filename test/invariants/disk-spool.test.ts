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
const RUNS = Number(process.env.DISK_SPOOL_RUNS ?? 25);

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

  it('keeps them before and after every single operation', async () => {
    const command = fc.oneof({ weight: 4, arbitrary: sharedCommand }, { weight: 1, arbitrary: troubledCommand });
    await fc.assert(keepsItsPromises({ command, looks: 1 }), { numRuns: Math.ceil(RUNS / 8) });
  });

  const modes = ['always', 'interval'] as const;
  it.each(modes.flatMap((fsync) => MUTANTS.map((mutant) => [mutant, fsync] as const)))(
    'is found out %s, with fsync %s',
    async (mutant, fsync) => {
      const property = keepsItsPromises({
        command: calmCommand,
        with: { fsync, maxBytes: 10_000_000 },
        through: (disk) => mutate(disk, mutant),
      });
      const { failed, errorInstance } = await fc.check(property, { numRuns: 200, endOnFailure: true });
      expect(failed).toBe(true);
      expect(String(errorInstance)).toMatch(/crash that keeps .* loses span/);
    },
  );
});

const MUTANTS = ['that syncs no file', 'that syncs no directory', 'that does not wait for its syncs'] as const;

/** A disk whose user forgets something. */
function mutate(disk: FileSystem, mutant: (typeof MUTANTS)[number]): FileSystem {
  const skip = async () => {};
  const syncDirectory = (path: string) => disk.syncDirectory(path);
  return {
    makeDirectory: (path) => disk.makeDirectory(path),
    list: (path) => disk.list(path),
    open: async (path, how) => {
      const file = await disk.open(path, how);
      const sync = () => file.sync();
      return {
        size: () => file.size(),
        read: (into, position) => file.read(into, position),
        write: (chunks, position) => file.write(chunks, position),
        truncate: (length) => file.truncate(length),
        close: () => file.close(),
        sync: mutant === 'that syncs no file' ? skip : mutant === 'that syncs no directory' ? sync : later(sync),
      };
    },
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    removeDirectory: (path) => disk.removeDirectory(path),
    syncDirectory: mutant === 'that syncs no directory' ? skip : syncDirectory,
  };
}

const later = (work: () => Promise<void>) => async () => {
  setImmediate(() => work().catch(() => {}));
};
