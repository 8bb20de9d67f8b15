import { ConfigurationError, sleep, systemClock } from '@otel-resilience/core';
import { type ListedOwner, Spool } from '@otel-resilience/tiered';
import { CommandError, EXIT } from '../exit-code.js';
import type { Terminal } from '../terminal.js';
import { directoryError, inUse } from './directory-error.js';
import { read } from './ls.js';

export interface OpenSpoolOptions {
  readonly directory: string;
  readonly order: 'oldest' | 'newest';
  readonly terminal: Terminal;
  readonly interruption: AbortSignal;
}

/** Nothing may be given up for its age or for lack of room: what is left is somebody's to decide about. */
const KEEP_ALL = { maxBytes: Number.MAX_SAFE_INTEGER, maxAgeMillis: 100 * 365 * 86_400_000 };
/** An owner that cannot be judged by its pid is succeeded after 30 s without a sign of life, looked for every 5 s. */
const MAX_WAIT_MILLIS = 60_000;
const LOOK_INTERVAL_MILLIS = 2_000;

/** Opens a spool that nobody else uses. */
export async function openSpool({ directory, order, terminal, interruption }: OpenSpoolOptions): Promise<Spool> {
  const owner = await ownerOf(directory);
  if (owner?.state === 'alive') throw inUse(directory, owner.pid);
  const spool = new Spool({ directory, order, required: true, fsync: 'always', ...KEEP_ALL });
  try {
    await spool.open();
    if (spool.status().directory === directory) return spool;
    // The lock is somebody's: ours is a directory in it.
    if (owner?.state !== 'unknown') throw inUse(directory, owner?.pid);
    terminal.note(
      `${directory}: waiting, for 30 s or so, for a sign of life of process ${owner.pid} of another machine or container`,
    );
    await succeed(directory, owner, interruption);
    return spool;
  } catch (error) {
    await spool.shutdown();
    throw error instanceof CommandError ? error : await unusable(directory, error);
  }
}

/** Resolves when the spool, which looks for the dead with every heartbeat, has taken over what was the owner's. */
async function succeed(directory: string, owner: ListedOwner, interruption: AbortSignal): Promise<void> {
  const deadline = systemClock.now() + MAX_WAIT_MILLIS;
  let isMoved = false;
  while (systemClock.now() < deadline) {
    if (!(await sleep(systemClock, LOOK_INTERVAL_MILLIS, interruption))) break;
    const { directories } = await read(directory);
    const [root] = directories;
    // Moved by now; one more look, until the spool has read all of it.
    if (root?.segments.length === 0 && isMoved) return;
    isMoved = root?.segments.length === 0;
    if (root?.owner && root.owner.heartbeat !== owner.heartbeat) break;
  }
  throw inUse(directory, owner.pid, true);
}

async function ownerOf(directory: string): Promise<ListedOwner | undefined> {
  return (await read(directory)).directories[0]?.owner;
}

async function unusable(directory: string, error: unknown): Promise<Error> {
  if (!(error instanceof ConfigurationError)) return error as Error;
  const code = /\b(E[A-Z]{3,})\b/.exec(error.got)?.[1];
  if (code) return directoryError(directory, { code, message: error.got });
  return new CommandError(EXIT.usage, error.message, 'Look at the directory and its disk.');
}
