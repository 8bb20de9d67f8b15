import type { FileSystem } from '@otel-resilience/core';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  anyCommand,
  calmCommand,
  DiskSpoolWorld,
  type SpoolCommand,
  type SpoolSettings,
  settings,
  simulateProcesses,
} from './disk-spool-world.js';

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

beforeEach(simulateProcesses);

describe('Spool on a disk that forgets', () => {
  it('keeps its promises while the machine and the process fail', async () => {
    await fc.assert(keepsItsPromises({ command: calmCommand }), { numRuns: 80 });
  });

  it('keeps them while the disk fails too', async () => {
    await fc.assert(keepsItsPromises({ command: anyCommand }), { numRuns: 80 });
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
