import type { Clock, FileSystem, OpenFile, Timer } from '@otel-resilience/core';
import type { VirtualClock } from '@otel-resilience/testing';
import type { Processes } from '../../packages/tiered/src/spool/process-identity.js';

const NAMESPACE = '0'.repeat(16);
const byFileSystem = new WeakMap<FileSystem, SimulatedProcess>();
let lastPid = 0;

/** The processes as the one sees them that has this file system. */
export function processesSeenBy(fileSystem: FileSystem): Processes | undefined {
  const process = byFileSystem.get(fileSystem);
  return (
    process && {
      self: () => ({ pid: process.pid, startTime: 1, namespace: NAMESPACE }),
      isAlive: ({ pid }) => process.machine.has(pid),
    }
  );
}

/** The pids of what runs on a machine: each disk is in one. */
const machines = new WeakMap<object, Set<number>>();

/** Who uses its clock and its file system has a pid, and stops when it dies: no call and no timer comes to an end. */
export class SimulatedProcess {
  readonly pid = ++lastPid;
  readonly clock: Clock;
  readonly fileSystem: FileSystem;
  private readonly timers = new Set<Timer>();

  readonly machine: Set<number>;

  constructor(fileSystem: FileSystem, clock: VirtualClock, disk: object) {
    this.machine = machines.get(disk) ?? new Set();
    machines.set(disk, this.machine.add(this.pid));
    this.fileSystem = this.fileSystemOver(fileSystem);
    byFileSystem.set(this.fileSystem, this);
    this.clock = {
      now: () => clock.now(),
      wallTime: () => clock.wallTime(),
      setTimeout: (callback, delayMillis) => {
        const timer = clock.setTimeout(() => {
          this.timers.delete(timer);
          if (this.isAlive) callback();
        }, delayMillis);
        this.timers.add(timer);
        return timer;
      },
      clearTimeout: (timer) => {
        if (timer) this.timers.delete(timer);
        clock.clearTimeout(timer);
      },
    };
  }

  get isAlive(): boolean {
    return this.machine.has(this.pid);
  }

  get pendingTimers(): number {
    return this.timers.size;
  }

  die(): void {
    this.machine.delete(this.pid);
  }

  private fileSystemOver(disk: FileSystem): FileSystem {
    return {
      makeDirectory: (path) => this.call(() => disk.makeDirectory(path)),
      list: (path) => this.call(() => disk.list(path)),
      rename: (from, to) => this.call(() => disk.rename(from, to)),
      remove: (path) => this.call(() => disk.remove(path)),
      removeDirectory: (path) => this.call(() => disk.removeDirectory(path)),
      syncDirectory: (path) => this.call(() => disk.syncDirectory(path)),
      open: async (path, how) => this.fileOver(await this.call(() => disk.open(path, how))),
    };
  }

  private fileOver(file: OpenFile): OpenFile {
    return {
      size: () => this.call(() => file.size()),
      read: (into, position) => this.call(() => file.read(into, position)),
      write: (chunks, position) => this.call(() => file.write(chunks, position)),
      sync: () => this.call(() => file.sync()),
      truncate: (length) => this.call(() => file.truncate(length)),
      close: () => this.call(() => file.close()),
    };
  }

  private async call<T>(make: () => Promise<T>): Promise<T> {
    if (!this.isAlive) return never();
    try {
      return await make();
    } finally {
      if (!this.isAlive) await never();
    }
  }
}

const never = () => new Promise<never>(() => {});
