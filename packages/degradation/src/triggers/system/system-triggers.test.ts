import { ConfigurationError } from '@otel-resilience/core';
import { DegradationController, type Trigger } from '@otel-resilience/degradation';
import { VirtualClock } from '@otel-resilience/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeHost } from '../../../../../test/support/fake-host.js';
import type { HostReading } from './host/host-monitor.js';
import { CpuTrigger, HeapTrigger, MemoryTrigger, PressureTrigger } from './index.js';

const INTERVAL = 1_000;
const MIB = 2 ** 20;

const { theHost, heap } = vi.hoisted(() => ({
  theHost: { sample: async (_: string): Promise<HostReading> => ({ used: 0, capacity: 0 }), leases: 0 },
  heap: { used_heap_size: 10, heap_size_limit: 100 },
}));

vi.mock('./host/host-monitor.js', () => ({
  hostMonitor: {
    lease: () => {
      theHost.leases++;
      return {
        cpuBefore: { used: 0, capacity: 0 },
        sample: (resource: string) => theHost.sample(resource),
        release: () => theHost.leases--,
      };
    },
  },
}));
vi.mock('node:v8', () => ({ getHeapStatistics: () => heap }));

let host: FakeHost;
let clock: VirtualClock;
let controller: DegradationController | undefined;

beforeEach(() => {
  host = new FakeHost();
  clock = new VirtualClock();
  Object.assign(heap, { used_heap_size: 10, heap_size_limit: 100 });
});

afterEach(() => {
  controller?.stop();
  expect(clock.pendingTimers).toBe(0);
  expect(theHost.leases).toBe(0);
  host.remove();
});

/** Starts a controller with this trigger alone; the first sample has been taken when it returns. */
async function watch(trigger: Trigger): Promise<DegradationController> {
  controller = new DegradationController({ triggers: [trigger], evaluationIntervalMillis: INTERVAL, clock });
  controller.start();
  await pass(0);
  return controller;
}

/** Lets virtual time pass in steps short enough for the real files to be read in between. */
async function pass(millis: number): Promise<void> {
  const idle = clock.pendingTimers;
  for (let passed = 0; passed <= millis; passed += 50) {
    await clock.advance(Math.min(50, millis - passed));
    // While a sample is being taken, its timer is missing.
    await vi.waitFor(() => expect(clock.pendingTimers).toBeGreaterThanOrEqual(idle), { interval: 1 });
  }
}

const quota = '50000 100000';

describe('each trigger alone moves the level', () => {
  it('CPU of a cgroup', async () => {
    host.v2('/app').cpuV2('/app', quota, { usageMicros: 0 });
    const trigger = new CpuTrigger({ rootDirectory: host.root });
    const { level, history, ...rest } = await watchFor(trigger, async () => {
      // Samples are taken after 450 and 900 ms.
      host.cpuV2('/app', quota, { usageMicros: 207_000 });
      await pass(INTERVAL / 2);
      host.cpuV2('/app', quota, { usageMicros: 414_000 });
      await pass(INTERVAL / 2);
    });
    expect(trigger.source).toBe('cgroup');
    expect(level).toBe('heavy');
    expect(history[0]).toMatchObject({ trigger: 'cpu', threshold: 90 });
    expect(rest.value).toBeCloseTo(92, 5);
  });

  it('throttling', async () => {
    host.v1('/app').cpuV1('/app', 50_000, { usageMicros: 0, periods: 10, throttled: 0 });
    const trigger = new CpuTrigger({ measure: 'throttling', rootDirectory: host.root });
    const { level } = await watchFor(trigger, async () => {
      host.cpuV1('/app', 50_000, { usageMicros: 0, periods: 20, throttled: 6 });
      await pass(INTERVAL);
    });
    expect(level).toBe('moderate');
  });

  it('CPU of the host', async () => {
    theHost.sample = async () => ({ used: clock.now() * 0.82, capacity: clock.now() });
    const trigger = new CpuTrigger({ rootDirectory: host.root });
    const { level, value } = await watchFor(trigger, () => pass(INTERVAL));
    expect(trigger.source).toBe('host');
    expect(level).toBe('moderate');
    expect(value).toBeCloseTo(82);
  });

  it('memory of a cgroup', async () => {
    host.v2('/app').memoryV2('/app', 100 * MIB, { usage: 20 * MIB });
    const trigger = new MemoryTrigger({ rootDirectory: host.root });
    const { level } = await watchFor(trigger, async () => {
      host.memoryV2('/app', 100 * MIB, { usage: 98 * MIB });
      await pass(INTERVAL);
    });
    expect(trigger.source).toBe('cgroup');
    expect(level).toBe('emergency');
  });

  it('memory of the host', async () => {
    theHost.sample = async () => ({ used: 80, capacity: 100 });
    const trigger = new MemoryTrigger({ rootDirectory: host.root });
    const { level } = await watchFor(trigger, () => pass(INTERVAL));
    expect(trigger.source).toBe('host');
    expect(level).toBe('light');
  });

  it('pressure of the host', async () => {
    host.pressure('/proc/pressure/memory', '3.00');
    const trigger = new PressureTrigger({ resource: 'memory', rootDirectory: host.root });
    const { level, history } = await watchFor(trigger, async () => {
      host.pressure('/proc/pressure/memory', '25.00');
      await pass(INTERVAL);
    });
    expect(trigger.source).toBe('host');
    expect(level).toBe('moderate');
    expect(history[0]?.trigger).toBe('memoryPressure');
  });

  it('pressure of a cgroup', async () => {
    host
      .v2('/app')
      .pressure('/sys/fs/cgroup/app/cpu.pressure', '99.00', '45.00')
      .pressure('/proc/pressure/cpu', '0.00');
    const trigger = new PressureTrigger({ kind: 'full', rootDirectory: host.root });
    const { level } = await watchFor(trigger, () => pass(INTERVAL));
    expect(trigger.source).toBe('cgroup');
    expect(level).toBe('light');
  });

  it('V8 heap', async () => {
    const { level } = await watchFor(new HeapTrigger(), async () => {
      heap.used_heap_size = 93;
      await pass(INTERVAL);
    });
    expect(level).toBe('heavy');
  });

  async function watchFor(trigger: Trigger, provoke: () => Promise<void>) {
    const { level } = await watch(trigger);
    expect(level).toBe('normal');
    await provoke();
    const { triggers } = controller!.status();
    expect(triggers[0]).toMatchObject({ failures: 0 });
    return { level: controller!.level, history: controller!.history(), value: triggers[0]!.value };
  }
});

describe('a trigger that fails moves nothing', () => {
  it.each<[string, () => Trigger]>([
    [
      'CPU of a cgroup',
      () => {
        host.v2('/app').cpuV2('/app', quota, { usageMicros: 0 }).write('/sys/fs/cgroup/app/cpu.stat', 'usage_usec ?');
        return new CpuTrigger({ rootDirectory: host.root });
      },
    ],
    [
      'CPU of the host',
      () => {
        theHost.sample = () => Promise.reject(new Error('no systeminformation'));
        return new CpuTrigger({ rootDirectory: host.root });
      },
    ],
    [
      'memory of a cgroup',
      () => {
        host.v1('/app').memoryV1('/app', 'none', { usage: 1 });
        return new MemoryTrigger({ rootDirectory: host.root });
      },
    ],
    [
      'memory of the host',
      () => {
        theHost.sample = async () => ({ used: 0, capacity: 0 });
        return new MemoryTrigger({ rootDirectory: host.root });
      },
    ],
    ['pressure that the kernel does not tell', () => new PressureTrigger({ rootDirectory: host.root })],
    [
      'pressure of a cgroup that there is not',
      () => new PressureTrigger({ source: 'cgroup', rootDirectory: host.root }),
    ],
    [
      'V8 heap',
      () => {
        heap.heap_size_limit = Number.NaN;
        return new HeapTrigger();
      },
    ],
  ])('%s', async (_, make) => {
    const watching = await watch(make());
    await pass(3 * INTERVAL);
    expect(watching.status()).toMatchObject({ level: 'normal', triggers: [{ asks: 'normal', failures: 3 }] });
    expect(watching.history()).toEqual([]);
  });

  it('keeps what it said before', async () => {
    host.v2('/app').memoryV2('/app', 100 * MIB, { usage: 90 * MIB });
    const watching = await watch(new MemoryTrigger({ rootDirectory: host.root }));
    await pass(INTERVAL);
    expect(watching.level).toBe('moderate');
    host.remove('/sys/fs/cgroup/app');
    await pass(60 * INTERVAL);
    expect(watching.status()).toMatchObject({
      level: 'moderate',
      triggers: [{ failing: expect.stringContaining('vanished') }],
    });
  }, 20_000);
});

describe('sources and options', () => {
  it('cgroup without a limit says nothing, and auto decides anew at the next start', async () => {
    host.v2('/app').memoryV2('/app', 'max', { usage: 90 * MIB });
    theHost.sample = async () => ({ used: 10, capacity: 100 });
    const auto = new MemoryTrigger({ rootDirectory: host.root });
    expect(auto.source).toBeUndefined();
    await watch(auto);
    expect(auto.source).toBe('host');
    controller!.stop();
    host.memoryV2('/app', 100 * MIB, { usage: 20 * MIB });
    await watch(auto);
    expect(auto.source).toBe('cgroup');
    controller!.stop();
    host.memoryV2('/app', 'max', { usage: 90 * MIB });
    const cgroup = new MemoryTrigger({ source: 'cgroup', rootDirectory: host.root });
    await watch(cgroup);
    expect(cgroup.read()).toBeUndefined();
  });

  it('samples at the interval that was asked for', async () => {
    let samples = 0;
    theHost.sample = async () => ({ used: 10, capacity: 100 + samples++ });
    await watch(new MemoryTrigger({ source: 'host', sampleIntervalMillis: 100 }));
    await pass(INTERVAL);
    expect(samples).toBe(11);
  });

  it('has profiles for the CPU', () => {
    expect(new CpuTrigger().thresholds).toEqual({ light: 70, moderate: 80, heavy: 90, emergency: 95 });
    const never = Number.POSITIVE_INFINITY;
    const alternative = new CpuTrigger({ profile: 'alternative' });
    expect(alternative.thresholds).toEqual({ light: 70, moderate: 85, heavy: 95, emergency: never });
    expect(new CpuTrigger({ measure: 'throttling' }).thresholds.light).toBe(25);
    expect(new CpuTrigger().referenceRecoveryThreshold).toBe(60);
    expect(new MemoryTrigger().thresholds).toEqual({ light: 75, moderate: 85, heavy: 92, emergency: 97 });
  });

  it.each<[string, () => unknown]>([
    ['CpuTrigger.thresholds.emergency', () => new CpuTrigger({ thresholds: { emergency: 101 } })],
    ['CpuTrigger.thresholds.moderate', () => new CpuTrigger({ thresholds: { light: 85, moderate: 80 } })],
    ['CpuTrigger.source', () => new CpuTrigger({ source: 'host', measure: 'throttling' })],
    ['CpuTrigger.source', () => new CpuTrigger({ source: 'vm' as 'host' })],
    ['CpuTrigger.sampleIntervalMillis', () => new CpuTrigger({ sampleIntervalMillis: 5 })],
    ['MemoryTrigger.recoveryThreshold', () => new MemoryTrigger({ recoveryThreshold: 80 })],
    ['MemoryTrigger.rootDirectory', () => new MemoryTrigger({ rootDirectory: '' })],
    ['HeapTrigger.thresholds.light', () => new HeapTrigger({ thresholds: { light: 75 } })],
    ['PressureTrigger.resource', () => new PressureTrigger({ resource: 'disk' as 'io' })],
    ['PressureTrigger.percent', () => new PressureTrigger({ percent: 3 } as object)],
  ])('refuses a wrong %s', (path, make) => {
    let thrown: unknown;
    try {
      make();
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(ConfigurationError);
    expect((thrown as ConfigurationError).path).toBe(path);
  });
});
