import type { FileSystem, OpenFile } from '@otel-resilience/core';
import type { Processes, ProcessIdentity } from './process-identity.js';
import type { SignsOfLife } from './signs-of-life.js';

/** A machine, or a container: the pids of its processes mean something to each other. */
export class SimulatedMachine {
  private readonly namespace: string;
  private readonly startTimes = new Map<number, number>();
  private started = 0;

  /** Sixteen hex digits. */
  constructor(namespace = '00000000000000aa') {
    this.namespace = namespace;
  }

  /** A process, by default with a pid of its own. */
  start(fileSystem: FileSystem, { pid = 101 + this.started, startTime = 1 + this.started } = {}): SimulatedProcess {
    this.started++;
    const identity: ProcessIdentity = { pid, startTime, namespace: this.namespace };
    this.startTimes.set(pid, startTime);
    const processes: Processes = {
      self: () => identity,
      isAlive: (other) => this.startTimes.get(other.pid) === other.startTime,
    };
    return new SimulatedProcess(fileSystem, processes, () => {
      if (this.startTimes.get(pid) === startTime) this.startTimes.delete(pid);
    });
  }
}

/**
 * One that can be killed at any moment: it makes no call any more, and none is answered. What it had called before has its
 * effect all the same, as with a kernel that is within the call.
 */
export class SimulatedProcess implements FileSystem {
  readonly processes: Processes;
  isKilled = false;
  /** Awaited before each call, by name and path. */
  before: (call: string, path: string) => void | Promise<void> = () => {};
  /** Called once a call has had its effect, though the process was killed in the meantime and will not know. */
  done: (call: string, path: string) => void = () => {};
  private readonly fileSystem: FileSystem;
  private readonly onKill: () => void;

  constructor(fileSystem: FileSystem, processes: Processes, onKill: () => void) {
    this.fileSystem = fileSystem;
    this.processes = processes;
    this.onKill = onKill;
  }

  kill(): void {
    this.isKilled = true;
    this.onKill();
  }

  makeDirectory = (path: string) => this.call('makeDirectory', path, () => this.fileSystem.makeDirectory(path));
  list = (path: string) => this.call('list', path, () => this.fileSystem.list(path));
  rename = (from: string, to: string) => this.call('rename', from, () => this.fileSystem.rename(from, to));
  remove = (path: string) => this.call('remove', path, () => this.fileSystem.remove(path));
  removeDirectory = (path: string) => this.call('removeDirectory', path, () => this.fileSystem.removeDirectory(path));
  syncDirectory = (path: string) => this.call('syncDirectory', path, () => this.fileSystem.syncDirectory(path));

  open = async (path: string, how: 'create' | 'update' | 'read'): Promise<OpenFile> => {
    const file = await this.call(how, path, () => this.fileSystem.open(path, how));
    return {
      size: () => this.call('size', path, () => file.size()),
      read: (into, position) => this.call('read', path, () => file.read(into, position)),
      write: (chunks, position) => this.call('write', path, () => file.write(chunks, position)),
      sync: () => this.call('sync', path, () => file.sync()),
      truncate: (length) => this.call('truncate', path, () => file.truncate(length)),
      close: () => this.call('close', path, () => file.close()),
    };
  };

  private async call<T>(name: string, path: string, make: () => Promise<T>): Promise<T> {
    if (!this.isKilled) await this.before(name, path);
    if (this.isKilled) return never();
    const answer = await make();
    this.done(name, path);
    return this.isKilled ? never() : answer;
  }
}

/** Of the processes of one kernel, whatever their containers. */
export class SimulatedSigns {
  private readonly shown = new Map<string, SimulatedProcess>();

  of(process: SimulatedProcess): SignsOfLife {
    return {
      bootFor: async () => '00000000000000cc',
      show: async (path) => {
        const file = await process.open(path, 'create');
        await file.close();
        this.shown.set(path, process);
        return async () => {
          this.shown.delete(path);
          await process.remove(path).catch(() => {});
        };
      },
      isGone: async (path) => this.shown.get(path)?.isKilled ?? false,
    };
  }
}

const never = () => new Promise<never>(() => {});
