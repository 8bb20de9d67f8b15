import type { OpenedDirectory } from './opened-directory.js';
import { type Damage, noDamage } from './segment-reader.js';

export interface SpoolStatus {
  /**
   * `closed`: not opened yet, or shut down. `memory`: the disk cannot be written to, for `error`; it is tried again, and
   * what waits in memory then goes there.
   */
  readonly mode: 'closed' | 'opening' | 'disk' | 'memory';
  readonly error?: string;
  /** Where the segments of this process are. */
  readonly directory: string;
  readonly segments: number;
  /** Waiting in memory: lost if the process ends. */
  readonly spansInMemory: number;
  /** Frames that were damaged, and skipped. */
  readonly corrupt: Readonly<Damage>;
  /** Batches dropped as poison since it was opened: a copy of each is in `quarantine/`, 64 MiB of them at most. */
  readonly quarantined: number;
  /** What a crash had left of appends, cut off when it was opened. */
  readonly torn: Readonly<Damage>;
  /** Names in the directory that are not ours; they are left alone. */
  readonly foreign: readonly string[];
}

/** What is known of the directory. */
export const statusOf = (opened: OpenedDirectory | undefined, directory: string) => ({
  directory: opened?.owned.path ?? directory,
  segments: opened?.disk.segments ?? 0,
  corrupt: { ...(opened?.disk.corrupt ?? noDamage()) },
  quarantined: opened?.disk.quarantined ?? 0,
  torn: { ...(opened?.recovered.torn ?? noDamage()) },
  foreign: opened?.recovered.foreign ?? [],
});
