import type { Clock } from '@otel-resilience/core';
import { hostCpus } from '../host-size.js';
import type { SampleSource } from '../sample-source.js';
import { ShareWindow } from '../share-window.js';
import type { SystemFiles } from '../system-files.js';
import { type CgroupCpu, readCgroupCpu } from './cgroup-cpu.js';
import { CgroupLocator } from './cgroup-directories.js';

export type CgroupCpuMeasure = 'usage' | 'throttling';

interface Reading {
  readonly at: number;
  readonly levels: ReadonlyMap<string, CgroupCpu>;
}

// No longer than this between two samples, else the clock has jumped or the process was stopped, and an average over
// it says nothing about now.
const MAX_GAP_MILLIS = 5 * 60_000;

// More CPU time than all CPUs together have: these are not the counters of before. Accounting is by ticks, hence the rest.
const IMPOSSIBLE_SHARE = 1.25;
const TICK_SLACK_MILLIS = 100;

/**
 * CPU of the process's cgroup in percent: time used ÷ quota, or periods throttled ÷ periods run. Every ancestor with a
 * limit binds, so the one that is nearest to its limit counts.
 */
export class CgroupCpuSource implements SampleSource {
  private readonly files: SystemFiles;
  private readonly locator: CgroupLocator;
  private readonly measure: CgroupCpuMeasure;
  private readonly clock: Clock;
  private cpus = Number.POSITIVE_INFINITY;
  private previous: Reading | undefined;
  private windows = new Map<string, ShareWindow>();

  constructor(files: SystemFiles, measure: CgroupCpuMeasure, clock: Clock) {
    this.files = files;
    this.locator = new CgroupLocator(files);
    this.measure = measure;
    this.clock = clock;
  }

  /** After the first sample: whether there is a limit whose use can be seen. */
  get isLimited(): boolean {
    return [...(this.previous?.levels.values() ?? [])].some((level) => this.limitOf(level) !== undefined);
  }

  async sample(): Promise<void> {
    if (await this.locator.refresh()) {
      this.cpus = await hostCpus(this.files);
      this.previous = undefined;
      this.windows.clear();
    }
    const startedAt = this.clock.now();
    const levels = await readCgroupCpu(this.files, this.locator);
    if (levels.length < (this.previous?.levels.size ?? 0)) throw new Error('CPU files of the cgroup have vanished');
    // Somewhere in between the counters were read.
    const at = (startedAt + this.clock.now()) / 2;
    const reading = { at, levels: new Map(levels.map((level) => [level.path, level])) };
    const previous = this.previous;
    this.previous = reading;
    for (const path of this.windows.keys()) if (!reading.levels.has(path)) this.windows.delete(path);
    for (const level of levels) this.add(level, previous, at);
  }

  read(): number | undefined {
    let highest: number | undefined;
    for (const window of this.windows.values()) {
      const share = window.read();
      if (share !== undefined && (highest === undefined || share > highest)) highest = share;
    }
    return highest === undefined ? undefined : 100 * highest;
  }

  private add(level: CgroupCpu, previous: Reading | undefined, at: number): void {
    if (this.limitOf(level) === undefined) {
      this.windows.delete(level.path);
      return;
    }
    const before = previous?.levels.get(level.path);
    const elapsedMillis = previous === undefined ? 0 : at - previous.at;
    if (before === undefined || elapsedMillis <= 0 || elapsedMillis > MAX_GAP_MILLIS) return;
    const part = this.measure === 'usage' ? this.usage(before, level, elapsedMillis) : throttling(before, level);
    if (part === undefined) return;
    const window = this.windows.get(level.path) ?? new ShareWindow();
    this.windows.set(level.path, window);
    window.add(part.used, part.capacity);
  }

  private usage(before: CgroupCpu, now: CgroupCpu, elapsedMillis: number) {
    const used = now.usageMillis! - before.usageMillis!;
    const most = IMPOSSIBLE_SHARE * this.cpus * elapsedMillis + TICK_SLACK_MILLIS;
    return used >= 0 && used <= most ? { used, capacity: now.quota! * elapsedMillis } : undefined;
  }

  /** The quota, if it is one, and if what it is measured against is known. */
  private limitOf(level: CgroupCpu): number | undefined {
    if (level.quota === undefined || level.quota >= this.cpus) return undefined;
    const measured = this.measure === 'usage' ? level.usageMillis : level.periods;
    return measured === undefined ? undefined : level.quota;
  }
}

function throttling(before: CgroupCpu, now: CgroupCpu) {
  const capacity = (now.periods ?? Number.NaN) - (before.periods ?? Number.NaN);
  const used = (now.throttledPeriods ?? Number.NaN) - (before.throttledPeriods ?? Number.NaN);
  return used >= 0 && used <= capacity ? { used, capacity } : undefined;
}
