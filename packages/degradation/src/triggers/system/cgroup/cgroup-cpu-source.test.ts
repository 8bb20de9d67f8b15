import { VirtualClock } from '@otel-resilience/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeHost } from '../../../../../../test/support/fake-host.js';
import { SystemFiles } from '../system-files.js';
import { type CgroupCpuMeasure, CgroupCpuSource } from './cgroup-cpu-source.js';

let host: FakeHost;
let clock: VirtualClock;

beforeEach(() => {
  host = new FakeHost();
  clock = new VirtualClock();
});
afterEach(() => host.remove());

const open = (measure: CgroupCpuMeasure = 'usage') => new CgroupCpuSource(new SystemFiles(host.root), measure, clock);

async function sampled(source: CgroupCpuSource, afterMillis: number): Promise<number | undefined> {
  await clock.advance(afterMillis);
  await source.sample();
  return source.read();
}

describe('CPU of a cgroup', () => {
  it('v2: time used since the read before, in percent of the quota', async () => {
    host.v2('/app').cpuV2('/app', '50000 100000', { usageMicros: 1_000_000 });
    const source = open();
    expect(await sampled(source, 0)).toBeUndefined();
    host.cpuV2('/app', '50000 100000', { usageMicros: 1_400_000 });
    expect(await sampled(source, 1_000)).toBeCloseTo(80);
    expect(source.read()).toBeCloseTo(80); // the same again before there is more to say
    host.cpuV2('/app', '50000 100000', { usageMicros: 1_500_000 });
    await clock.advance(1_000);
    await source.sample();
    host.cpuV2('/app', '50000 100000', { usageMicros: 1_700_000 });
    expect(await sampled(source, 1_000)).toBeCloseTo(30); // both samples since the read before
  });

  it('v1: the same, with usage in nanoseconds', async () => {
    host.v1('/app').cpuV1('/app', 50_000, { usageMicros: 1_000_000 }).cpuV1('', -1, { usageMicros: 9_000_000 });
    const source = open();
    await sampled(source, 0);
    expect(source.isLimited).toBe(true);
    host.cpuV1('/app', 50_000, { usageMicros: 1_450_000 });
    expect(await sampled(source, 1_000)).toBeCloseTo(90);
  });

  it('v1 with usage counted elsewhere: says nothing rather than to mix two cgroups', async () => {
    host.v1('/app').cpuV1('/app', 50_000, { usageMicros: 0 });
    host.write('/proc/self/cgroup', '3:cpu:/app\n2:cpuacct:/\n');
    const source = open();
    await sampled(source, 0);
    expect(source.isLimited).toBe(false);
    expect(await sampled(source, 1_000)).toBeUndefined();
  });

  it('counts the ancestor that is nearest to its limit', async () => {
    host.v2('/pod/app').cpuV2('/pod/app', '200000 100000', { usageMicros: 0 });
    host.cpuV2('/pod', '100000 100000', { usageMicros: 0 });
    const source = open();
    await sampled(source, 0);
    host.cpuV2('/pod/app', '200000 100000', { usageMicros: 500_000 });
    host.cpuV2('/pod', '100000 100000', { usageMicros: 950_000 });
    expect(await sampled(source, 1_000)).toBeCloseTo(95);
  });

  it('throttling: periods throttled of those run, and nothing while it did not run', async () => {
    host.v2('/app').cpuV2('/app', '50000 100000', { usageMicros: 0, periods: 100, throttled: 10 });
    const source = open('throttling');
    await sampled(source, 0);
    expect(await sampled(source, 1_000)).toBeUndefined();
    host.cpuV2('/app', '50000 100000', { usageMicros: 0, periods: 110, throttled: 14 });
    expect(await sampled(source, 1_000)).toBeCloseTo(40);
  });

  it.each([
    ['max 100000', false],
    ['400000 100000', false], // as many as there are
    ['390000 100000', true],
    ['0 100000', false],
  ])('cpu.max %s is a limit: %s', async (max, isLimited) => {
    host.v2('/app').cpuV2('/app', max, { usageMicros: 0 });
    const source = open();
    await sampled(source, 0);
    expect(source.isLimited).toBe(isLimited);
  });

  it('says nothing without a cgroup', async () => {
    expect(await sampled(open(), 0)).toBeUndefined();
  });

  it('says nothing any longer when the limit is lifted', async () => {
    host.v2('/app').cpuV2('/app', '50000 100000', { usageMicros: 0 });
    const source = open();
    await sampled(source, 0);
    host.cpuV2('/app', '50000 100000', { usageMicros: 450_000 });
    expect(await sampled(source, 1_000)).toBeCloseTo(90);
    host.cpuV2('/app', 'max 100000', { usageMicros: 900_000 });
    expect(await sampled(source, 1_000)).toBeUndefined();
  });
});

describe('CPU of a cgroup: never a wrong number', () => {
  const quota = '50000 100000';

  async function warm() {
    host.v2('/app').cpuV2('/app', quota, { usageMicros: 5_000_000 });
    const source = open();
    await sampled(source, 0);
    host.cpuV2('/app', quota, { usageMicros: 5_100_000 });
    expect(await sampled(source, 1_000)).toBeCloseTo(20);
    return source;
  }

  it('counters that were reset', async () => {
    const source = await warm();
    host.cpuV2('/app', quota, { usageMicros: 0 });
    expect(await sampled(source, 1_000)).toBeCloseTo(20); // nothing new
    host.cpuV2('/app', quota, { usageMicros: 400_000 });
    expect(await sampled(source, 1_000)).toBeCloseTo(80);
  });

  it('more time used than all CPUs have', async () => {
    const source = await warm();
    host.cpuV2('/app', quota, { usageMicros: 90_000_000 });
    expect(await sampled(source, 1_000)).toBeCloseTo(20);
  });

  it('a clock that jumps back or far ahead', async () => {
    const source = await warm();
    host.cpuV2('/app', quota, { usageMicros: 5_500_000 });
    expect(await sampled(source, 3_600_000)).toBeCloseTo(20);
    const now = clock.now();
    clock.now = () => now - 100_000;
    await source.sample();
    expect(source.read()).toBeCloseTo(20);
  });

  it('a process that was moved to another cgroup', async () => {
    const source = await warm();
    host.v2('/other').cpuV2('/other', quota, { usageMicros: 90_000_000 });
    expect(await sampled(source, 1_000)).toBeUndefined();
    host.cpuV2('/other', quota, { usageMicros: 90_300_000 });
    expect(await sampled(source, 1_000)).toBeCloseTo(60);
  });

  it('files that vanish, and garbage', async () => {
    const source = await warm();
    host.write('/sys/fs/cgroup/app/cpu.stat', 'usage_usec many\n');
    await expect(source.sample()).rejects.toThrow(/cpu.stat usage_usec.*'many'/);
    host.cpuV2('/app', '', { usageMicros: 5_350_000 });
    await expect(source.sample()).rejects.toThrow(/cpu.max/);
    host.remove('/sys/fs/cgroup/app');
    await expect(source.sample()).rejects.toThrow(/vanished/);
    host.remove('/proc/self/cgroup');
    await expect(source.sample()).rejects.toThrow(/vanished/);
    host.v2('/app').cpuV2('/app', quota, { usageMicros: 5_350_000 });
    expect(await sampled(source, 1_000)).toBeCloseTo(50); // and back, over the time that has passed
  });
});
