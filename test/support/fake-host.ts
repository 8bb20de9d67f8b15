import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

type CpuStat = { usageMicros: number; periods?: number; throttled?: number };

const KIBI = 1024;

/** `/proc` and `/sys/fs/cgroup` of a machine with 4 CPUs and 8 GiB, below a temporary directory. */
export class FakeHost {
  readonly root = mkdtempSync(join(tmpdir(), 'fake-host-'));

  constructor() {
    this.write('/proc/stat', ['cpu  1 2 3', ...[0, 1, 2, 3].map((cpu) => `cpu${cpu} 1 2 3`), 'intr 5'].join('\n'));
    this.write('/proc/meminfo', `MemTotal:       ${8 * KIBI * KIBI} kB\nMemAvailable:   1 kB\n`);
  }

  /** The process is in this cgroup of the unified hierarchy. */
  v2(cgroup: string): this {
    this.write('/proc/self/cgroup', `0::${cgroup}\n`);
    this.write('/proc/self/mountinfo', '30 23 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw,nsdelegate\n');
    return this;
  }

  /** The process is in this cgroup of the cpu, cpuacct and memory hierarchies, the first two mounted as one. */
  v1(cgroup: string): this {
    this.write('/proc/self/cgroup', `4:memory:${cgroup}\n3:cpu,cpuacct:${cgroup}\n1:name=systemd:/\n0::/\n`);
    const mounts = [
      '33 32 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct',
      '35 32 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory',
      '41 32 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw',
    ];
    this.write('/proc/self/mountinfo', mounts.join('\n'));
    return this;
  }

  cpuV2(cgroup: string, max: string, { usageMicros, periods = 0, throttled = 0 }: CpuStat): this {
    this.write(`/sys/fs/cgroup${cgroup}/cpu.max`, `${max}\n`);
    const stat = `usage_usec ${usageMicros}\nuser_usec 1\nnr_periods ${periods}\nnr_throttled ${throttled}\n`;
    return this.write(`/sys/fs/cgroup${cgroup}/cpu.stat`, stat);
  }

  cpuV1(cgroup: string, quotaMicros: number, { usageMicros, periods = 0, throttled = 0 }: CpuStat): this {
    const directory = `/sys/fs/cgroup/cpu,cpuacct${cgroup}`;
    this.write(`${directory}/cpu.cfs_quota_us`, `${quotaMicros}\n`);
    this.write(`${directory}/cpu.cfs_period_us`, '100000\n');
    this.write(`${directory}/cpu.stat`, `nr_periods ${periods}\nnr_throttled ${throttled}\nthrottled_time 1\n`);
    return this.write(`${directory}/cpuacct.usage`, `${usageMicros * 1_000}\n`);
  }

  memoryV2(cgroup: string, max: number | 'max', { usage, inactiveFile = 0 }: { usage: number; inactiveFile?: number }) {
    const directory = `/sys/fs/cgroup${cgroup}`;
    this.write(`${directory}/memory.max`, `${max}\n`);
    this.write(`${directory}/memory.current`, `${usage}\n`);
    return this.write(`${directory}/memory.stat`, `anon 1\ninactive_anon 7\ninactive_file ${inactiveFile}\n`);
  }

  memoryV1(cgroup: string, limit: string, { usage, inactiveFile = 0 }: { usage: number; inactiveFile?: number }) {
    const directory = `/sys/fs/cgroup/memory${cgroup}`;
    this.write(`${directory}/memory.limit_in_bytes`, `${limit}\n`);
    this.write(`${directory}/memory.usage_in_bytes`, `${usage}\n`);
    this.write(`${directory}/memory.use_hierarchy`, '1\n');
    return this.write(`${directory}/memory.stat`, `inactive_file 5\ntotal_inactive_file ${inactiveFile}\n`);
  }

  pressure(path: string, someAvg10: string, fullAvg10 = '0.00'): this {
    const rest = 'avg60=0.00 avg300=0.00 total=1';
    return this.write(path, `some avg10=${someAvg10} ${rest}\nfull avg10=${fullAvg10} ${rest}\n`);
  }

  write(path: string, text: string): this {
    const file = join(this.root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    return this;
  }

  remove(path = ''): void {
    rmSync(join(this.root, path), { recursive: true, force: true });
  }
}
