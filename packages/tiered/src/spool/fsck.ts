import {
  boolean,
  type Clock,
  callback,
  type FileSystem,
  having,
  optional,
  readOptions,
  suppressTracing,
  systemClock,
  text,
  toError,
} from '@otel-resilience/core';
import { DirectoryLock } from './directory-lock.js';
import { isMissing, quietly } from './file-errors.js';
import { SegmentRepair } from './fsck-repair.js';
import { type ExaminedSegment, examineSegment, type FsckCount, type FsckSegment } from './fsck-segment.js';
import { guardedFileSystem } from './guarded-file-system.js';
import { isFreeName, parseOwnerName } from './lock-owner.js';
import { nodeFileSystem } from './node-file-system.js';
import { stateOf, systemProcesses } from './process-identity.js';
import { QUARANTINE } from './quarantine.js';
import { ackName } from './segment.js';
import { readHead } from './segment-reader.js';
import { signsOn } from './signs-of-life.js';
import { OWN_DIRECTORY } from './spool-directory.js';
import { isNoteName, isSegmentName, isSpoolName } from './spool-names.js';
import { StaleWatch } from './stale-watch.js';

export interface FsckOptions {
  /** Of a `Spool`. */
  readonly directory: string;
  /** Whether to repair what can be repaired; default `false`: nothing is changed. */
  readonly repair?: boolean;
  /** Default: that of the machine. */
  readonly fileSystem?: FileSystem;
  readonly clock?: Clock;
  /** Called after each segment. */
  readonly onProgress?: (progress: FsckProgress) => void;
}

export interface FsckProgress {
  /** Directory of the segments that are being looked at. */
  readonly path: string;
  /** Of them. */
  readonly checkedSegments: number;
  readonly segments: number;
  /** In all directories so far. */
  readonly checkedBytes: number;
}

/** A directory with segments, and what was found in it: before it was repaired, where it was. */
export interface FsckDirectory {
  readonly path: string;
  /** `alive`, and `unknown` (of another machine or container): it is not repaired; its last frames may be half written. */
  readonly owner: 'nobody' | 'dead' | 'alive' | 'unknown';
  readonly segments: readonly FsckSegment[];
  /** Paths of notes of segments that are gone. */
  readonly orphanedNotes: readonly string[];
  /** With `repair`: why not. */
  readonly notRepaired?: 'in use';
}

export interface FsckReport {
  /** Nothing is wrong, or everything that was has been repaired. Files that are not ours are not wrong. */
  readonly clean: boolean;
  /** The directory itself, and then those in it that belong to further processes. */
  readonly directories: readonly FsckDirectory[];
  /** Sums over all segments. */
  readonly waiting: FsckCount;
  readonly settled: FsckCount;
  readonly corrupt: FsckCount;
  readonly torn: FsckCount;
  readonly repeated: FsckCount;
  /** Paths of files that are not ours; they are left alone. */
  readonly foreign: readonly string[];
  /** What lies in quarantine, poison and the originals of repaired segments. */
  readonly quarantine: { readonly segments: number; readonly bytes: number };
}

const SCHEMA = {
  directory: text(),
  repair: boolean({ default: false }),
  fileSystem: optional(having<FileSystem>('a FileSystem', ['list', 'open', 'rename', 'remove', 'syncDirectory'])),
  clock: optional(having<Clock>('a Clock', ['now', 'wallTime'])),
  onProgress: optional(callback<(progress: FsckProgress) => void>()),
};

/**
 * Reads everything in the directory of a `Spool`, bodies too, and says what is intact. With `repair`, of each damaged segment
 * the intact frames that still wait are written to a new one in its place; a copy of the old one is put into `quarantine/`
 * before. A directory that a process may own is looked at and not touched. Takes the memory of one frame.
 *
 * @throws ConfigurationError, and the file system's errors, such as `ENOENT`, where the directory cannot be listed or, to be
 * repaired, locked.
 */
export async function fsck(options: FsckOptions): Promise<FsckReport> {
  const { fileSystem = nodeFileSystem, clock = systemClock, ...rest } = readOptions('fsck', options, SCHEMA);
  return suppressTracing(() => new Fsck({ ...rest, fileSystem, clock }).run());
}

class Fsck {
  private readonly options: Required<Pick<FsckOptions, 'directory' | 'repair' | 'fileSystem' | 'clock'>> & FsckOptions;
  private readonly foreign: string[] = [];
  private checkedBytes = 0;

  constructor(options: Fsck['options']) {
    this.options = options;
  }

  async run(): Promise<FsckReport> {
    const { directory, fileSystem } = this.options;
    const directories = [await this.directory(directory)];
    for (const name of (await fileSystem.list(directory)).sort()) {
      if (OWN_DIRECTORY.test(name)) directories.push(...(await this.ownDirectory(`${directory}/${name}`)));
    }
    const segments = directories.flatMap((each) => each.segments);
    const isRepaired = this.options.repair && directories.every(({ notRepaired }) => !notRepaired);
    const isClean =
      segments.every(({ problems, repaired }) => problems.length === 0 || repaired) &&
      (isRepaired || directories.every(({ orphanedNotes, owner }) => orphanedNotes.length === 0 || owner === 'alive'));
    return {
      clean: isClean,
      directories,
      waiting: sum(segments.map(({ waiting }) => waiting)),
      settled: sum(segments.map(({ settled }) => settled)),
      corrupt: sum(segments.map(({ corrupt }) => corrupt)),
      torn: sum(segments.map(({ torn }) => torn)),
      repeated: sum(segments.map(({ repeated }) => repeated)),
      foreign: this.foreign,
      quarantine: await this.quarantined(directories),
    };
  }

  /** One that is adopted meanwhile is gone. */
  private async ownDirectory(path: string): Promise<FsckDirectory[]> {
    try {
      return [await this.directory(path)];
    } catch (error) {
      if (isMissing(error)) return [];
      if ((error as { code?: unknown }).code !== 'ENOTDIR') throw error;
      this.foreign.push(path);
      return [];
    }
  }

  private async directory(path: string): Promise<FsckDirectory> {
    const { fileSystem, clock, repair } = this.options;
    await fileSystem.list(path);
    const owner = await this.ownerOf(path);
    const isOwned = owner === 'alive' || owner === 'unknown';
    if (!repair) return { path, owner, ...(await this.segments(path, { isOwned })) };
    const watch = new StaleWatch(clock);
    const environment = { fileSystem, clock, processes: systemProcesses, watch, signs: signsOn(fileSystem) };
    const lock = await DirectoryLock.acquire(path, environment);
    if (!lock) return { path, owner, ...(await this.segments(path, { isOwned: true })), notRepaired: 'in use' };
    const guarded = guardedFileSystem(fileSystem, async () => {
      if (!lock.isHeld && !(await lock.renew())) throw new Error(`${path} is another process's now`);
    });
    try {
      return { path, owner, ...(await this.segments(path, { isOwned: false, guarded })) };
    } finally {
      await lock.release();
    }
  }

  /** They are repaired where there is a file system to do it by. */
  private async segments(path: string, { isOwned, guarded }: { isOwned: boolean; guarded?: FileSystem }) {
    const { fileSystem, onProgress } = this.options;
    const names = (await fileSystem.list(path)).sort();
    const segmentNames = names.filter(isSegmentName);
    const noteNames = new Set(names.filter(isNoteName));
    for (const name of names) if (!isSpoolName(name)) this.foreign.push(`${path}/${name}`);
    const known = await this.copied(path, segmentNames);
    const repair = guarded && new SegmentRepair(guarded, `${path}/${QUARANTINE}`);
    const segments: FsckSegment[] = [];
    for (const [index, name] of segmentNames.entries()) {
      const examined = await examineSegment(fileSystem, path, name, noteNames.delete(ackName(name)), known);
      if (examined === 'foreign') this.foreign.push(`${path}/${name}`);
      else if (examined) {
        segments.push(await repairedBy(repair, isOwned ? withoutTorn(examined) : examined));
        this.checkedBytes += examined.report.bytes;
      }
      const progress = { path, checkedSegments: index + 1, segments: segmentNames.length };
      onProgress?.({ ...progress, checkedBytes: this.checkedBytes });
    }
    const orphanedNotes = [...noteNames].map((name) => `${path}/${name}`);
    for (const orphan of guarded ? orphanedNotes : []) await guarded?.remove(orphan);
    return { segments, orphanedNotes };
  }

  /** The tokens that more than one segment has: one of them is a copy. */
  private async copied(path: string, names: readonly string[]): Promise<Map<bigint, Set<number>>> {
    const once = new Set<bigint>();
    const copied = new Map<bigint, Set<number>>();
    for (const name of names) {
      const token = await this.tokenOf(path, name);
      if (token === undefined) continue;
      if (once.has(token)) copied.set(token, new Set());
      once.add(token);
    }
    return copied;
  }

  private async tokenOf(path: string, name: string): Promise<bigint | undefined> {
    try {
      const file = await this.options.fileSystem.open(`${path}/${name}`, 'read');
      const head = await readHead(file, name).finally(() => quietly(file.close()));
      return head?.token;
    } catch {
      // Whoever reads all of it says so.
      return undefined;
    }
  }

  private async ownerOf(path: string): Promise<FsckDirectory['owner']> {
    const names = await this.options.fileSystem.list(`${path}/lock`).catch(() => []);
    const owners = names.filter((name) => !isFreeName(name)).map(parseOwnerName);
    if (owners.length === 0) return 'nobody';
    const states = owners.map((owner) => (owner ? stateOf(owner, systemProcesses) : 'unknown'));
    if (states.includes('alive')) return 'alive';
    return states.includes('unknown') ? 'unknown' : 'dead';
  }

  private async quarantined(directories: readonly FsckDirectory[]): Promise<FsckReport['quarantine']> {
    const { fileSystem } = this.options;
    let [segments, bytes] = [0, 0];
    for (const { path } of directories) {
      const names = await fileSystem.list(`${path}/${QUARANTINE}`).catch(() => []);
      for (const name of names.filter(isSegmentName)) {
        const file = await fileSystem.open(`${path}/${QUARANTINE}/${name}`, 'read').catch(() => undefined);
        bytes += (await file?.size().finally(() => quietly(file.close()))) ?? 0;
        segments++;
      }
    }
    return { segments, bytes };
  }
}

/** Its owner has cut off what was torn: it is being written. */
function withoutTorn(examined: ExaminedSegment): ExaminedSegment {
  const problems = examined.report.problems.filter((problem) => problem !== 'torn');
  return { ...examined, report: { ...examined.report, problems } };
}

async function repairedBy(repair: SegmentRepair | undefined, examined: ExaminedSegment): Promise<FsckSegment> {
  const { report } = examined;
  if (!repair || report.problems.length === 0) return report;
  if (report.problems.includes('unreadable')) return { ...report, repaired: false };
  try {
    await repair.repair(examined);
    return { ...report, repaired: true };
  } catch (error) {
    return { ...report, repaired: false, error: toError(error) };
  }
}

function sum(counts: readonly FsckCount[]): FsckCount {
  const total = { frames: 0, bytes: 0, spans: 0 };
  for (const { frames, bytes, spans } of counts) {
    total.frames += frames;
    total.bytes += bytes;
    total.spans += spans;
  }
  return total;
}
