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
import {
  CHECKPOINT_BYTES,
  encodeRecord,
  INVALID_BYTES,
  isBlank,
  placeOf,
  readCheckpoint,
} from './checkpoint-record.js';
import { newLockToken, ownerName, parseOwnerName } from './lock-owner.js';
import { describeLoss, type LostToCrash, lossOf, sumOf } from './lost-to-crash.js';
import { makeDirectorySync } from './make-directory.js';
import { READ_FLAGS } from './node-file-system.js';
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
  | 'mkdirSync'
  | 'openSync'
  | 'writeSync'
  | 'ftruncateSync'
  | 'fsync'
  | 'closeSync'
  | 'readdirSync'
  | 'readFileSync'
  | 'unlinkSync'
>;

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
 * again before it is passed: what it says of a process that was killed is true. What it says after a crash of the machine
 * may be old, or nothing at all: that is then not taken for a bound. Neither is what is left where it could not be written.
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
      if (this.file === undefined) this.create();
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

  private create(): void {
    makeDirectorySync(this.directory, this.fs);
    this.file = this.fs.openSync(join(this.directory, this.name), 'w', 0o600);
    this.makeLasting(this.file);
    // Its place on the disk, so that a full one does not matter later.
    this.fs.writeSync(this.file, new Uint8Array(CHECKPOINT_BYTES), 0, CHECKPOINT_BYTES, 0);
  }

  /** That there is one, so that after a crash of the machine something is found, however old. Nobody waits for it. */
  private makeLasting(file: number): void {
    const { fs, directory } = this;
    fs.fsync(file, () => {
      try {
        const parent = fs.openSync(directory, 'r');
        fs.fsync(parent, () => this.quietly(() => fs.closeSync(parent)));
      } catch {
        // As on Windows, which opens no directories.
      }
    });
  }

  private write(ended: number, settled: number): void {
    const sequence = this.sequence + 1;
    const reserved = ended + this.reserve;
    const record = encodeRecord({ sequence, wallMillis: this.clock.wallTime(), reserved, settled });
    try {
      const bytes = this.fs.writeSync(this.file!, record, 0, record.length, placeOf(sequence));
      if (bytes < record.length) throw new Error('the record was cut off');
    } catch (error) {
      // What it says is no bound any more.
      this.fs.ftruncateSync(this.file!, INVALID_BYTES);
      throw error;
    }
    this.sequence = sequence;
    this.reserved = reserved;
    this.written = { ended, settled, at: this.clock.now() };
  }

  private lookForOthers(): void {
    const names = ifThere(() => this.fs.readdirSync(this.directory)) ?? [];
    if (!names.includes(this.name)) this.beginAnew();
    for (const name of names) {
      if (name === this.name || !isCheckpointName(name)) continue;
      // One that cannot be read hides no other.
      this.quietly(() => this.lookAt(name));
    }
  }

  private lookAt(name: string): void {
    const path = join(this.directory, name);
    const bytes = readIfThere(this.fs, path);
    if (bytes === undefined || !this.isDead(name, bytes)) return;
    // Of several that find it, one takes it away.
    if (removed(this.fs, path)) this.report(name, bytes);
  }

  /** Somebody has taken this process for dead, or removed the directory: what is written into the file is seen by nobody. */
  private beginAnew(): void {
    const { file } = this;
    this.file = undefined;
    this.written = { ...this.written, at: Number.NEGATIVE_INFINITY };
    if (file !== undefined) this.fs.closeSync(file);
  }

  private isDead(name: string, bytes: Uint8Array): boolean {
    const owner = parseOwnerName(name.slice(PREFIX.length))!;
    const state = stateOf(owner, this.processes);
    if (state !== 'unknown') return state === 'dead';
    return this.watch.observe(name, Buffer.from(bytes).toString('hex'));
  }

  private report(name: string, bytes: Uint8Array): void {
    const record = readCheckpoint(bytes);
    const { boot } = parseOwnerName(name.slice(PREFIX.length))!;
    // What was written to a file is there then, whether it was synced or not.
    const hasMachineLived = boot !== undefined && boot === this.processes.self().boot;
    if (!record && hasMachineLived && isBlank(bytes)) return; // killed before its first span
    const loss = lossOf(record, hasMachineLived);
    this.lost = this.lost ? sumOf(this.lost, loss) : loss;
    this.log.warn('lost', () => describeLoss(loss));
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
  return ifThere(() => {
    const file = fs.openSync(path, READ_FLAGS);
    try {
      return fs.readFileSync(file);
    } finally {
      fs.closeSync(file);
    }
  });
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
