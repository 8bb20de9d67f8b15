import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, type SpanBatch, systemClock } from '@otel-resilience/core';
import { ArchiveWriter, FileObjectStore, Lifecycle, type LifecycleReport } from '@otel-resilience/tiered';
import { WarmProcesses } from '../crash/warm-processes.js';
import { bundle } from '../support/bundle.js';
import { COLD_CLASS, DAY_AGES, type DayStores, type Kill, type Tiers } from './day-stores.js';
import type { LifecycleJob } from './lifecycle-process.js';

/** Two directories of this machine. A lifecycle that is killed is a process of its own. */
export class DirectoryStores implements DayStores {
  readonly isColdReadable = true;
  readonly tiers: Tiers;
  private readonly path: string;
  private readonly processes: WarmProcesses;
  private readonly clock: Clock;
  private runMillis = 20;

  private constructor(path: string, script: string, time: Clock) {
    this.path = path;
    this.processes = new WarmProcesses(script, 1);
    // Intervals are the machine's, the time of day is the simulation's.
    this.clock = { ...systemClock, wallTime: () => time.wallTime() };
    const store = (name: string) => new FileObjectStore({ directory: join(path, name), clock: this.clock });
    this.tiers = { warm: store('warm'), cold: store('cold') };
  }

  static async open(time: Clock): Promise<DirectoryStores> {
    const path = await mkdtemp(join(tmpdir(), 'otel-resilience-day-'));
    const script = join(path, 'lifecycle-process.mjs');
    await writeFile(script, await bundle(new URL('./lifecycle-process.ts', import.meta.url)));
    return new DirectoryStores(path, script, time);
  }

  async archive(batch: SpanBatch): Promise<boolean> {
    const writer = new ArchiveWriter({ store: this.tiers.warm, clock: this.clock, compressionLevel: 1 });
    const context = { signal: new AbortController().signal, deadline: this.clock.now() + 20_000 };
    const outcome = await writer.exportBatch(batch, context);
    if (outcome.delivered !== batch.spanCount) throw outcome.error ?? new Error(JSON.stringify(outcome));
    return true;
  }

  async runLifecycle(kill?: Kill): Promise<LifecycleReport | undefined> {
    if (kill !== undefined) return this.runProcess(kill);
    const { tiers, clock } = this;
    const report = await new Lifecycle({ ...tiers, ...DAY_AGES, coldStorageClass: COLD_CLASS, clock }).run();
    if (report.moved.objects > 0) this.runMillis = report.durationMillis;
    return report;
  }

  async close(): Promise<void> {
    await this.processes.close();
    await rm(this.path, { recursive: true, force: true, maxRetries: 3 });
  }

  private async runProcess(kill: Kill): Promise<LifecycleReport | undefined> {
    const [warm, cold, report] = ['warm', 'cold', 'report.json'].map((name) => join(this.path, name)) as [
      string,
      string,
      string,
    ];
    await rm(report, { force: true });
    const job: LifecycleJob = {
      warm,
      cold,
      report,
      wallMillis: this.clock.wallTime(),
      kill: { by: 'parent', delayMillis: kill * this.runMillis },
    };
    const { signal, code, errors } = await this.processes.perform(job);
    if (signal === 'SIGKILL') return undefined;
    if (code !== 0) throw new Error(`the lifecycle's process ended: ${signal ?? code} ${errors}`);
    return JSON.parse(await readFile(report, 'utf8'));
  }
}
