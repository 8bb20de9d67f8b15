import * as nodeFs from 'node:fs';
import { join } from 'node:path';
import {
  type Clock,
  describeError,
  LimitedLog,
  suppressTracing,
  systemClock,
  type Timer,
  toError,
} from '@otel-resilience/core';
import { CHECKPOINT_BYTES, encodeRecord, placeOf, readCheckpoint } from './checkpoint-record.js';
import { newLockToken, ownerName, parseOwnerName } from './lock-owner.js';
import { type Processes, stateOf, systemProcesses } from './process-identity.js';
import { HEARTBEAT_MILLIS, StaleWatch } from './stale-watch.js';

/** The books that are written down: those of a processor, less what of them would not survive the process. */
export interface CheckpointedBooks {
  /**
   * Spans that have ended, and those of them that cannot be lost any more: sent, stored durably, or given up; counted as
   * such, since it is asked in the middle of the end of a span, which is in no state yet.
   */
  read(): { readonly ended: number; readonly settled: number };
  /** See `Ledger.witness`. */
  witness(limit: number, extend: (ended: number) => number): void;
}

export interface LedgerCheckpointOptions {
  /** Where the spool is: one file per process lies in it. */
  readonly directory: string;
  readonly books: CheckpointedBooks;
  readonly clock?: Clock;
  /** Default: those of this machine. */
  readonly processes?: Processes;
  /** Default: `node:fs`. Everything is done at once: a few bytes, before the span that needs them has ended. */
  readonly fs?: CheckpointFs;
}

export type CheckpointFs = Pick<
  typeof nodeFs,
  'mkdirSync' | 'openSync' | 'writeSync' | 'closeSync' | 'readdirSync' | 'readFileSync' | 'unlinkSync'
>;

/** What earlier processes with this directory have lost, that ended without a shutdown. */
export interface LostToCrash {
  readonly processes: number;
  /** Spans, at most: that had ended, and were neither sent nor in the spool, as far as is written. */
  readonly atMost: number;
  /** When the last of them was last heard of, in milliseconds since 1970. */
  readonly lastHeardOf: number;
}

const INTERVAL_MILLIS = 1_000;
/** So many records a second besides, as long as spans end as fast as in the second before; 10 µs each. */
const EXTENSIONS = 8;
const MIN_RESERVE = 16;
const MAX_RESERVE = 65_536;
const PREFIX = 'checkpoint-';

export const isCheckpointName = (name: string): boolean =>
  name.startsWith(PREFIX) && parseOwnerName(name.slice(PREFIX.length)) !== undefined;

/**
 * Writes down every second how many spans of this process may have ended, and how many are safe, so that the next one
 * can say how many were lost at most if this one is killed. The number of ended spans is reserved ahead, and written
 * again before it is passed: what it says of a process that was killed is true. (After a crash of the machine, the file
 * may be some seconds old.)
 */
export class LedgerCheckpoint {
  private readonly directory: string;
  private readonly books: CheckpointedBooks;
  private readonly clock: Clock;
  private readonly processes: Processes;
  private readonly fs: CheckpointFs;
  private readonly watch: StaleWatch;
  private readonly log: LimitedLog;
  private readonly name: string;
  private file: number | undefined;
  private sequence = 0;
  /** How many spans may end before the next record. */
  private reserve = MIN_RESERVE;
  private reserved = 0;
  private extensions = 0;
  private endedAtTick = 0;
  private written = { ended: 0, settled: 0, at: Number.NEGATIVE_INFINITY };
  private lookedAt = Number.NEGATIVE_INFINITY;
  private timer: Timer | undefined;
  private lost: LostToCrash | undefined;
  private closed = false;

  /** Touches nothing yet. */
  constructor({
    directory,
    books,
    clock = systemClock,
    processes = systemProcesses,
    fs = nodeFs,
  }: LedgerCheckpointOptions) {
    this.directory = directory;
    this.books = books;
    this.clock = clock;
    this.processes = processes;
    this.fs = fs;
    this.watch = new StaleWatch(clock);
    this.log = new LimitedLog('LedgerCheckpoint', { clock });
    this.name = PREFIX + ownerName({ ...processes.self(), token: newLockToken() });
  }

  /** `undefined`: nothing, as far as is known. */
  get lostToCrash(): LostToCrash | undefined {
    return this.lost;
  }

  /** Looks for those of processes that have ended, and begins its own. Never throws: what fails is tried again. */
  start(): void {
    if (this.timer || this.closed) return;
    this.tick();
  }

  /** After everything has been shut down: nothing of this process can be lost any more. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.clock.clearTimeout(this.timer);
    this.books.witness(Number.POSITIVE_INFINITY, () => Number.POSITIVE_INFINITY);
    this.quietly(() => {
      if (this.file === undefined) return;
      this.fs.closeSync(this.file);
      this.fs.unlinkSync(join(this.directory, this.name));
    });
  }

  private tick(): void {
    this.quietly(() => {
      const now = this.clock.now();
      this.file ??= this.create();
      const { ended, settled } = this.books.read();
      this.reserve = within(Math.ceil((ended - this.endedAtTick) / EXTENSIONS));
      this.endedAtTick = ended;
      this.extensions = 0;
      const isNews = ended !== this.written.ended || settled !== this.written.settled;
      if (isNews || now - this.written.at >= HEARTBEAT_MILLIS) this.write(ended, settled);
      if (now - this.lookedAt < HEARTBEAT_MILLIS) return;
      this.lookedAt = now;
      this.lookForOthers();
    });
    this.books.witness(this.reserved, this.extend);
    this.timer = this.clock.setTimeout(() => this.tick(), INTERVAL_MILLIS);
  }

  /** In the middle of the end of a span. */
  private readonly extend = (ended: number): number => {
    if (++this.extensions > EXTENSIONS) this.reserve = within(2 * this.reserve);
    // What fails here is no reason to try at every span.
    this.reserved = ended + this.reserve;
    this.quietly(() => {
      if (this.file !== undefined) this.write(ended, this.books.read().settled);
    });
    return this.reserved;
  };

  private create(): number {
    this.fs.mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    const file = this.fs.openSync(join(this.directory, this.name), 'w', 0o600);
    // Its place on the disk, so that a full one does not matter later.
    this.fs.writeSync(file, new Uint8Array(CHECKPOINT_BYTES), 0, CHECKPOINT_BYTES, 0);
    return file;
  }

  private write(ended: number, settled: number): void {
    const sequence = this.sequence + 1;
    const reserved = ended + this.reserve;
    const record = encodeRecord({ sequence, wallMillis: this.clock.wallTime(), reserved, settled });
    this.fs.writeSync(this.file!, record, 0, record.length, placeOf(sequence));
    this.sequence = sequence;
    this.reserved = reserved;
    this.written = { ended, settled, at: this.clock.now() };
  }

  private lookForOthers(): void {
    for (const name of this.fs.readdirSync(this.directory)) {
      if (name === this.name || !isCheckpointName(name)) continue;
      const path = join(this.directory, name);
      const bytes = readIfThere(this.fs, path);
      if (bytes === undefined || !this.isDead(name, bytes)) continue;
      // Of several that find it, one takes it away.
      if (removed(this.fs, path)) this.report(bytes);
    }
  }

  private isDead(name: string, bytes: Uint8Array): boolean {
    const owner = parseOwnerName(name.slice(PREFIX.length))!;
    const state = stateOf(owner, this.processes);
    if (state !== 'unknown') return state === 'dead';
    return this.watch.observe(name, Buffer.from(bytes).toString('hex'));
  }

  private report(bytes: Uint8Array): void {
    const record = readCheckpoint(bytes);
    if (!record) return; // killed before it had written anything: before its first span
    const atMost = Math.max(0, record.reserved - record.settled);
    const before = this.lost ?? { processes: 0, atMost: 0, lastHeardOf: 0 };
    this.lost = {
      processes: before.processes + 1,
      atMost: before.atMost + atMost,
      lastHeardOf: Math.max(before.lastHeardOf, record.wallMillis),
    };
    const when = new Date(record.wallMillis).toISOString();
    this.log.warn(
      'lost',
      () => `a process that was last heard of at ${when} has ended without a shutdown: it lost at most ${atMost} spans`,
    );
  }

  private quietly(work: () => void): void {
    try {
      suppressTracing(work);
    } catch (thrown) {
      const { directory } = this;
      this.log.warn('file', () => `${directory}: no checkpoint can be written: ${describeError(toError(thrown))}`);
    }
  }
}

const within = (reserve: number): number => Math.min(MAX_RESERVE, Math.max(MIN_RESERVE, reserve));

function readIfThere(fs: CheckpointFs, path: string): Uint8Array | undefined {
  return ifThere(() => fs.readFileSync(path));
}

function removed(fs: CheckpointFs, path: string): boolean {
  return (
    ifThere(() => {
      fs.unlinkSync(path);
      return true;
    }) === true
  );
}

/** `undefined`: somebody else was faster. */
function ifThere<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (thrown) {
    if ((thrown as { code?: unknown }).code === 'ENOENT') return undefined;
    throw thrown;
  }
}
