import { FaultyDisk, VirtualClock } from '@otel-resilience/testing';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { DirectoryLock, type LockEnvironment } from './directory-lock.js';
import { SimulatedMachine, type SimulatedProcess, SimulatedSigns } from './simulated-process.test-support.js';
import { HEARTBEAT_MILLIS, StaleWatch } from './stale-watch.js';

const DIRECTORY = '/spool';
const STALE_AFTER_MILLIS = 6 * HEARTBEAT_MILLIS;

function setUp(disk = new FaultyDisk()) {
  const clock = new VirtualClock();
  const machine = new SimulatedMachine();
  const elsewhere = new SimulatedMachine('00000000000000bb');
  const environmentOf = (process: SimulatedProcess): LockEnvironment => ({
    fileSystem: process,
    clock,
    processes: process.processes,
    watch: new StaleWatch(clock),
  });
  const start = (on = machine, identity = {}) => {
    const process = on.start(disk, identity);
    const environment = environmentOf(process);
    return { process, acquire: () => DirectoryLock.acquire(DIRECTORY, environment) };
  };
  /** Tries with every heartbeat, and `beforeEach` first: after how much time it was acquired. */
  const tryFor = async (
    millis: number,
    acquire: () => Promise<DirectoryLock | undefined>,
    beforeEach: () => unknown = () => {},
  ) => {
    const startedAt = clock.now();
    for (;;) {
      await beforeEach();
      if (await acquire()) return clock.now() - startedAt;
      if (clock.now() - startedAt >= millis) return undefined;
      await clock.advance(HEARTBEAT_MILLIS);
    }
  };
  return { disk, clock, machine, elsewhere, start, tryFor, environmentOf };
}

async function acquired(lock: Promise<DirectoryLock | undefined>): Promise<DirectoryLock> {
  const answer = await lock;
  if (!answer) throw new Error('not acquired');
  return answer;
}

describe('DirectoryLock', () => {
  it('is one process’s at a time, and the next one’s when it was given back', async () => {
    const { start } = setUp();
    const [a, b] = [start(), start()];
    const lock = await acquired(a.acquire());
    expect(lock.isHeld).toBe(true);
    expect(await b.acquire()).toBeUndefined();
    await lock.release();
    expect(lock.isHeld).toBe(false);
    expect((await acquired(b.acquire())).isHeld).toBe(true);
    expect(await a.acquire()).toBeUndefined();
  });

  it('is taken over from a dead owner, and from one whose pid is another’s by now', async () => {
    const { start, machine } = setUp();
    const a = start(machine, { pid: 7, startTime: 1_000 });
    const lock = await acquired(a.acquire());
    const b = start();
    expect(await b.acquire()).toBeUndefined();
    a.process.kill();
    const c = start(machine, { pid: 7, startTime: 2_000 });
    await acquired(b.acquire());
    expect(await c.acquire()).toBeUndefined();
    expect(lock.owner).toMatch(/^7-1000-/);
  });

  it('leaves another thread’s lock alone until that has been silent for long', async () => {
    const { start, tryFor, machine, environmentOf } = setUp();
    const { process, acquire } = start(machine, { pid: 7, startTime: 1_000 });
    const main = await acquired(acquire());
    vi.resetModules();
    const thread = await import('./directory-lock.js');
    const environment = environmentOf(process);
    const acquireThere = () =>
      thread.DirectoryLock.acquire(DIRECTORY, environment) as Promise<DirectoryLock | undefined>;
    expect(await tryFor(10 * STALE_AFTER_MILLIS, acquireThere, () => main.renew())).toBeUndefined();
    expect(await tryFor(10 * STALE_AFTER_MILLIS, acquireThere)).toBe(STALE_AFTER_MILLIS);
    expect(await main.renew()).toBe(false);
  });

  it('takes its own lock on another file system for a copy, and on the same for what it is', async () => {
    const { disk, start, machine } = setUp();
    const identity = { pid: 7, startTime: 1_000 };
    const { acquire } = start(machine, identity);
    await acquired(acquire());
    expect(await acquire()).toBeUndefined();
    const after = setUp(disk.crash({ keep: 'all' }));
    await acquired(after.start(after.machine, identity).acquire());
  });

  it('judges an owner of another namespace by its heartbeat, whatever lives under its pid here', async () => {
    const { start, tryFor, machine, elsewhere } = setUp();
    const a = start(elsewhere, { pid: 7, startTime: 1_000 });
    const lock = await acquired(a.acquire());
    const b = start();
    start(machine, { pid: 7, startTime: 1_000 });
    expect(await tryFor(10 * STALE_AFTER_MILLIS, b.acquire, () => lock.renew())).toBeUndefined();
    a.process.kill();
    expect(await tryFor(10 * STALE_AFTER_MILLIS, b.acquire)).toBe(STALE_AFTER_MILLIS);
  });

  it('counts a pause of everything as one missed heartbeat', async () => {
    const { start, clock, elsewhere } = setUp();
    const lock = await acquired(start(elsewhere).acquire());
    const b = start();
    expect(await b.acquire()).toBeUndefined();
    await clock.advance(100 * STALE_AFTER_MILLIS);
    expect(await b.acquire()).toBeUndefined();
    expect(await lock.renew()).toBe(true);
    expect(await b.acquire()).toBeUndefined();
  });

  it('gives back what it took from an owner that was alive after all', async () => {
    const { start, tryFor, elsewhere } = setUp();
    const lock = await acquired(start(elsewhere).acquire());
    const b = start();
    let renewals = 0;
    b.process.before = async (call) => {
      if (call === 'rename' && renewals++ === 0) await lock.renew();
    };
    expect(await tryFor(STALE_AFTER_MILLIS, b.acquire)).toBeUndefined();
    expect(renewals).toBe(2);
    expect(await lock.renew()).toBe(true);
  });

  it('is not certainly held once it was not renewed for a while, by either clock; renewing it says', async () => {
    const { start, clock } = setUp();
    const lock = await acquired(start().acquire());
    for (const pass of [
      () => clock.advance(20_000),
      async () => clock.jumpWallTime(20_000),
      async () => clock.jumpWallTime(-1e9),
    ]) {
      expect(lock.isHeld).toBe(true);
      await pass();
      expect(lock.isHeld).toBe(false);
      expect(await lock.renew()).toBe(true);
    }
  });

  it('is held for less long than others wait', async () => {
    const { start, tryFor, elsewhere } = setUp();
    const lock = await acquired(start(elsewhere).acquire());
    const b = start();
    expect(await tryFor(25_000, b.acquire)).toBeUndefined();
    expect(lock.isHeld).toBe(false);
  });

  it('that is lost is known to be lost, and its successor’s is not given back with it', async () => {
    const { start, tryFor, elsewhere } = setUp();
    const lock = await acquired(start(elsewhere).acquire());
    const b = start();
    await tryFor(STALE_AFTER_MILLIS, b.acquire);
    expect(await lock.renew()).toBe(false);
    expect(lock.isLost).toBe(true);
    await lock.release();
    await lock.releaseAndRemove();
    expect(await start().acquire()).toBeUndefined();
  });

  it('that cannot be renewed for now is neither renewed nor lost', async () => {
    const { start, clock, disk } = setUp();
    const lock = await acquired(start().acquire());
    disk.fail({ code: 'EIO', operations: ['write'], times: Number.POSITIVE_INFINITY });
    await clock.advance(20_000);
    await expect(lock.renew()).rejects.toThrow('EIO');
    expect([lock.isHeld, lock.isLost]).toEqual([false, false]);
    disk.heal();
    expect(await lock.renew()).toBe(true);
    expect(lock.isHeld).toBe(true);
  });

  it('is refused by a directory that is read-only, with its reason', async () => {
    const { start, disk } = setUp();
    await disk.makeDirectory(DIRECTORY);
    disk.readOnly = true;
    await expect(start().acquire()).rejects.toMatchObject({ code: 'EROFS' });
    disk.readOnly = false;
    await acquired(start().acquire());
    expect(await disk.list(DIRECTORY)).toEqual(['lock']);
  });

  it('needs no room on a full disk where there was one before, given back or left behind', async () => {
    const { start, disk } = setUp();
    const a = start();
    await (await acquired(a.acquire())).release();
    disk.fail({ code: 'ENOSPC', operations: ['create', 'makeDirectory'], times: Number.POSITIVE_INFINITY });
    await acquired(a.acquire());
    a.process.kill();
    await acquired(start().acquire());
  });

  it('has one owner where a power failure has left the files of two', async () => {
    const { start, disk } = setUp();
    const [a, b] = [start(), start()];
    const [{ owner }, other] = [await acquired(a.acquire()), '8-1-00000000000000aa-0123456789abcdef'];
    await (await disk.open(`${DIRECTORY}/lock/${other}`, 'create')).close();
    expect(await b.acquire()).toBeUndefined();
    expect((await disk.list(`${DIRECTORY}/lock`)).sort()).toEqual([owner, other]);
    a.process.kill();
    const lock = await acquired(b.acquire());
    expect(await disk.list(`${DIRECTORY}/lock`)).toEqual([lock.owner]);
  });

  it('does not touch what is not its own', async () => {
    const { start, disk } = setUp();
    await disk.makeDirectory(`${DIRECTORY}/lock`);
    await (await disk.open(`${DIRECTORY}/lock/.DS_Store`, 'create')).close();
    await disk.makeDirectory(`${DIRECTORY}/lock-smith`);
    expect(await start().acquire()).toBeUndefined();
    expect(await disk.list(`${DIRECTORY}/lock`)).toEqual(['.DS_Store']);
    expect((await disk.list(DIRECTORY)).sort()).toEqual(['lock', 'lock-smith']);
  });

  it('leaves nothing in a directory that goes with it', async () => {
    const { start, disk } = setUp();
    await (await acquired(start().acquire())).releaseAndRemove();
    expect(await disk.list('/')).toEqual([]);
  });

  // The process dies, or the power fails, before and after each call of a whole life, also as a successor.
  it.each(['kill', 'crash'] as const)('can be acquired at once after a %s at any moment', async (end) => {
    for (let moment = 0; ; moment++) {
      let calls = 0;
      let after: FaultyDisk | undefined;
      const disk: FaultyDisk = new FaultyDisk({
        seed: moment,
        onOperation: ({ disk }) => {
          if (calls++ === moment) after = end === 'kill' ? disk.kill() : disk.crash();
        },
      });
      const { start } = setUp(disk);
      const life = (async () => {
        const dead = start();
        const first = await acquired(dead.acquire());
        await first.renew();
        dead.process.kill();
        const second = await acquired(start().acquire());
        await second.release();
        await (await acquired(start().acquire())).releaseAndRemove();
      })();
      while (!after && !(await isDone(life)));
      if (!after) {
        await life;
        expect(moment).toBeGreaterThan(40);
        return;
      }
      calls = Number.POSITIVE_INFINITY;
      const next = setUp(after);
      const [a, b] = [8_001, 8_002].map((pid) => next.start(next.machine, { pid }));
      await acquired(a!.acquire());
      expect(await b!.acquire(), `seed ${moment}`).toBeUndefined();
    }
  });

  // Several on one disk that interleaves their calls as it likes; each acquires, works, gives back or dies, and comes again.
  it.each([
    ['of one container', false],
    ['of a container each', true],
  ])('never has two owners %s, whatever the order of things, and always one in the end', async (_, apart) => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        fc.array(fc.record({ lives: fc.array(fc.nat({ max: 60 }), { minLength: 1, maxLength: 4 }) }), {
          minLength: 2,
          maxLength: 6,
        }),
        async (seed, contenders) => {
          const { disk, machine, tryFor, environmentOf } = setUp(new FaultyDisk({ seed }));
          const signs = new SimulatedSigns();
          let containers = 0;
          const start = () => {
            const on = apart ? new SimulatedMachine((++containers).toString(16).padStart(16, '0')) : machine;
            const process = on.start(disk);
            const environment = { ...environmentOf(process), ...(apart && { signs: signs.of(process) }) };
            return { process, acquire: () => DirectoryLock.acquire(DIRECTORY, environment) };
          };
          const owners = new Set<SimulatedProcess>();
          await Promise.all(
            contenders.map(async ({ lives }) => {
              for (const calls of lives) {
                const { process, acquire } = start();
                let made = 0;
                const dies = new Promise<void>((resolve) => {
                  process.before = () => {
                    if (made++ < calls) return;
                    owners.delete(process);
                    process.kill();
                    resolve();
                  };
                });
                const lives = (async () => {
                  const lock = await acquire();
                  if (!lock) return;
                  owners.add(process);
                  expect(owners.size).toBe(1);
                  await lock.renew();
                  expect(lock.isLost).toBe(false);
                  owners.delete(process);
                  if (made % 2) await lock.release();
                  else await lock.releaseAndRemove();
                })();
                await Promise.race([lives, dies]);
                // It ends, or it would be a live owner for ever.
                process.kill();
              }
            }),
          );
          // At once, but for an owner that had not shown yet that it lives.
          expect(await tryFor(apart ? STALE_AFTER_MILLIS : 0, start().acquire)).toBeDefined();
          expect((await disk.list(`${DIRECTORY}/lock`)).length).toBe(1);
          const left = (await disk.list(DIRECTORY)).filter((name) => !name.startsWith('alive-'));
          expect(left).toEqual(['lock']);
          expect((await disk.list(DIRECTORY)).length - left.length).toBe(apart ? 1 : 0);
        },
      ),
      { numRuns: 300 },
    );
  });
});

/** Whether it settles within a turn of the event loop. */
async function isDone(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  promise.then(
    () => {
      done = true;
    },
    () => {
      done = true;
    },
  );
  await new Promise((resolve) => setImmediate(resolve));
  return done;
}
