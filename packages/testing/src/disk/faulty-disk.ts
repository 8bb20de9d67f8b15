import {
  callback,
  type FileSystem,
  integer,
  type OpenFile,
  optional,
  positiveInteger,
  ratio,
  readOptions,
} from '@otel-resilience/core';
import { DiskCalls } from './disk-calls.js';
import { diskError } from './disk-error.js';
import { aKeep, type DiskFault } from './disk-faults.js';
import { type DiskOperation, type DiskOperationKind, systemCallOf } from './disk-operation.js';
import { FaultyFile, type FileHost } from './faulty-file.js';
import type { FileNode } from './file-node.js';
import { randomInteger, seededRandom } from './random.js';
import { type Keep, type PendingChange, survivals } from './survival.js';
import { Volume } from './volume.js';

export interface FaultyDiskOptions {
  /** What everything random follows from: what a crash keeps, what is short, which of two calls comes first. Default: random. */
  readonly seed?: number;
  /** Bytes that all files together may have, at least 1; a write beyond is short, and then `ENOSPC`. Default: no limit. */
  readonly capacityBytes?: number;
  /** The share of writes that write only a part of what they were given, from 0 to 1. Default 0. */
  readonly shortWrites?: number;
  /** The share of reads that read less than there is, from 0 to 1. Default 0. */
  readonly shortReads?: number;
  /**
   * Called before and after each operation takes effect, and awaited: `disk.crash()` in it comes at exactly that moment,
   * and a promise that does not settle is a disk that hangs.
   */
  readonly onOperation?: (moment: DiskMoment) => void | Promise<void>;
}

export interface DiskMoment {
  readonly disk: FaultyDisk;
  readonly when: 'before' | 'after';
  readonly operation: DiskOperation;
}

export interface CrashOptions {
  /** Which of the changes that were not synced are there afterwards. Default `some`: each by chance, on its own. */
  readonly keep?: Keep;
}

const SCHEMA = {
  seed: optional(integer({ min: 0, max: 2 ** 32 - 1, default: 0 })),
  capacityBytes: optional(positiveInteger({ default: 1 })),
  shortWrites: ratio({ default: 0 }),
  shortReads: ratio({ default: 0 }),
  onOperation: optional(callback<NonNullable<FaultyDiskOptions['onOperation']>>()),
};
const CRASH = { keep: aKeep };

/**
 * A disk in memory that forgets what POSIX lets it forget. What is written can be read at once, and is durable only
 * after `sync`; creations, renames and removals are only after `syncDirectory`. `crash()` returns the disk as it is
 * found after a power failure at this moment, `kill()` after the end of the process alone. The disk itself goes on as
 * if nothing had happened, so that one run can be crashed at every moment, and many times at the same.
 *
 *     const disk = new FaultyDisk();
 *     await write(disk);
 *     const after = disk.crash();
 *     await recover(after); // what it misses is in after.lost, and disk.seed makes it happen again
 *
 * A crash loses any part of what was not synced: of a write any of its 512-byte sectors, of a file its growth or the
 * data in it (zeros or garbage stand there then), of a directory any change on its own, its own existence included.
 * What was renamed may be at both names and is never at none. After a failed `sync` the data can still be read, and no
 * later `sync` writes it. Calls that are open at once take effect in any order, and a `sync` is bound to what was
 * done before it was called.
 */
export class FaultyDisk implements FileSystem {
  /** The one that was given or drawn; a disk after a crash has that of the disk it comes from. */
  readonly seed: number;
  /** May be changed at any time. */
  capacityBytes: number | undefined;
  /** Whether every change fails with `EROFS`. */
  readOnly = false;
  private readonly options: FaultyDiskOptions;
  private readonly calls: DiskCalls;
  private readonly host: FileHost;
  private random: () => number;
  /** Apart, so that a crash changes nothing of what comes after it on this disk. */
  private fates: () => number;
  private volume = new Volume();
  private losses: readonly PendingChange[] = [];

  constructor(options: FaultyDiskOptions = {}) {
    const { seed = Math.floor(Math.random() * 2 ** 32), ...read } = readOptions('FaultyDisk', options, SCHEMA);
    this.seed = seed;
    this.random = seededRandom(seed);
    this.fates = seededRandom(~seed);
    this.options = { seed, ...read };
    this.capacityBytes = read.capacityBytes;
    const random = () => this.random();
    this.calls = new DiskCalls({
      random,
      onMoment: (when, operation) => read.onOperation?.({ disk: this, when, operation }),
    });
    this.host = this.makeHost(random, read);
  }

  /** What is left if the power fails now: durable, and open nowhere. Options stay the same, faults are gone. */
  crash(options: CrashOptions = {}): FaultyDisk {
    const { keep } = readOptions('FaultyDisk.crash', options, CRASH);
    const lost: PendingChange[] = [];
    return this.successor(this.volume.afterCrash(survivals(keep, this.fates, lost)), lost);
  }

  /** What there is if the process dies now, as of `kill -9`: all that was written, and no more durable than it was. */
  kill(): FaultyDisk {
    return this.successor(this.volume.copy(), []);
  }

  /** Lets operations fail. */
  fail(fault: DiskFault): void {
    this.calls.faults.add(fault);
  }

  /** Takes every fault back. */
  heal(): void {
    this.calls.faults.clear();
  }

  /** Every call so far. */
  get operations(): readonly DiskOperation[] {
    return this.calls.log;
  }

  /** What the crash lost that this disk comes from. */
  get lost(): readonly PendingChange[] {
    return this.losses;
  }

  /** Files that are open: 0 after a shutdown, or something leaks. */
  get openFiles(): number {
    let open = 0;
    for (const handles of this.volume.openFiles.values()) open += handles;
    return open;
  }

  get usedBytes(): number {
    return this.volume.usedBytes;
  }

  /** A copy of what can be read of every file, by path. */
  contents(): Map<string, Uint8Array> {
    return new Map(Array.from(this.volume.files(), ([path, file]) => [path, file.read(0, file.size).slice()]));
  }

  makeDirectory(path: string): Promise<void> {
    return this.calls.make('makeDirectory', { path }, () => {
      if (!this.volume.hasDirectory(path)) this.checkWritable('makeDirectory', path);
      this.volume.makeDirectory(path);
    });
  }

  list(path: string): Promise<string[]> {
    return this.calls.make('list', { path }, () => {
      const names = [...this.volume.directory(path, 'scandir').entries.keys()];
      // In any order.
      for (let i = names.length - 1; i > 0; i--) {
        const j = randomInteger(this.random, i + 1);
        [names[i], names[j]] = [names[j]!, names[i]!];
      }
      return names;
    });
  }

  open(path: string, how: 'create' | 'update' | 'read'): Promise<OpenFile> {
    const kind = how === 'create' ? 'create' : 'open';
    return this.calls.make(kind, { path }, () => {
      if (how !== 'read') this.checkWritable(kind, path);
      const file = how === 'create' ? this.volume.createFile(path) : this.volume.file(path);
      const { openFiles } = this.volume;
      openFiles.set(file, (openFiles.get(file) ?? 0) + 1);
      return new FaultyFile(this.host, file, path, how !== 'read');
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.calls.make('rename', { path: from, to }, () => {
      this.checkWritable('rename', from);
      this.volume.rename(from, to);
    });
  }

  remove(path: string): Promise<void> {
    return this.calls.make('remove', { path }, () => {
      this.checkWritable('remove', path);
      this.volume.remove(path);
    });
  }

  removeDirectory(path: string): Promise<void> {
    return this.calls.make('removeDirectory', { path }, () => {
      this.checkWritable('removeDirectory', path);
      this.volume.removeDirectory(path);
    });
  }

  async syncDirectory(path: string): Promise<void> {
    // Bound to what was there when it was called, as a file's sync is.
    const changes = this.volume.hasDirectory(path) ? this.volume.directory(path, 'fsync').changes : 0;
    return this.calls.make('syncDirectory', { path }, () => this.volume.directory(path, 'fsync').sync(changes));
  }

  private checkWritable(kind: DiskOperationKind, path: string): void {
    if (this.readOnly) throw diskError('EROFS', systemCallOf(kind), path);
  }

  private successor(volume: Volume, losses: readonly PendingChange[]): FaultyDisk {
    const next = new FaultyDisk({ ...this.options, capacityBytes: this.capacityBytes });
    next.random = seededRandom(randomInteger(this.fates, 2 ** 32));
    next.fates = seededRandom(randomInteger(this.fates, 2 ** 32));
    next.volume = volume;
    next.losses = losses;
    return next;
  }

  private makeHost(
    random: () => number,
    { shortWrites, shortReads }: { shortWrites: number; shortReads: number },
  ): FileHost {
    const disk = this;
    return {
      calls: this.calls,
      random,
      shortWrites,
      shortReads,
      get freeBytes() {
        return disk.capacityBytes === undefined ? Number.POSITIVE_INFINITY : disk.capacityBytes - disk.usedBytes;
      },
      get readOnly() {
        return disk.readOnly;
      },
      closed: (file) => disk.closed(file),
    };
  }

  private closed(file: FileNode): void {
    const { openFiles } = this.volume;
    const handles = openFiles.get(file)! - 1;
    if (handles > 0) openFiles.set(file, handles);
    else openFiles.delete(file);
  }
}
