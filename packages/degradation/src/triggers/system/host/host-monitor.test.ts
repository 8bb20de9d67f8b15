import { tmpdir } from 'node:os';
import { VirtualClock } from '@otel-resilience/testing';
import { mem } from 'systeminformation';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { HostMonitor } from './host-monitor.js';
import { HostCpuSource, HostMemorySource } from './host-source.js';
import { fileOfStack, moduleLocations } from './module-locations.js';

const workers = vi.hoisted(() => ({ started: [] as import('node:worker_threads').Worker[], forbidden: false }));

vi.mock('node:worker_threads', async (original) => {
  const real = await original<typeof import('node:worker_threads')>();
  class Worker extends real.Worker {
    constructor(...args: ConstructorParameters<typeof real.Worker>) {
      if (workers.forbidden) {
        throw Object.assign(new Error('Access to this API has been restricted'), { code: 'ERR_ACCESS_DENIED' });
      }
      super(...args);
      workers.started.push(this);
    }
  }
  return { ...real, Worker };
});

const sleep = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis));

let release: Array<() => void> = [];

afterEach(() => {
  for (const undo of release) undo();
  release = [];
  workers.started.length = 0;
  workers.forbidden = false;
  delete process.env.NODE_OPTIONS;
});

function leaseOf(monitor: HostMonitor) {
  const lease = monitor.lease();
  release.push(() => lease.release());
  return lease;
}

describe('the host by systeminformation, in a worker thread', () => {
  it('tells memory, and CPU time that only grows', async () => {
    const lease = leaseOf(new HostMonitor());
    const memory = await lease.sample('memory');
    expect(memory.used).toBeGreaterThan(0);
    expect(memory.capacity).toBeGreaterThan(memory.used);
    const first = await lease.sample('cpu');
    expect(first.capacity).toBeGreaterThan(100); // the first answer covers 200 ms
    await sleep(250);
    const second = await lease.sample('cpu');
    expect(second.capacity).toBeGreaterThan(first.capacity + 200);
    expect(second.used).toBeGreaterThanOrEqual(first.used);
    expect(workers.started).toHaveLength(1);
  });

  it('says what systeminformation says', async () => {
    const { used, capacity } = await leaseOf(new HostMonitor()).sample('memory');
    const { total, available } = await mem();
    expect(capacity).toBe(total);
    expect(Math.abs(used - (total - available)) / total).toBeLessThan(0.2); // others come and go in between
  });

  it('does not count time twice for those who ask more often than there are samples', async () => {
    const monitor = new HostMonitor();
    const sources = [new HostCpuSource(monitor), new HostCpuSource(monitor)];
    for (const source of sources) release.push(() => source.close());
    for (let i = 0; i < 6; i++) {
      await Promise.all(sources.map((source) => source.sample()));
      await sleep(60);
    }
    for (const source of sources) {
      expect(source.read()).toBeGreaterThanOrEqual(0);
      expect(source.read()).toBeLessThanOrEqual(100);
    }
  });

  it('ends the thread with the last lease', async () => {
    const monitor = new HostMonitor();
    const [one, other] = [leaseOf(monitor), leaseOf(monitor)];
    await one.sample('memory');
    const exited = new Promise((resolve) => workers.started[0]!.on('exit', resolve));
    one.release();
    one.release();
    await other.sample('memory');
    const waiting = other.sample('cpu');
    other.release();
    await expect(waiting).rejects.toThrow('stopped');
    await exited;
  });

  it('keeps no process alive, and runs no hooks of the application', async () => {
    process.env.NODE_OPTIONS = '--require /nowhere/hook.cjs';
    const before = process.getActiveResourcesInfo().filter((kind) => kind !== 'Timeout').length;
    const lease = leaseOf(new HostMonitor());
    await lease.sample('memory');
    expect(process.getActiveResourcesInfo().filter((kind) => kind !== 'Timeout').length).toBe(before);
  });

  it('fails where systeminformation cannot be found, and looks again after a minute', async () => {
    const clock = new VirtualClock();
    const lease = leaseOf(new HostMonitor({ resolveFrom: [tmpdir()], clock }));
    await expect(lease.sample('cpu')).rejects.toThrow(
      /^systeminformation cannot be loaded: Cannot find module .*; a bundle has to leave it external$/,
    );
    await expect(lease.sample('cpu')).rejects.toThrow(/systeminformation/);
    expect(workers.started).toHaveLength(1);
    await clock.advance(60_000);
    await expect(lease.sample('cpu')).rejects.toThrow(/systeminformation/);
    expect(workers.started).toHaveLength(2);
  });

  it('fails where worker threads are forbidden', async () => {
    workers.forbidden = true;
    const lease = leaseOf(new HostMonitor());
    await expect(lease.sample('memory')).rejects.toThrow('restricted; node needs --allow-worker');
  });

  it('starts anew after a minute what has died, and goes on counting from where it was', async () => {
    const clock = new VirtualClock();
    const monitor = new HostMonitor({ clock });
    const lease = leaseOf(monitor);
    const before = await lease.sample('cpu');
    const dying = lease.sample('memory');
    const [result] = await Promise.allSettled([dying, workers.started[0]!.terminate()]);
    expect(['fulfilled', 'rejected']).toContain(result.status);
    await expect(lease.sample('cpu')).rejects.toThrow(/the worker thread ended/);
    await clock.advance(60_000);
    const after = await lease.sample('cpu');
    expect(after.capacity).toBeGreaterThan(before.capacity);
    expect(after.used).toBeGreaterThanOrEqual(before.used);
  });
});

describe('host memory', () => {
  it('is a percentage', async () => {
    const source = new HostMemorySource(new HostMonitor());
    release.push(() => source.close());
    expect(source.read()).toBeUndefined();
    await source.sample();
    expect(source.read()).toBeGreaterThan(0);
    expect(source.read()).toBeLessThan(100);
  });
});

describe('where our own dependencies are looked for', () => {
  it.each([
    ['Error\n    at f (file:///app/node_modules/x/a.js:12:3)\n    at g (/b.js:1:1)', '/app/node_modules/x/a.js'],
    ['Error\n    at file:///app/with%20space/a.js:12:3', '/app/with space/a.js'],
    ['Error\n    at async /app/bundle.cjs:1:98765', '/app/bundle.cjs'],
    ['Error: no frames', undefined],
    [undefined, undefined],
  ])('%j', (stack, file) => {
    expect(fileOfStack(stack)).toBe(file);
  });

  it('beside this file first', () => {
    expect(moduleLocations()[0]).toMatch(/triggers\/system\/host$/);
  });
});
