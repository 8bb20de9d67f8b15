import { CgroupLocator } from './cgroup/cgroup-directories.js';
import { shown } from './parse-counters.js';
import type { SampleSource } from './sample-source.js';
import type { SystemFiles } from './system-files.js';

export type PressureResource = 'cpu' | 'memory' | 'io';
/** `some`: at least one task waited; `full`: all of them did, and nothing was done. */
export type PressureKind = 'some' | 'full';

/** Pressure stall information of the cgroup's own file, or of the host: the share of the last 10 s, in percent. */
export class PressureSource implements SampleSource {
  private readonly files: SystemFiles;
  private readonly path: string;
  private readonly kind: PressureKind;
  private percent: number | undefined;

  constructor(files: SystemFiles, path: string, kind: PressureKind) {
    this.files = files;
    this.path = path;
    this.kind = kind;
  }

  async sample(): Promise<void> {
    const text = await this.files.read(this.path);
    if (text === undefined) throw new Error(`${this.path}: no pressure stall information (Linux 4.20 or later, psi=1)`);
    this.percent = parsePressure(text, this.kind, this.path);
  }

  read(): number | undefined {
    return this.percent;
  }
}

export const hostPressurePath = (resource: PressureResource): string => `/proc/pressure/${resource}`;

/** The nearest of the process's own v2 cgroup and its ancestors that has such a file; v1 has none. */
export async function cgroupPressurePath(files: SystemFiles, resource: PressureResource): Promise<string | undefined> {
  const locator = new CgroupLocator(files);
  await locator.refresh();
  for (const directory of locator.locateUnified()?.paths ?? []) {
    const path = `${directory}/${resource}.pressure`;
    if ((await files.read(path)) !== undefined) return path;
  }
  return undefined;
}

/** `some avg10=0.12 avg60=0.05 avg300=0.01 total=12345`, and the same for `full`. */
export function parsePressure(text: string, kind: PressureKind, path: string): number {
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${kind} `));
  const avg10 = /\bavg10=(\d+(?:\.\d+)?)\b/.exec(line ?? '')?.[1];
  const percent = Number(avg10);
  if (avg10 !== undefined && percent <= 100) return percent;
  throw new Error(`${path}: expected ${kind} avg10, got ${shown(line ?? text.trim())}`);
}
