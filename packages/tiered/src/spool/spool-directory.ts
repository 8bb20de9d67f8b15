import { dirname } from 'node:path';
import type { Clock, FileSystem, Timer } from '@otel-resilience/core';
import { adoptSegments } from './adopt-segments.js';
import { DirectoryLock, isLockName, LOCK, type LockEnvironment } from './directory-lock.js';
import { codeOf, isMissing } from './file-errors.js';
import { guardedFileSystem } from './guarded-file-system.js';
import { newLockToken } from './lock-owner.js';
import { type Processes, systemProcesses } from './process-identity.js';
import { adoptQuarantine, QUARANTINE } from './quarantine.js';
import { ACK_NAME, numberAfter, SEGMENT_NAME } from './segment.js';
import { type SignsOfLife, signsOn } from './signs-of-life.js';
import { HEARTBEAT_MILLIS, StaleWatch } from './stale-watch.js';

export interface AcquireDirectoryOptions {
  readonly directory: string;
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  /** Default: those of this machine. */
  readonly processes?: Processes;
  /** Default: those of this machine, on its own file system. */
  readonly signs?: SignsOfLife | undefined;
}

/** What an owner is told of, and asked for, while it has a directory. */
export interface DirectoryEvents {
  /** A number that no file in the directory has had. */
  nextNumber(): number;
  /** Segments of a dead owner have come into the directory. */
  onAdopted(names: readonly string[]): void;
  /**
   * Another process took this one for dead, and has its segments now; or, `isRemoved`, somebody has removed them. Nothing may
   * be written, and a new directory be acquired.
   */
  onLost(isRemoved: boolean): void;
  /** Segments of a dead owner could not be moved, or the lock not be renewed; tried again with the next heartbeat. */
  onTrouble(error: unknown): void;
}

export const REMOVED = 'somebody has removed what was in it';

/** Names of locks and of directories of other owners: no segments, and ours all the same. */
export const isOwnersName = (name: string): boolean => isLockName(name) || OWN_DIRECTORY.test(name);

export const OWN_DIRECTORY = /^p-[1-9]\d*-[0-9a-f]{16}$/;

/**
 * The directory, or one of its own (`p-<pid>-<token>`) in it where another owner is alive: another process, thread or
 * spool. What dead owners have left anywhere in it is moved there, now and with every heartbeat from `watch` on.
 *
 * @throws the file system's errors, such as `EROFS`.
 */
export async function acquireDirectory({
  directory,
  fileSystem,
  clock,
  processes = systemProcesses,
  signs = signsOn(fileSystem),
}: AcquireDirectoryOptions): Promise<OwnedDirectory> {
  const environment: LockEnvironment = { fileSystem, clock, processes, watch: new StaleWatch(clock), signs };
  await fileSystem.makeDirectory(directory);
  const lock =
    (await DirectoryLock.acquire(directory, environment)) ?? (await lockOwnDirectory(directory, environment));
  try {
    await syncPathTo(lock.directory, fileSystem);
  } catch (error) {
    await lock.release();
    throw error;
  }
  const owned = new OwnedDirectory(directory, lock, environment);
  await owned.begin();
  return owned;
}

/** What is synced in a directory is durable when that is so itself, and all that it is in: any of them may be new. */
async function syncPathTo(directory: string, fileSystem: FileSystem): Promise<void> {
  for (let path = directory; path !== dirname(path); path = dirname(path)) {
    await fileSystem.syncDirectory(dirname(path)).catch((error) => {
      // What may be entered and not read cannot be synced; there are file systems that sync no directories.
      if (SYNC_FAILURES.includes(codeOf(error) ?? '')) throw error;
    });
  }
}

const SYNC_FAILURES: readonly string[] = ['EIO', 'ENOSPC', 'EDQUOT'];

async function lockOwnDirectory(root: string, environment: LockEnvironment): Promise<DirectoryLock> {
  const { pid } = environment.processes.self();
  for (;;) {
    // Whoever looks for the dead may find it before it has a lock: then another is made.
    const lock = await DirectoryLock.acquire(`${root}/p-${pid}-${newLockToken()}`, environment);
    if (lock) return lock;
  }
}

export class OwnedDirectory {
  /** Where this owner's segments are. */
  readonly path: string;
  /** For all that is done in it. Rejects once the directory may be another's, until `confirm` says that it is not. */
  readonly fileSystem: FileSystem;
  private readonly root: string;
  private readonly lock: DirectoryLock;
  private readonly environment: LockEnvironment;
  private readonly adoptedAtFirst: string[] = [];
  /**
   * The topmost directory, taken from an owner that was silent: given to nobody while this one lives, so that what its
   * owner was about to create in it is adopted with the next heartbeat. A next owner would not look for it.
   */
  private keptRoot: DirectoryLock | undefined;
  private events: DirectoryEvents | undefined;
  private timer: Timer | undefined;
  private beat: Promise<void> = Promise.resolve();
  private closed = false;
  private isLossTold = false;
  private wasRemoved = false;

  /** @internal by {@link acquireDirectory} */
  constructor(root: string, lock: DirectoryLock, environment: LockEnvironment) {
    this.root = root;
    this.path = lock.directory;
    this.lock = lock;
    this.environment = environment;
    this.fileSystem = guardedFileSystem(environment.fileSystem, () => (lock.isHeld ? undefined : this.check()));
  }

  /** The segments that were adopted before it was acquired. */
  get adopted(): readonly string[] {
    return this.adoptedAtFirst;
  }

  /**
   * Whether this owner may write: nobody can have taken the directory over yet. When `false`, `confirm` says.
   */
  get isHeld(): boolean {
    return this.lock.isHeld;
  }

  /** Resolves to whether the directory is still this owner's, whatever time has passed. */
  async confirm(): Promise<boolean> {
    const isOurs = this.lock.isHeld || (await this.lock.renew());
    if (!isOurs) await this.tellOfLoss();
    return isOurs;
  }

  /** From here on the dead are looked for, and `events` told. */
  watch(events: DirectoryEvents): void {
    this.events = events;
  }

  /** Ends the heartbeats and gives the directory back; one of its own goes when it is empty. Does not throw. */
  async release(): Promise<void> {
    this.closed = true;
    this.environment.clock.clearTimeout(this.timer);
    await this.beat;
    await this.keptRoot?.release();
    await (this.path === this.root ? this.lock.release() : this.lock.releaseAndRemove());
  }

  /** @internal */
  async begin(): Promise<void> {
    try {
      let next = await this.firstNumber();
      await this.adoptOrphans(
        () => next++,
        (name) => this.adoptedAtFirst.push(name),
      );
    } catch {
      // As every heartbeat will, and say so.
    }
    this.beatLater();
  }

  private async check(): Promise<void> {
    if (await this.confirm()) return;
    throw new Error(this.wasRemoved ? REMOVED : `another process has taken ${this.path} over`);
  }

  private async tellOfLoss(): Promise<void> {
    // Where nobody watches yet, the next call in the directory tells.
    if (!this.events || !this.lock.isLost || this.isLossTold) return;
    this.isLossTold = true;
    this.wasRemoved = await this.isRemoved();
    this.events.onLost(this.wasRemoved);
  }

  /** A successor leaves a lock in the topmost directory. One of an owner's own goes when it was adopted: nothing is known. */
  private async isRemoved(): Promise<boolean> {
    if (this.path !== this.root) return false;
    try {
      const names = await this.environment.fileSystem.list(this.path);
      return !names.some((name) => name === LOCK || SEGMENT_NAME.test(name));
    } catch (error) {
      return isMissing(error);
    }
  }

  private beatLater(): void {
    if (this.closed || this.lock.isLost) return;
    this.timer = this.environment.clock.setTimeout(() => {
      this.beat = this.renewAndAdopt();
    }, HEARTBEAT_MILLIS);
  }

  private async renewAndAdopt(): Promise<void> {
    const { events } = this;
    try {
      const isOurs = await this.lock.renew();
      await this.keptRoot?.renew();
      if (!isOurs) await this.tellOfLoss();
      else if (events) await this.adoptWhileWatched(events);
    } catch (error) {
      events?.onTrouble(error);
    }
    this.beatLater();
  }

  private async adoptWhileWatched(events: DirectoryEvents): Promise<void> {
    const adopted: string[] = [];
    try {
      await this.adoptOrphans(
        () => events.nextNumber(),
        (name) => adopted.push(name),
      );
    } finally {
      if (adopted.length > 0) events.onAdopted(adopted);
    }
  }

  private async adoptOrphans(nextNumber: () => number, onAdopted: (name: string) => void): Promise<void> {
    let trouble: unknown;
    for (const from of await this.others()) {
      try {
        if (await this.isWorthwhile(from)) await this.adoptFrom(from, nextNumber, onAdopted);
      } catch (error) {
        // Another adopter was faster, or it is no directory at all.
        if (!['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '')) trouble ??= error;
      }
    }
    if (trouble !== undefined) throw trouble;
  }

  private async adoptFrom(from: string, nextNumber: () => number, onAdopted: (name: string) => void): Promise<void> {
    // Or, after a long pause, it would be moved into what is another's directory by now.
    const { fileSystem } = this;
    const kept = from === this.root && (await this.keptRoot?.renew()) ? this.keptRoot : undefined;
    const lock = kept ?? (await DirectoryLock.acquire(from, this.environment));
    if (!lock) return;
    try {
      await adoptSegments({ fileSystem, from, to: this.path, nextNumber, onAdopted });
      // The topmost one stays, and with it what is in it.
      if (from !== this.root) await adoptQuarantine(fileSystem, from, this.path).catch(unlessMissing);
    } finally {
      if (from !== this.root) await lock.releaseAndRemove();
      else if (lock.isFromSilent) this.keptRoot = lock;
      else await lock.release();
    }
  }

  private async others(): Promise<string[]> {
    const names = await this.environment.fileSystem.list(this.root);
    const own = names.filter((name) => OWN_DIRECTORY.test(name)).map((name) => `${this.root}/${name}`);
    return [this.root, ...own.sort()].filter((directory) => directory !== this.path);
  }

  /** Whether there would be something to adopt or to tidy up, if its owner were dead. */
  private async isWorthwhile(directory: string): Promise<boolean> {
    const { fileSystem } = this.environment;
    const names = await fileSystem.list(directory);
    if (names.some((name) => SEGMENT_NAME.test(name))) return true;
    if (directory === this.root) return false;
    if (names.some((name) => name !== QUARANTINE && !isLockName(name) && !ACK_NAME.test(name))) return false;
    if (!names.includes(QUARANTINE)) return true;
    return (await fileSystem.list(`${directory}/${QUARANTINE}`)).every((name) => SEGMENT_NAME.test(name));
  }

  private async firstNumber(): Promise<number> {
    const names = await this.environment.fileSystem.list(this.path);
    return numberAfter(names.filter((name) => SEGMENT_NAME.test(name) || ACK_NAME.test(name)));
  }
}

function unlessMissing(error: unknown): void {
  if (!isMissing(error)) throw error;
}
