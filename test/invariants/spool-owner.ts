import { deliveredOutcome, type FileSystem, totalDropped } from '@otel-resilience/core';
import type { FaultyDisk, VirtualClock } from '@otel-resilience/testing';
import { Spool, type SpoolLease } from '@otel-resilience/tiered';
import type { AppendedSpans } from './appended-spans.js';
import type { SpoolSettings } from './disk-spool-commands.js';
import { SimulatedProcess } from './simulated-process.js';
import { INTERVAL_MILLIS, type Promiser } from './spool-promises.js';

/** A process with its spool, and what it must have counted. */
export interface Owner extends Promiser {
  readonly process: SimulatedProcess;
  readonly spool: Spool;
  /** What was recovered may be more than there is room for, until something is appended. */
  bytesAtFirst: number;
  readonly leases: Array<{ lease: SpoolLease; names: string[] }>;
  readonly counts: { accepted: number; delivered: number; rejected: number; poison: number };
}

export interface OwnerOptions {
  readonly settings: SpoolSettings;
  /** Between the spools and the disk. */
  readonly through?: (disk: FileSystem) => FileSystem;
}

const DIRECTORY = '/var/spool/spans';
const MAX_AGE_MILLIS = 300_000;
const GIVE_UP_MILLIS = 600_000;

export function makeOwner({ settings, through }: OwnerOptions, disk: FaultyDisk, clock: VirtualClock): Owner {
  const { fsync, order, maxSegmentBytes, maxBytes, dropPolicy } = settings;
  const process = new SimulatedProcess(through?.(disk) ?? disk, clock, disk);
  const spool = new Spool({
    directory: DIRECTORY,
    fileSystem: process.fileSystem,
    clock: process.clock,
    fsync,
    fsyncIntervalMillis: INTERVAL_MILLIS,
    order,
    maxSegmentBytes,
    maxBytes,
    maxAgeMillis: MAX_AGE_MILLIS,
    dropPolicy,
  });
  const counts = { accepted: 0, delivered: 0, rejected: 0, poison: 0 };
  return { process, spool, openedAt: clock.now(), bytesAtFirst: 0, leases: [], counts };
}

export const within = <T>(clock: VirtualClock, promise: Promise<T>): Promise<T> => clock.run(promise, GIVE_UP_MILLIS);

/** Takes all that a new process finds on a disk, as the only one on its machine. */
export async function drain(
  options: OwnerOptions,
  disk: FaultyDisk,
  clock: VirtualClock,
  appended: AppendedSpans,
): Promise<{ seen: Set<string>; givenUp: number }> {
  disk.capacityBytes = undefined;
  const owner = makeOwner(options, disk, clock);
  const { spool, process } = owner;
  const seen = new Set<string>();
  await within(clock, spool.open());
  for (;;) {
    const lease = await within(clock, spool.lease());
    if (!lease) break;
    for (const name of appended.namesIn(lease.batch)) seen.add(name);
    lease.settle(deliveredOutcome(lease.batch.spanCount));
  }
  await within(clock, spool.shutdown());
  process.die();
  const stats = spool.stats();
  const { accepted, recovered, waiting, delivered, rejected, dropped, balanced } = stats;
  const isSound = balanced && accepted + waiting + rejected === 0 && recovered === delivered + totalDropped(dropped);
  if (!isSound) throw new Error(`after a crash: ${JSON.stringify(stats)}`);
  if (disk.openFiles > 0) throw new Error(`after a crash and shutdown ${disk.openFiles} files are open`);
  checkStopped(owner);
  return { seen, givenUp: givenUpBy(spool) };
}

export function checkStopped({ spool, process }: Owner): void {
  if (process.pendingTimers > 0) throw new Error(`after shutdown ${process.pendingTimers} timers are pending`);
  if (spool.status().mode !== 'closed') throw new Error(`after shutdown: ${spool.status().mode}`);
}

/** Spans that are gone, and were counted. */
export function givenUpBy(spool: Spool): number {
  const { full = 0, expired = 0, shutdown = 0 } = spool.stats().dropped;
  return full + expired + shutdown;
}
