import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fsck } from '@otel-resilience/tiered';
import { Random } from '../invariants/unbiased/random.js';
import { bundle } from '../support/bundle.js';
import { CrashBooks } from './crash-books.js';
import { type Job, planKill } from './crash-plan.js';
import { LossBooks } from './loss-books.js';
import { WarmProcesses } from './warm-processes.js';

/** Directories in which processes are killed at the same time. */
const LANES = 2;
/** How often two processes share a directory. */
const COMPANY = 0.15;
/** How often what was left is checked and repaired before the next process comes. */
const CHECKS = 0.1;
/** More than a process appends. */
const IDS_APART = 2_000;

export interface CrashReport {
  kills: number;
  /** How often by phase, and by operation where it was aimed at one. */
  readonly kinds: ReadonlyMap<string, number>;
  readonly acknowledged: number;
  readonly receipts: number;
  /** Received once more. */
  readonly duplicates: number;
  readonly recovered: number;
  /** Spans that had ended in a process; those of them that nobody ever received; and what was said of these. */
  readonly ended: number;
  readonly lost: number;
  readonly lostAtMost: number;
  /** Processes of which a later one has told what they had lost, and those of which none could. */
  readonly reported: number;
  readonly unsaid: number;
  readonly violations: readonly string[];
  readonly millis: number;
}

/** Kills processes one after the other; each but the first recovers what those before have left. */
export async function crashCycles({ cycles, seed }: { cycles: number; seed: number }): Promise<CrashReport> {
  const begin = performance.now();
  const scratch = await mkdtemp(join(tmpdir(), 'otel-resilience-crash-'));
  const script = join(scratch, 'spool-process.mjs');
  const processes = new WarmProcesses(script, LANES);
  try {
    await writeFile(script, await bundle(new URL('./spool-process.ts', import.meta.url)));
    const lanes = Array.from({ length: LANES }, (_, index) => {
      return new Lane(join(scratch, `lane-${index}`), new Random(seed + index), processes);
    });
    await Promise.all(lanes.map((lane) => lane.run(Math.ceil(cycles / LANES))));
    const sum = (count: (books: CrashBooks) => number) => lanes.reduce((total, { books }) => total + count(books), 0);
    const loss = (count: (losses: LossBooks) => number) =>
      lanes.reduce((total, { losses }) => total + count(losses), 0);
    const kinds = new Map<string, number>();
    for (const kind of lanes.flatMap((lane) => lane.kinds)) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    return {
      kills: lanes.reduce((total, lane) => total + lane.kinds.length, 0),
      kinds,
      acknowledged: sum(({ acknowledged }) => acknowledged),
      receipts: sum(({ receipts }) => receipts),
      duplicates: sum(({ duplicates }) => duplicates),
      recovered: sum(({ recovered }) => recovered),
      ended: loss(({ ended }) => ended),
      lost: loss(({ lost }) => lost),
      lostAtMost: loss(({ atMost }) => atMost),
      reported: loss(({ reported }) => reported),
      unsaid: loss(({ unsaid }) => unsaid),
      violations: lanes.flatMap(({ books, losses }) => [...books.violations, ...losses.violations]),
      millis: performance.now() - begin,
    };
  } finally {
    await processes.close();
    await rm(scratch, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** A directory, and the processes that come and go in it. */
class Lane {
  readonly books = new CrashBooks();
  readonly losses: LossBooks;
  /** Where each process was when it was killed. */
  readonly kinds: string[] = [];
  private readonly path: string;
  private readonly random: Random;
  private readonly processes: WarmProcesses;
  private readonly directory: string;
  private sessions = 0;

  constructor(path: string, random: Random, processes: WarmProcesses) {
    this.path = path;
    this.random = random;
    this.processes = processes;
    this.directory = join(path, 'spool');
    this.losses = new LossBooks(this.directory);
  }

  async run(kills: number): Promise<void> {
    await mkdir(this.path);
    while (this.kinds.length < kills) {
      const jobs = Array.from({ length: this.random.chance(COMPANY) ? 2 : 1 }, (_, index) => this.job(index, true));
      this.kinds.push(...(await this.perform(jobs)));
      if (this.random.chance(CHECKS)) await this.repair();
    }
    for (let left = 2; left > 0; left--) {
      const [end] = await this.perform([this.job(0, false)]);
      if (end !== 'shutdown done') this.books.violations.push(`ended in ${end}`);
    }
    this.losses.close((id) => this.books.isSafe(id));
    await this.checkDirectory();
  }

  private job(index: number, isKilled: boolean): Job {
    const { random } = this;
    return {
      directory: this.directory,
      log: join(this.path, `${++this.sessions}.log`),
      seed: random.integer(1, 2 ** 30),
      firstId: this.books.nextId + index * IDS_APART,
      fsync: (['always', 'interval', 'never'] as const)[random.pick([2, 1, 1])]!,
      order: random.chance(0.7) ? 'oldest' : 'newest',
      ...(isKilled && { kill: planKill(random) }),
    };
  }

  /** At the same time; returns where each was when it ended. */
  private async perform(jobs: readonly Job[]): Promise<string[]> {
    const { books } = this;
    const context = JSON.stringify(jobs);
    const ends = await Promise.all(jobs.map((job) => this.processes.perform(job)));
    for (const [index, { signal, code, errors }] of ends.entries()) {
      const isAsPlanned = jobs[index]!.kill ? signal === 'SIGKILL' : code === 0;
      if (!isAsPlanned || errors) books.violations.push(`${signal ?? code} ${errors.slice(0, 2_000)}: ${context}`);
    }
    const logs = await Promise.all(jobs.map(({ log }) => readFile(log, 'utf8').catch(() => '')));
    for (const { log } of jobs) await rm(log, { force: true });
    await this.losses.enter(
      logs.map((log, index) => ({ log, pid: ends[index]!.pid })),
      context,
    );
    return books.enter(logs, context);
  }

  /** What a process leaves that is killed may be torn, or be there twice when it was just being copied, and no more. */
  private async repair(): Promise<void> {
    const { clean, corrupt } = await fsck({ directory: this.directory, repair: true });
    if (!clean || corrupt.frames > 0) this.books.violations.push(`fsck: ${JSON.stringify({ clean, corrupt })}`);
  }

  /** What the last process has left, which nobody has killed. */
  private async checkDirectory(): Promise<void> {
    const { clean, waiting, foreign } = await fsck({ directory: this.directory });
    const { violations, owed, lastReceipts } = this.books;
    // What it had sent and had no answer to when it was shut down is sent again.
    const mostWaiting = owed + lastReceipts;
    if (!clean || foreign.length > 0) violations.push(`not clean: ${await readdir(this.directory)}`);
    if (waiting.spans < owed || waiting.spans > mostWaiting) {
      violations.push(`${waiting.spans} spans wait, ${owed} to ${mostWaiting} should`);
    }
  }
}
