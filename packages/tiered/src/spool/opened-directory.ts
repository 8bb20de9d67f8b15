import type { Clock, FileSystem, SpanBatch, SpoolLedger } from '@otel-resilience/core';
import { DiskQueue } from './disk-queue.js';
import { type Recovered, recover } from './recovery.js';
import { acquireDirectory, type OwnedDirectory } from './spool-directory.js';
import type { SpoolSettings } from './spool-options.js';

export interface OpenDirectoryOptions {
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  readonly settings: SpoolSettings;
  readonly ledger: SpoolLedger;
  readonly otherBytes: () => number;
  readonly onUnsaved: (batches: readonly SpanBatch[], error: unknown) => void;
  /** Something has come that waits, or can be leased only now. */
  readonly onArrival: () => void;
  /** Another process has the directory now or, `isRemoved`, nobody has what was in it. */
  readonly onLost: (directory: OpenedDirectory, isRemoved: boolean) => void;
  readonly onTrouble: (error: unknown) => void;
}

/** A directory that is ours, and what waits in it. */
export interface OpenedDirectory {
  readonly owned: OwnedDirectory;
  readonly disk: DiskQueue;
  readonly recovered: Recovered;
}

/** Rejects with what the file system says; then nothing is held. */
export async function openDirectory(options: OpenDirectoryOptions): Promise<OpenedDirectory> {
  const { clock, settings, onArrival, onLost, onTrouble } = options;
  const owned = await acquireDirectory({ directory: settings.directory, fileSystem: options.fileSystem, clock });
  const { fileSystem } = owned;
  try {
    const sync = settings.fsync !== 'never';
    const recovery = { fileSystem, directory: owned.path, sync, clock };
    const recovered = await recover(recovery);
    const disk = new DiskQueue({ ...options, fileSystem, directory: owned.path, recovered });
    await disk.trim();
    const opened = { owned, disk, recovered };
    owned.watch({
      nextNumber: () => disk.nextNumber(),
      onAdopted: (names) => {
        const adopt = async () => {
          disk.adopt(await recover(recovery, names));
          await disk.trim();
          onArrival();
        };
        adopt().catch(onTrouble);
      },
      onLost: (isRemoved) => onLost(opened, isRemoved),
      onTrouble,
    });
    return opened;
  } catch (error) {
    await owned.release();
    throw error;
  }
}
