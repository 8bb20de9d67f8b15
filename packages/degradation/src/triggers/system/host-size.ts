import { parseKeyed } from './parse-counters.js';
import type { SystemFiles } from './system-files.js';

// A limit as high as what there is, or higher, is none: v1 writes "no limit" as 9223372036854771712. What the host has
// is `Infinity` where it cannot be read: then every limit is one.

export async function hostCpus(files: SystemFiles): Promise<number> {
  const stat = (await files.read('/proc/stat')) ?? '';
  return stat.match(/^cpu\d+ /gm)?.length ?? Number.POSITIVE_INFINITY;
}

export async function hostMemoryBytes(files: SystemFiles): Promise<number> {
  const path = '/proc/meminfo';
  const kibibytes = parseKeyed((await files.read(path)) ?? '', 'MemTotal', path);
  return kibibytes === undefined ? Number.POSITIVE_INFINITY : kibibytes * 1024;
}
