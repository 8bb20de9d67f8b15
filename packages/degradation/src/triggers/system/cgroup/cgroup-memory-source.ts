import { hostMemoryBytes } from '../host-size.js';
import type { SampleSource } from '../sample-source.js';
import type { SystemFiles } from '../system-files.js';
import { CgroupLocator } from './cgroup-directories.js';
import { type CgroupMemory, readCgroupMemory } from './cgroup-memory.js';

/**
 * Memory of the process's cgroup in percent: working set ÷ limit. Every ancestor with a limit binds, so the one that is
 * nearest to its limit counts.
 */
export class CgroupMemorySource implements SampleSource {
  private readonly files: SystemFiles;
  private readonly locator: CgroupLocator;
  private hostBytes = Number.POSITIVE_INFINITY;
  private levels = 0;
  private percent: number | undefined;

  constructor(files: SystemFiles) {
    this.files = files;
    this.locator = new CgroupLocator(files);
  }

  /** After the first sample: whether there is a limit. */
  get isLimited(): boolean {
    return this.percent !== undefined;
  }

  async sample(): Promise<void> {
    if (await this.locator.refresh()) {
      this.hostBytes = await hostMemoryBytes(this.files);
      this.levels = 0;
    }
    const levels = await readCgroupMemory(this.files, this.locator);
    if (levels.length < this.levels) throw new Error('memory files of the cgroup have vanished');
    this.levels = levels.length;
    let highest: number | undefined;
    for (const level of levels) {
      const share = this.shareOf(level);
      if (share !== undefined && (highest === undefined || share > highest)) highest = share;
    }
    this.percent = highest === undefined ? undefined : 100 * highest;
  }

  read(): number | undefined {
    return this.percent;
  }

  private shareOf({ limitBytes, workingSetBytes }: CgroupMemory): number | undefined {
    if (limitBytes === undefined || limitBytes <= 0 || limitBytes >= this.hostBytes) return undefined;
    return workingSetBytes / limitBytes;
  }
}
