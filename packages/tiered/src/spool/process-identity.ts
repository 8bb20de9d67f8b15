import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** Which process: a pid alone says nothing once it is reused, or seen from another machine or container. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, in a unit of its own; `undefined` where the system does not tell. */
  readonly startTime: number | undefined;
  /** Where its pid is valid: 16 hex digits. Only a process of the same namespace can judge it by its pid. */
  readonly namespace: string;
  /** Since when its machine runs, 16 hex digits: what was written since then is there, whatever became of processes. */
  readonly boot?: string | undefined;
}

/** The processes of this machine, as far as a lock needs to know them. */
export interface Processes {
  self(): ProcessIdentity;
  /** Asked only for an identity of this process's own namespace. */
  isAlive(identity: ProcessIdentity): boolean;
}

/** `unknown`: of another machine or container, where its pid says nothing. */
export type ProcessState = 'alive' | 'dead' | 'unknown';

export function stateOf(identity: ProcessIdentity, processes: Processes): ProcessState {
  if (identity.namespace !== processes.self().namespace) return 'unknown';
  return processes.isAlive(identity) ? 'alive' : 'dead';
}

export const systemProcesses: Processes = {
  self() {
    // A process that was restored from a snapshot has another pid than the one that loaded this module.
    if (self?.pid !== process.pid) {
      const { pid } = process;
      self = { pid, startTime: readStat(pid)?.startTime, namespace: readNamespace(), boot: readBoot() };
    }
    return self;
  },

  isAlive({ pid, startTime }) {
    try {
      process.kill(pid, 0);
    } catch (error) {
      // EPERM: it is there, and another user's.
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    }
    // Mounted with hidepid, /proc does not show the processes of other users: nothing more is known then.
    const stat = readStat(pid);
    if (!stat) return true;
    // A process killed in a container whose init reaps nobody stays as a zombie for ever.
    if (stat.state === 'Z' || stat.state === 'X') return false;
    return startTime === undefined || startTime === stat.startTime;
  },
};

let self: ProcessIdentity | undefined;

/** proc_pid_stat(5): the name, in parentheses, may hold any character; `state` is the 3rd field, `starttime` the 22nd. */
function readStat(pid: number): { state: string; startTime: number } | undefined {
  const stat = readText(() => readFileSync(`/proc/${pid}/stat`, 'latin1'));
  if (stat === undefined) return undefined;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const startTime = Number(fields[19]);
  return Number.isSafeInteger(startTime) ? { state: fields[0]!, startTime } : undefined;
}

/**
 * On Linux the boot, the pid namespace and the time namespace (by which start times are shifted). The kernel gives the
 * number of a namespace to another one only once all its processes have ended, so a mistaken identity is a dead one.
 */
function readNamespace(): string {
  if (process.platform !== 'linux') return digest(`${process.platform} ${hostname()}`);
  const boot = readText(() => readFileSync(BOOT_ID, 'latin1'));
  const pids = readText(() => readlinkSync('/proc/self/ns/pid'));
  // Without them nobody can be judged by this process, nor it by anybody: each has a namespace of its own.
  if (boot === undefined || pids === undefined) return randomBytes(8).toString('hex');
  return digest(`${boot} ${pids} ${readText(() => readlinkSync('/proc/self/ns/time')) ?? ''}`);
}

/** That of a container, where it has one of its own: one that was started anew is then another. */
function readBoot(): string | undefined {
  if (process.platform !== 'linux') return undefined;
  const boot = readText(() => readFileSync(BOOT_ID, 'latin1'));
  return boot === undefined ? undefined : digest(boot);
}

export const BOOT_ID = '/proc/sys/kernel/random/boot_id';

export const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);

function readText(read: () => string): string | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
