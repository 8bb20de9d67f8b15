import { parseInteger, parseKeyed } from '../parse-counters.js';
import type { SystemFiles } from '../system-files.js';
import type { CgroupLocator } from './cgroup-directories.js';

/** What one cgroup says of its memory. */
export interface CgroupMemory {
  readonly path: string;
  /** `undefined` without a limit. */
  readonly limitBytes: number | undefined;
  /** What the kernel cannot give back at once: usage − inactive file cache, as the kubelet counts. */
  readonly workingSetBytes: number;
}

interface Names {
  readonly limit: string;
  readonly usage: string;
  readonly inactiveFile: string;
}

const V1: Names = {
  limit: 'memory.limit_in_bytes',
  usage: 'memory.usage_in_bytes',
  inactiveFile: 'total_inactive_file',
};
const V2: Names = { limit: 'memory.max', usage: 'memory.current', inactiveFile: 'inactive_file' };

/** The own cgroup first, then its ancestors; those without memory files are left out, as is v2's root. */
export async function readCgroupMemory(files: SystemFiles, locator: CgroupLocator): Promise<readonly CgroupMemory[]> {
  const directories = locator.locate('memory');
  if (!directories) return [];
  const names = directories.version === 2 ? V2 : V1;
  const all = await Promise.all(directories.paths.map((path, index) => read(files, path, names, index > 0)));
  return all.filter((level) => level !== undefined);
}

async function read(
  files: SystemFiles,
  path: string,
  names: Names,
  isAncestor: boolean,
): Promise<CgroupMemory | undefined> {
  const [limit, usage, stat, hierarchy] = await Promise.all([
    files.read(`${path}/${names.limit}`),
    files.read(`${path}/${names.usage}`),
    files.read(`${path}/memory.stat`),
    isAncestor && names === V1 ? files.read(`${path}/memory.use_hierarchy`) : undefined,
  ]);
  // With v1's `use_hierarchy` off, a cgroup neither counts nor limits its descendants.
  if (limit === undefined || usage === undefined || hierarchy?.trim() === '0') return undefined;
  const inactiveFile = stat === undefined ? 0 : (parseKeyed(stat, names.inactiveFile, `${path}/memory.stat`) ?? 0);
  const usageBytes = parseInteger(usage, `${path}/${names.usage}`);
  return {
    path,
    limitBytes: limit.trim() === 'max' ? undefined : parseInteger(limit, `${path}/${names.limit}`),
    // The two are not read at the same instant.
    workingSetBytes: Math.max(0, usageBytes - inactiveFile),
  };
}
