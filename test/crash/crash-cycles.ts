import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fsck } from '@otel-resilience/tiered';
import { Random } from '../invariants/unbiased/random.js';
import { bundle } from '../support/bundle.js';
import { type Job, planKill } from './crash-plan.js';

/** Directories in which processes are killed at the same time. */
const LANES = 2;
/** Processes started ahead, since most of a cycle is the start of node. */
const WARM = 2;
/** Far more than a session takes. */
const PATIENCE_MILLIS = 20_000;

export interface CrashReport {
  kills: number;
  /** How often by phase, and by operation where it was aimed at one. */
  readonly kinds: Map<string, number>;
  acknowledged: number;
  received: number;
  /** Received once more. */
  duplicates: number;
  recoveredSpans: number;
  readonly violations: string[];
  millis: number;
}

/** Kills processes one after the other; each but the first recovers what the one before has left. */
export async function crashCycles({ cycles, seed }: { cycles: number; seed: number }): Promise<CrashReport> {
  const begin = performance.now();
  const report: CrashReport = {
    kills: 0,
    kinds: new Map(),
    acknowledged: 0,
    received: 0,
    duplicates: 0,
    recoveredSpans: 0,
    violations: [],
    millis: 0,
  };
  const scratch = await mkdtemp(join(tmpdir(), 'otel-resilience-crash-'));
  const script = join(scratch, 'spool-process.mjs');
  const nursery = new Nursery(script);
  try {
    await writeFile(script, await bundle(new URL('./spool-process.ts', import.meta.url)));
    await Promise.all(
      Array.from({ length: LANES }, async (_, index) => {
        const lane = new Lane(join(scratch, `lane-${index}`), new Random(seed + index), nursery, report);
        await lane.run(Math.ceil(cycles / LANES));
      }),
    );
  } finally {
    await nursery.close();
    await rm(scratch, { recursive: true, force: true, maxRetries: 3 });
  }
  report.millis = performance.now() - begin;
  return report;
}

/** Processes that have loaded everything and wait for what they are to do. */
class Nursery {
  private readonly script: string;
  private readonly waiting: ChildProcess[] = [];
  private readonly living = new Set<ChildProcess>();

  constructor(script: string) {
    this.script = script;
  }

  take(): ChildProcess {
    while (this.waiting.length <= WARM) this.waiting.push(this.start());
    return this.waiting.shift()!;
  }

  async close(): Promise<void> {
    const exits = [...this.living].map((child) => once(child, 'close'));
    for (const child of this.living) child.kill('SIGKILL');
    await Promise.all(exits);
  }

  private start(): ChildProcess {
    const child = spawn(process.execPath, [this.script], { stdio: ['pipe', 'pipe', 'pipe'] });
    // Of one that was killed.
    child.stdin.on('error', () => {});
    this.living.add(child);
    child.once('close', () => this.living.delete(child));
    return child;
  }
}

class Lane {
  private readonly path: string;
  private readonly random: Random;
  private readonly nursery: Nursery;
  private readonly report: CrashReport;
  private readonly directory: string;
  private readonly appended = new Set<number>();
  /** Acknowledged and not received yet. */
  private readonly owed = new Set<number>();
  private readonly received = new Set<number>();
  private nextId = 1;
  private session = 0;

  constructor(path: string, random: Random, nursery: Nursery, report: CrashReport) {
    this.path = path;
    this.random = random;
    this.nursery = nursery;
    this.report = report;
    this.directory = join(path, 'spool');
  }

  async run(cycles: number): Promise<void> {
    await mkdir(this.path);
    for (let cycle = 0; cycle < cycles; cycle++) await this.cycle(true);
    await this.cycle(false);
    await this.cycle(false);
    await this.checkDirectory();
  }

  private async cycle(isKilled: boolean): Promise<void> {
    const { random, directory, report } = this;
    const job: Job = {
      directory,
      log: join(this.path, `${++this.session}.log`),
      seed: random.integer(1, 2 ** 30),
      firstId: this.nextId,
      fsync: (['always', 'interval', 'never'] as const)[random.pick([2, 1, 1])]!,
      order: random.chance(0.7) ? 'oldest' : 'newest',
      kill: isKilled ? planKill(random) : undefined,
    };
    const { signal, code, errors } = await perform(this.nursery.take(), job);
    const context = `${this.path.slice(-6)} session ${this.session} ${JSON.stringify(job)}`;
    if (isKilled ? signal !== 'SIGKILL' : code !== 0) report.violations.push(`ended by ${signal ?? code}: ${context}`);
    if (errors) report.violations.push(`${errors.slice(0, 2_000)}: ${context}`);
    const kind = this.read(await readFile(job.log, 'utf8').catch(() => ''), context, !isKilled);
    await rm(job.log, { force: true });
    if (!isKilled) return;
    report.kills++;
    report.kinds.set(kind, (report.kinds.get(kind) ?? 0) + 1);
  }

  /** Checks what a process says it did; returns where it was when it ended. */
  private read(log: string, context: string, isPeaceful: boolean): string {
    const { report, owed, appended, received } = this;
    const fail = (problem: string) => report.violations.push(`${problem}: ${context}`);
    const before = [...owed];
    let phase = 'start';
    let killed: string | undefined;
    // What follows the last line feed was not said to the end.
    for (const line of log.split('\n').slice(0, -1)) {
      const [what, ...values] = line.split(' ');
      const ids = values.map(Number);
      if (what === 'phase') phase = values[0]!;
      else if (what === 'killed') killed = values.join(' ');
      else if (what === 'recovered') report.recoveredSpans += ids[0]!;
      else if (what === 'trouble' || what === 'corrupt') fail(line);
      else if (what === 'closed') phase = 'shutdown done';
      else if (what === 'appending') {
        for (const id of ids) appended.add(id);
        this.nextId = Math.max(this.nextId, ...ids) + 1;
      } else if (what === 'acknowledged') {
        report.acknowledged += ids.length;
        for (const id of ids) if (!received.has(id)) owed.add(id);
      } else if (what === 'received') {
        for (const id of ids) {
          if (!appended.has(id)) fail(`received ${id}, which nobody has appended`);
          report.received++;
          if (received.has(id)) report.duplicates++;
          received.add(id);
          owed.delete(id);
        }
      } else if (what === 'drained') {
        const lost = before.filter((id) => owed.has(id));
        if (lost.length > 0) fail(`lost ${lost.join(' ')}`);
      }
    }
    if (isPeaceful && phase !== 'shutdown done') fail(`ended in ${phase}`);
    return killed ?? phase;
  }

  /** What the last process has left, which nobody has killed. */
  private async checkDirectory(): Promise<void> {
    const { clean, waiting } = await fsck({ directory: this.directory });
    const owed = this.owed.size;
    if (!clean) this.report.violations.push(`not clean: ${await readdir(this.directory)}`);
    if (waiting.spans !== owed) this.report.violations.push(`${waiting.spans} spans wait, ${owed} should`);
  }
}

async function perform(child: ChildProcess, job: Job) {
  const { kill } = job;
  let errors = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  child.stdout!.once('data', () => {
    if (kill?.by === 'parent') setTimeout(() => child.kill('SIGKILL'), kill.delayMillis);
  });
  const patience = setTimeout(() => child.kill('SIGABRT'), PATIENCE_MILLIS);
  const closed = once(child, 'close');
  child.stdin!.end(JSON.stringify(job));
  const [code, signal] = (await closed) as [number | null, NodeJS.Signals | null];
  clearTimeout(patience);
  return { code, signal, errors };
}
