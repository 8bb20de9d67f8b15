import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FaultyDisk, VirtualClock } from '@otel-resilience/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundle } from '../../../../test/support/bundle.js';
import { DirectoryLock } from './directory-lock.js';
import { Spool } from './disk-spool.js';
import { parseOwnerName } from './lock-owner.js';
import { nodeFileSystem } from './node-file-system.js';
import { type SignsOfLife, signsOn } from './signs-of-life.js';
import { SimulatedMachine } from './simulated-process.test-support.js';
import { HEARTBEAT_MILLIS, StaleWatch } from './stale-watch.js';

const children: ChildProcess[] = [];
let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'otel-resilience-signs-'));
});
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await rm(scratch, { recursive: true });
});

describe.runIf(process.platform === 'linux')('signs of life', () => {
  const signs = signsOn(nodeFileSystem)!;

  it('are seen as long as they are shown, and say nothing after that', async () => {
    const path = join(scratch, 'alive');
    expect(await signs.isGone(path)).toBe(false);
    const hide = await signs.show(path);
    expect(await readdir(scratch)).toEqual(['alive']);
    expect(await signs.isGone(path)).toBe(false);
    await hide();
    expect(await readdir(scratch)).toEqual([]);
    expect(await signs.isGone(path)).toBe(false);
  });

  it('say nothing where something else is, where a path is too long, and where nothing can be shown', async () => {
    const file = join(scratch, 'file');
    await writeFile(file, '');
    expect(await signs.isGone(file)).toBe(false);
    await rm(file);
    for (const path of [join(scratch, 'x'.repeat(120)), join(scratch, 'missing', 'alive')]) {
      await (await signs.show(path))();
      expect(await signs.isGone(path)).toBe(false);
    }
    expect(await readdir(scratch)).toEqual([]);
  });

  it('know the boot where the file system is that of one kernel, of a directory too that has to be made', async () => {
    const boot = await signs.bootFor(scratch);
    expect(boot).toMatch(/^[0-9a-f]{16}$/);
    expect(await signs.bootFor(join(scratch, 'to', 'be', 'made'))).toBe(boot);
    expect(await signs.bootFor('/proc/self')).toBeUndefined();
    expect(signsOn(new FaultyDisk())).toBeUndefined();
  });
});

/** Of util-linux, and root's: what containers are made of. */
const UNSHARE = 'unshare';
const canUnshare = () => spawnSync(UNSHARE, ['-p', '-n', '-f', '--mount-proc', 'true']).status === 0;

describe.runIf(process.platform === 'linux' && canUnshare())('a process of another container', () => {
  const script = () => join(scratch, 'owner.mjs');
  beforeAll(async () => {
    await writeFile(script(), await bundle(new URL('./spool-owner.test-support.ts', import.meta.url)));
  }, 60_000);

  /** Its pid is 1, as is somebody else's here. */
  function start(command: string, directory: string): ChildProcess {
    const shell = ['sh', '-c', command, '--', process.execPath, script(), directory, '7'];
    const unshared = ['-p', '-n', '-f', '--mount-proc', '--kill-child', ...shell];
    const container = spawn(UNSHARE, unshared, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    children.push(container);
    return container;
  }

  it('has no boot where that of the kernel is hidden by another', async () => {
    const directory = join(scratch, 'hidden');
    const file = join(scratch, 'boot-id');
    await writeFile(file, 'b7a3cbb2-8a46-4c32-9c3e-0d5f6f6f0f0f\n');
    const container = start(`mount --bind ${file} /proc/sys/kernel/random/boot_id && exec "$@"`, directory);
    expect((await once(container, 'message'))[0]).toEqual({ directory, stored: 7 });
    expect((await readdir(join(directory, 'lock'))).map((name) => parseOwnerName(name)?.boot)).toEqual([undefined]);
    expect((await readdir(directory)).filter((name) => name.startsWith('alive-'))).toEqual([]);
  });

  it('is left alone while it lives, stopped or not, and succeeded at once when it has been killed', async () => {
    const directory = join(scratch, 'spool');
    const container = start('exec "$@"', directory);
    expect((await once(container, 'message'))[0]).toEqual({ directory, stored: 7 });
    const { pid } = container;
    const inside = Number(await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8'));
    // 0 would be this process and all that belong to it.
    expect(inside).toBeGreaterThan(1);
    for (const isStopped of [false, true]) {
      if (isStopped) process.kill(inside, 'SIGSTOP');
      const second = new Spool({ directory, fsync: 'always' });
      await second.open();
      expect(second.status().directory).toContain(`/p-${process.pid}-`);
      expect(second.stats()).toMatchObject({ recovered: 0 });
      await second.shutdown();
    }
    process.kill(inside, 'SIGKILL');
    await once(container, 'exit');
    const third = new Spool({ directory, fsync: 'always' });
    await third.open();
    expect(third.status().directory).toBe(directory);
    expect(third.stats()).toMatchObject({ recovered: 7, waiting: 7 });
    await third.shutdown();
    expect((await readdir(directory)).filter((name) => !name.endsWith('.seg'))).toEqual(['lock']);
  });
});

describe('an owner that cannot be judged by its pid', () => {
  const HERE = '00000000000000cc';
  const THERE = '00000000000000dd';
  const setUp = () => {
    const disk = new FaultyDisk();
    const clock = new VirtualClock();
    const shown = new Set<string>();
    const ended = new Set<string>();
    const start = async (namespace: string, boot: string | undefined) => {
      const process = new SimulatedMachine(namespace).start(disk);
      const own: string[] = [];
      const signs: SignsOfLife = {
        bootFor: async () => boot,
        show: async (path) => {
          shown.add(path);
          own.push(path);
          return async () => {};
        },
        isGone: async (path) => ended.has(path),
      };
      const watch = new StaleWatch(clock);
      const environment = { fileSystem: process, clock, processes: process.processes, watch, signs };
      const acquire = () => DirectoryLock.acquire('/spool', environment);
      const kill = () => {
        process.kill();
        for (const path of own) ended.add(path);
      };
      return { acquire, kill };
    };
    /** After how many heartbeats it is succeeded. */
    const heartbeatsFor = async (acquire: () => Promise<unknown>) => {
      for (let heartbeats = 0; heartbeats < 10; heartbeats++) {
        if (await acquire()) return heartbeats;
        await clock.advance(HEARTBEAT_MILLIS);
      }
      return undefined;
    };
    return { start, heartbeatsFor, shown };
  };

  it.each<[string, string | undefined, string | undefined, number]>([
    ['of this boot, whose sign is gone: at once', HERE, HERE, 0],
    ['of another boot, on a disk that only one kernel has: at once', THERE, HERE, 0],
    ['of which it is not known whether another kernel has the disk: by its heartbeat', undefined, HERE, 6],
    ['where it is not known here: by its heartbeat', HERE, undefined, 6],
  ])('%s', async (_, its, ours, heartbeats) => {
    const { start, heartbeatsFor, shown } = setUp();
    const before = await start('00000000000000aa', its);
    expect(await before.acquire()).toBeDefined();
    expect(shown.size).toBe(its ? 1 : 0);
    const next = await start('00000000000000bb', ours);
    before.kill();
    expect(await heartbeatsFor(next.acquire)).toBe(heartbeats);
  });

  it('is not succeeded while it renews, whatever is known of it', async () => {
    const { start, heartbeatsFor } = setUp();
    const lock = await (await start('00000000000000aa', HERE)).acquire();
    const next = await start('00000000000000bb', HERE);
    expect(
      await heartbeatsFor(async () => {
        await lock!.renew();
        return next.acquire();
      }),
    ).toBeUndefined();
  });
});
