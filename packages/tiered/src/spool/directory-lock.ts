import type { Clock, FileSystem } from '@otel-resilience/core';
import { isMissing, isTaken, quietly } from './file-errors.js';
import { isFreeName, type LockOwner, newFreeName, newLockToken, ownerName, parseOwnerName } from './lock-owner.js';
import type { Processes } from './process-identity.js';
import type { SignsOfLife } from './signs-of-life.js';
import type { StaleWatch } from './stale-watch.js';

/** The directory in which the owner's file lies: its name says who owns. */
export const LOCK = 'lock';
/** `lock-<owner>`: a lock that is being made. */
const DRAFT_PREFIX = 'lock-';
/** `alive-<token>`: where an owner shows that it lives; with `.new` one that is being made. */
const SIGN_NAME = /^alive-[0-9a-f]{16}(\.new)?$/;

/**
 * For how long a renewed lock is certainly its owner's: less than an observer waits before it takes a lock over, so that
 * their clocks may differ in rate by half.
 */
const LEASE_MILLIS = 20_000;

// More than ever contend at once: each turn but the last was lost to somebody who got on.
const MAX_TURNS = 100;

export const isLockName = (name: string): boolean => name === LOCK || SIGN_NAME.test(name) || isDraftName(name);

const isDraftName = (name: string): boolean =>
  name.startsWith(DRAFT_PREFIX) && parseOwnerName(name.slice(DRAFT_PREFIX.length)) !== undefined;

export interface LockEnvironment {
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  readonly processes: Processes;
  /** One for all locks that an observer looks at. */
  readonly watch: StaleWatch;
  /** Absent where there are none. */
  readonly signs?: SignsOfLife | undefined;
}

/** The tokens of this thread's locks, and on which file system each is. */
const ownTokens = new Map<string, WeakRef<FileSystem>>();

/** An owner that can be succeeded; `heartbeat` where only its silence says so. */
interface Predecessor {
  readonly name: string;
  readonly heartbeat: string | undefined;
}

/**
 * One writer per directory, without `flock`, which node does not have. FORMAT.md ("The lock") has the protocol, and why no
 * two processes own a directory at once: a lock comes into being with its owner in it (a directory is renamed to a name
 * that refuses it while it is occupied), and changes hands by the renaming of the owner's file, whose name is never used
 * again. So nothing is half made, and of several successors one finds the file.
 */
export class DirectoryLock {
  readonly directory: string;
  /** The name of the owner's file. */
  readonly owner: string;
  private readonly environment: LockEnvironment;
  private readonly path: string;
  private readonly token = newLockToken();
  private readonly boot: string | undefined;
  private hide: (() => Promise<void>) | undefined;
  private state: 'held' | 'lost' | 'released' = 'held';
  private wasTaken = false;
  private heartbeats = 0;
  private renewedAt = 0;
  private renewedAtWallTime = 0;

  private constructor(directory: string, environment: LockEnvironment, boot: string | undefined) {
    this.directory = directory;
    this.environment = environment;
    this.boot = boot;
    this.owner = ownerName({ ...environment.processes.self(), token: this.token, boot });
    this.path = `${directory}/${LOCK}`;
  }

  /**
   * Resolves to `undefined` where another owner is alive, or cannot be said to be dead.
   *
   * @throws the file system's errors, such as `EROFS`.
   */
  static async acquire(directory: string, environment: LockEnvironment): Promise<DirectoryLock | undefined> {
    const { signs } = environment;
    const lock = new DirectoryLock(directory, environment, await signs?.bootFor(directory));
    let trouble: unknown;
    for (let turn = 0; turn < MAX_TURNS; turn++) {
      try {
        const names = await lock.names();
        if (names.includes(lock.owner)) {
          ownTokens.set(lock.token, new WeakRef(environment.fileSystem));
          await quietly(lock.removeDrafts());
          if (lock.boot !== undefined) lock.hide = await signs?.show(lock.signPath(lock.token));
          return lock;
        }
        const predecessor = await lock.predecessorAmong(names);
        if (predecessor) await lock.succeed(predecessor);
        else if (names.length > 0) return undefined;
        else await lock.make();
      } catch (error) {
        trouble = error;
        // What became of it is seen in the lock: a network file system may repeat a call that had gone well.
        if (!isMissing(error) && !isTaken(error)) break;
      }
    }
    await lock.release();
    throw trouble;
  }

  /**
   * Whether nobody can have taken the lock over yet. When not, nothing may be written before `renew()` has found out. The
   * wall clock counts too: it goes on while a virtual machine is suspended, and a jump of it costs one renewal.
   */
  get isHeld(): boolean {
    const { clock } = this.environment;
    return (
      this.state === 'held' &&
      clock.now() - this.renewedAt < LEASE_MILLIS &&
      Math.abs(clock.wallTime() - this.renewedAtWallTime) < LEASE_MILLIS
    );
  }

  /** Taken over from an owner that was only silent: it may live, and what it did last take effect late. */
  get isFromSilent(): boolean {
    return this.wasTaken;
  }

  /** Taken over by another, which took this owner for dead. */
  get isLost(): boolean {
    return this.state === 'lost';
  }

  /**
   * Resolves to whether the lock is still its owner's. A file that is at its place after it was written was there while
   * it was; who takes it away later looks at it once more, finds this heartbeat, and gives it back.
   *
   * @throws the file system's errors; then nothing has changed.
   */
  async renew(): Promise<boolean> {
    if (this.state !== 'held') return false;
    const { clock } = this.environment;
    const [now, wallTime] = [clock.now(), clock.wallTime()];
    try {
      await this.writeHeartbeat(this.path, 'update');
      await this.readHeartbeat(this.owner);
    } catch (error) {
      if (!isMissing(error)) throw error;
      if (this.state === 'held') this.state = 'lost';
      ownTokens.delete(this.token);
      await this.hide?.();
      return false;
    }
    this.renewedAt = now;
    this.renewedAtWallTime = wallTime;
    return this.state === 'held';
  }

  /** Gives it back, if it is still its owner's; never another's. Does not throw. */
  async release(): Promise<void> {
    if (this.state !== 'held') return;
    this.state = 'released';
    ownTokens.delete(this.token);
    const { fileSystem } = this.environment;
    await quietly(fileSystem.rename(`${this.path}/${this.owner}`, `${this.path}/${newFreeName()}`));
    await this.hide?.();
  }

  /** Gives it back with the directory, unless there is something left in it. Does not throw. */
  async releaseAndRemove(): Promise<void> {
    if (this.state !== 'held') return;
    this.state = 'released';
    ownTokens.delete(this.token);
    const { fileSystem } = this.environment;
    await quietly(fileSystem.remove(`${this.path}/${this.owner}`));
    await this.hide?.();
    await quietly(fileSystem.removeDirectory(this.path));
    await quietly(fileSystem.removeDirectory(this.directory));
  }

  private async names(): Promise<string[]> {
    try {
      return await this.environment.fileSystem.list(this.path);
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  }

  /** Makes a lock where there is none. */
  private async make(): Promise<void> {
    const { fileSystem } = this.environment;
    const draft = `${this.directory}/${DRAFT_PREFIX}${this.owner}`;
    try {
      await fileSystem.makeDirectory(draft);
      await this.writeHeartbeat(draft, 'create');
      // There are systems that rename no directory to the name of another, though it be empty.
      await quietly(fileSystem.removeDirectory(this.path));
      this.beginLease();
      await fileSystem.rename(draft, this.path);
    } catch (error) {
      await removeDraft(fileSystem, draft, this.owner);
      throw error;
    }
  }

  /** Who may be succeeded, of all that are in the lock: nobody while one of them may be alive. */
  private async predecessorAmong(names: readonly string[]): Promise<Predecessor | undefined> {
    const { fileSystem } = this.environment;
    // After a power failure a file that was renamed may be at both its names; its owners are all dead then.
    const found = await Promise.all([...names].sort().map((name) => this.judge(name)));
    const gone = found.filter((each) => each !== undefined);
    if (gone.length < names.length) return undefined;
    const [first, ...others] = gone;
    for (const { name } of others) await quietly(fileSystem.remove(`${this.path}/${name}`));
    return first;
  }

  private async judge(name: string): Promise<Predecessor | undefined> {
    if (isFreeName(name)) return { name, heartbeat: undefined };
    const owner = parseOwnerName(name);
    if (!owner) return undefined;
    const { processes, watch } = this.environment;
    const self = processes.self();
    if (owner.namespace === self.namespace) {
      if (!processes.isAlive(owner)) return { name, heartbeat: undefined };
      // A lock that this thread has on another file system is a copy here: of a disk that a test lets crash, say.
      const own = owner.pid === self.pid ? ownTokens.get(owner.token) : undefined;
      if (own && own.deref() !== this.environment.fileSystem) return { name, heartbeat: undefined };
      // Another thread of this process may have ended, and a pid without a start time be somebody else's by now.
      if (owner.pid !== self.pid && owner.startTime !== undefined) return undefined;
    }
    if (await this.isProvenDead(owner)) return { name, heartbeat: undefined };
    const heartbeat = await this.readHeartbeat(name);
    return watch.observe(`${this.path}/${name}`, heartbeat) ? { name, heartbeat } : undefined;
  }

  /** Of another boot, on a disk that only one kernel has at a time; or of this one, and it answers no more. */
  private async isProvenDead({ boot, token }: LockOwner): Promise<boolean> {
    if (boot === undefined || this.boot === undefined) return false;
    return boot !== this.boot || (await this.environment.signs!.isGone(this.signPath(token)));
  }

  private signPath(token: string): string {
    return `${this.directory}/alive-${token}`;
  }

  private async succeed({ name, heartbeat }: Predecessor): Promise<void> {
    const { fileSystem } = this.environment;
    const [theirs, ours] = [`${this.path}/${name}`, `${this.path}/${this.owner}`];
    this.beginLease();
    await fileSystem.rename(theirs, ours);
    this.wasTaken = heartbeat !== undefined;
    if (heartbeat === undefined || (await this.readHeartbeat(this.owner)) === heartbeat) return;
    // Renewed at the last moment: alive after all.
    await fileSystem.rename(ours, theirs);
  }

  /** Before the lock can be seen as this owner's. */
  private beginLease(): void {
    this.renewedAt = this.environment.clock.now();
    this.renewedAtWallTime = this.environment.clock.wallTime();
  }

  /** Those of claimants that have died, and of those that will find the lock taken; and the signs of earlier owners. */
  private async removeDrafts(): Promise<void> {
    const { fileSystem } = this.environment;
    for (const name of await fileSystem.list(this.directory)) {
      if (SIGN_NAME.test(name)) await quietly(fileSystem.remove(`${this.directory}/${name}`));
      if (!isDraftName(name)) continue;
      await removeDraft(fileSystem, `${this.directory}/${name}`, name.slice(DRAFT_PREFIX.length));
    }
  }

  private async readHeartbeat(owner: string): Promise<string> {
    const file = await this.environment.fileSystem.open(`${this.path}/${owner}`, 'read');
    try {
      const bytes = Buffer.alloc(32);
      return bytes.toString('latin1', 0, await file.read(bytes, 0));
    } finally {
      await quietly(file.close());
    }
  }

  private async writeHeartbeat(directory: string, how: 'create' | 'update'): Promise<void> {
    const file = await this.environment.fileSystem.open(`${directory}/${this.owner}`, how);
    try {
      await file.write([Buffer.from(`${String(++this.heartbeats).padStart(12, '0')}\n`, 'latin1')], 0);
    } finally {
      await quietly(file.close());
    }
  }
}

async function removeDraft(fileSystem: FileSystem, draft: string, owner: string): Promise<void> {
  await quietly(fileSystem.remove(`${draft}/${owner}`));
  await quietly(fileSystem.removeDirectory(draft));
}
