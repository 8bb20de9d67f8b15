import { parseInteger, parseKeyed, shown } from '../parse-counters.js';
import type { SystemFiles } from '../system-files.js';
import type { CgroupDirectories, CgroupLocator } from './cgroup-directories.js';

/** What one cgroup says of its CPU time. Counters only ever grow. */
export interface CgroupCpu {
  readonly path: string;
  /** CPUs that it may use, such as 0.5; `undefined` without a limit. */
  readonly quota: number | undefined;
  /** CPU time used so far, its descendants included. */
  readonly usageMillis: number | undefined;
  /** Periods in which it ran, and those of them in which it was throttled. */
  readonly periods: number | undefined;
  readonly throttledPeriods: number | undefined;
}

/** The own cgroup first, then its ancestors; those without CPU files are left out. */
export async function readCgroupCpu(files: SystemFiles, locator: CgroupLocator): Promise<readonly CgroupCpu[]> {
  const directories = locator.locate('cpu');
  if (!directories) return [];
  if (directories.version === 2) {
    return present(await Promise.all(directories.paths.map((path) => readV2(files, path))));
  }
  const accounting = pairWithAccounting(directories, locator.locate('cpuacct'));
  return present(await Promise.all(directories.paths.map((path) => readV1(files, path, accounting.get(path)))));
}

async function readV2(files: SystemFiles, path: string): Promise<CgroupCpu | undefined> {
  const [max, stat] = await Promise.all([files.read(`${path}/cpu.max`), files.read(`${path}/cpu.stat`)]);
  if (max === undefined && stat === undefined) return undefined;
  const usageMicros = counter(stat, 'usage_usec', path);
  return {
    path,
    quota: max === undefined ? undefined : parseCpuMax(max, `${path}/cpu.max`),
    usageMillis: usageMicros === undefined ? undefined : usageMicros / 1e3,
    periods: counter(stat, 'nr_periods', path),
    throttledPeriods: counter(stat, 'nr_throttled', path),
  };
}

async function readV1(
  files: SystemFiles,
  path: string,
  accountingPath: string | undefined,
): Promise<CgroupCpu | undefined> {
  const [quota, period, stat, usage] = await Promise.all([
    files.read(`${path}/cpu.cfs_quota_us`),
    files.read(`${path}/cpu.cfs_period_us`),
    files.read(`${path}/cpu.stat`),
    accountingPath === undefined ? undefined : files.read(`${accountingPath}/cpuacct.usage`),
  ]);
  if (quota === undefined || period === undefined) return undefined;
  return {
    path,
    quota: cpus(parseInteger(quota, `${path}/cpu.cfs_quota_us`), parseInteger(period, `${path}/cpu.cfs_period_us`)),
    usageMillis: usage === undefined ? undefined : parseInteger(usage, `${accountingPath}/cpuacct.usage`) / 1e6,
    periods: counter(stat, 'nr_periods', path),
    throttledPeriods: counter(stat, 'nr_throttled', path),
  };
}

/** `max 100000` or `50000 100000`. */
export function parseCpuMax(text: string, path: string): number | undefined {
  const [quota = '', period = '100000'] = text.trim().split(/\s+/);
  if (quota === 'max') return undefined;
  if (!/^\d+$/.test(quota)) throw new Error(`${path}: expected a quota and a period, got ${shown(text.trim())}`);
  return cpus(parseInteger(quota, path), parseInteger(period, path));
}

/** v1 says -1 for no quota. */
function cpus(quota: number, period: number): number | undefined {
  return quota > 0 && period > 0 ? quota / period : undefined;
}

/**
 * In v1 usage is counted by another controller, as a rule in the same directories. Where it is not, only a cgroup that
 * has the same name in both hierarchies, and the process in both, has the usage that belongs to its quota.
 */
function pairWithAccounting(
  cpu: CgroupDirectories,
  accounting: CgroupDirectories | undefined,
): ReadonlyMap<string, string> {
  const nameIn = ({ paths }: CgroupDirectories, path: string) => path.slice(paths.at(-1)!.length);
  const byName = new Map(accounting?.paths.map((path) => [nameIn(accounting, path), path]));
  const pairs = cpu.paths.map((path) => [path, byName.get(nameIn(cpu, path))] as const);
  return new Map(pairs.filter((pair): pair is [string, string] => pair[1] !== undefined));
}

function counter(stat: string | undefined, key: string, path: string): number | undefined {
  return stat === undefined ? undefined : parseKeyed(stat, key, `${path}/cpu.stat`);
}

function present<T>(values: readonly (T | undefined)[]): T[] {
  return values.filter((value) => value !== undefined);
}
