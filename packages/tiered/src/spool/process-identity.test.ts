import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { ownerName, parseOwnerName } from './lock-owner.js';
import { systemProcesses } from './process-identity.js';

const onLinux = process.platform === 'linux';

/** A process in the state that `state` names, by /proc. */
async function withChild<T>(code: string, use: (pid: number) => T): Promise<T> {
  const child = spawn('sh', ['-c', code], { stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    const [line] = await once(child.stdout, 'data');
    return use(Number(line));
  } finally {
    child.kill('SIGKILL');
  }
}

describe('systemProcesses', () => {
  it('knows this process, and says so every time', () => {
    const self = systemProcesses.self();
    expect(self.pid).toBe(process.pid);
    expect(self.namespace).toMatch(/^[0-9a-f]{16}$/);
    expect(systemProcesses.self()).toEqual(self);
    expect(systemProcesses.isAlive(self)).toBe(true);
  });

  it('knows that a process has ended', async () => {
    const { namespace } = systemProcesses.self();
    const child = spawn('true');
    const identity = { pid: child.pid!, startTime: undefined, namespace };
    await once(child, 'exit');
    expect(systemProcesses.isAlive(identity)).toBe(false);
  });

  it.runIf(onLinux)('tells a process from another that has its pid', () => {
    const self = systemProcesses.self();
    expect(self.startTime).toBeGreaterThan(0);
    expect(systemProcesses.isAlive({ ...self, startTime: self.startTime! - 1 })).toBe(false);
    expect(systemProcesses.isAlive({ ...self, startTime: undefined })).toBe(true);
  });

  it.runIf(onLinux)('takes a zombie for dead, and a stopped process for alive', async () => {
    const { namespace } = systemProcesses.self();
    // exec replaces the shell by one that never waits for its child.
    await withChild('sleep 0 & echo $!; exec sleep 60', async (pid) => {
      while (!/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))) await new Promise((r) => setTimeout(r, 5));
      expect(systemProcesses.isAlive({ pid, startTime: undefined, namespace })).toBe(false);
    });
    await withChild('echo $$; kill -STOP $$', (pid) => {
      expect(systemProcesses.isAlive({ pid, startTime: undefined, namespace })).toBe(true);
    });
  });

  it.runIf(onLinux)('takes a process of another user for alive', () => {
    const { namespace } = systemProcesses.self();
    expect(systemProcesses.isAlive({ pid: 1, startTime: undefined, namespace })).toBe(true);
  });

  it('has one identity in all threads', async () => {
    const worker = new Worker('require("node:worker_threads").parentPort.postMessage(process.pid)', { eval: true });
    expect((await once(worker, 'message'))[0]).toBe(systemProcesses.self().pid);
  });

  it('fits into a file name, and out of it again', () => {
    const owner = { ...systemProcesses.self(), token: '0123456789abcdef' };
    expect(parseOwnerName(ownerName(owner))).toEqual(owner);
    expect(parseOwnerName(ownerName({ ...owner, startTime: undefined }))).toEqual({ ...owner, startTime: undefined });
    for (const name of ['', 'a', `${ownerName(owner)}.tmp`, '.nfs0001', '0-1-0-0']) {
      expect(parseOwnerName(name)).toBeUndefined();
    }
  });
});
