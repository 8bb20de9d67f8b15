import { SpanBatch } from '@otel-resilience/core';
import { FaultyDisk, fakeSpans, VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { Quarantine } from './quarantine.js';
import { ackName, numberOf, segmentName } from './segment.js';
import { SimulatedMachine } from './simulated-process.test-support.js';
import { acquireDirectory, type OwnedDirectory } from './spool-directory.js';
import { HEARTBEAT_MILLIS } from './stale-watch.js';

const ROOT = '/spool';
const OWN_DIRECTORY = /^\/spool\/p-\d+-[0-9a-f]{16}$/;

function setUp(disk = new FaultyDisk()) {
  const clock = new VirtualClock();
  const machine = new SimulatedMachine();
  const elsewhere = new SimulatedMachine('00000000000000bb');

  /** A process that acquires the directory, watches it, and counts on from where it is. */
  const start = async (on = machine, identity = {}) => {
    const process = on.start(disk, identity);
    const owned = await acquireDirectory({ directory: ROOT, fileSystem: process, clock, processes: process.processes });
    const seen = { adopted: [...owned.adopted], lost: 0, trouble: [] as unknown[] };
    let next = 1_000;
    owned.watch({
      nextNumber: () => next++,
      onAdopted: (names) => seen.adopted.push(...names),
      onLost: () => seen.lost++,
      onTrouble: (error) => seen.trouble.push(error),
    });
    return { process, owned, seen, path: owned.path };
  };
  const put = (path: string, content = path) => write(disk, path, content);
  return { disk, clock, machine, elsewhere, start, put };
}

async function write(disk: FaultyDisk, path: string, content: string): Promise<void> {
  const file = await disk.open(path, 'create');
  await file.write([Buffer.from(content)], 0);
  await file.sync();
  await file.close();
}

const segment = (number: number) => segmentName(number, 7n);
const acks = (number: number) => ackName(segment(number));

/** What is in the spool, by content: locks apart. */
function contents(disk: FaultyDisk): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [path, bytes] of disk.contents()) {
    if (!path.includes('/lock')) found[Buffer.from(bytes).toString()] = path;
  }
  return found;
}

describe('acquireDirectory', () => {
  it('gives the directory to the first, and one of its own to each other', async () => {
    const { start, disk } = setUp();
    const [a, b, c] = [await start(), await start(), await start()];
    expect(a.path).toBe(ROOT);
    expect(b.path).toMatch(OWN_DIRECTORY);
    expect(c.path).toMatch(OWN_DIRECTORY);
    expect(b.path).not.toBe(c.path);
    for (const { owned } of [a, b, c]) await owned.release();
    expect(await disk.list(ROOT)).toEqual(['lock']);
    expect((await start()).path).toBe(ROOT);
  });

  it('gives a second spool of the same process one of its own', async () => {
    const { start, machine, clock } = setUp();
    const { process, path } = await start(machine, { pid: 7 });
    expect(path).toBe(ROOT);
    const second = await acquireDirectory({
      directory: ROOT,
      fileSystem: process,
      clock,
      processes: process.processes,
    });
    expect(second.path).toMatch(/^\/spool\/p-7-/);
  });

  it('keeps what a dead owner left where it is, and moves there what others left', async () => {
    const { start, put, disk, clock } = setUp();
    const [a, b, c] = [await start(), await start(), await start()];
    await put(`${a.path}/${segment(5)}`, 'a5');
    await put(`${b.path}/${segment(5)}`, 'b5');
    await put(`${b.path}/${acks(5)}`, 'b5 acks');
    await put(`${b.path}/${segment(6)}`, 'b6');
    await put(`${b.path}/${acks(9)}`, 'b9 acks');
    await put(`${c.path}/${segment(1)}`, 'c1');
    a.process.kill();
    b.process.kill();
    const d = await start();
    expect(d.path).toBe(ROOT);
    expect(d.owned.adopted).toEqual([segment(6), segment(7)]);
    expect(contents(disk)).toEqual({
      a5: `${ROOT}/${segment(5)}`,
      b5: `${ROOT}/${segment(6)}`,
      'b5 acks': `${ROOT}/${acks(6)}`,
      b6: `${ROOT}/${segment(7)}`,
      c1: `${c.path}/${segment(1)}`,
    });
    expect((await disk.list(ROOT)).filter((name) => name.startsWith('p-'))).toEqual([c.path.slice(7)]);
    await c.owned.release();
    await clock.advance(HEARTBEAT_MILLIS);
    expect(contents(disk)).toMatchObject({ c1: `${ROOT}/${segment(1_000)}` });
    expect(d.seen.adopted).toEqual([segment(6), segment(7), segment(1_000)]);
  });

  it('adopts what is in the directory itself into its own, and leaves the directory to the next', async () => {
    const { start, put, disk, clock } = setUp();
    const [a, b] = [await start(), await start()];
    await put(`${ROOT}/${segment(3)}`, 'a3');
    await clock.advance(3 * HEARTBEAT_MILLIS);
    expect(b.seen.adopted).toEqual([]);
    a.process.kill();
    await clock.advance(HEARTBEAT_MILLIS);
    expect(b.seen.adopted).toEqual([segment(1_000)]);
    expect(contents(disk)).toEqual({ a3: `${b.path}/${segment(1_000)}` });
    expect((await start()).path).toBe(ROOT);
  });

  it('adopts from another container only when its owner has been silent for long', async () => {
    const { start, put, clock, elsewhere } = setUp();
    const a = await start(elsewhere);
    await put(`${ROOT}/${segment(3)}`);
    const b = await start();
    await clock.advance(100 * HEARTBEAT_MILLIS);
    expect(b.seen.adopted).toEqual([]);
    a.process.kill();
    await clock.advance(5 * HEARTBEAT_MILLIS);
    expect(b.seen.adopted).toEqual([]);
    await clock.advance(2 * HEARTBEAT_MILLIS);
    expect(b.seen.adopted).toEqual([segment(1_000)]);
  });

  it('gives nobody the directory of one that was only silent, while the adopter lives', async () => {
    const { start, put, clock, elsewhere } = setUp();
    const a = await start(elsewhere);
    await put(`${ROOT}/${segment(3)}`);
    const b = await start();
    a.process.kill();
    await clock.advance(10 * HEARTBEAT_MILLIS);
    expect(b.seen.adopted).toEqual([segment(1_000)]);
    await clock.advance(100 * HEARTBEAT_MILLIS);
    const [c, d] = [await start(), await start(elsewhere)];
    expect([c.path, d.path]).toEqual([expect.stringMatching(OWN_DIRECTORY), expect.stringMatching(OWN_DIRECTORY)]);
    // What the silent one did last, and nobody was told of.
    await put(`${ROOT}/${segment(4)}`);
    await clock.advance(HEARTBEAT_MILLIS);
    expect(b.seen.adopted).toEqual([segment(1_000), segment(1_001)]);
    await b.owned.release();
    expect((await start()).path).toBe(ROOT);
  });

  it('tells an owner that was taken for dead, once, and renews no more', async () => {
    const { start, put, clock, disk, elsewhere } = setUp();
    const a = await start(elsewhere);
    await put(`${ROOT}/${segment(3)}`);
    await start();
    disk.fail({
      code: 'EIO',
      operations: ['open'],
      path: new RegExp(`lock/${a.process.processes.self().pid}-`),
      times: 1e9,
    });
    // Nobody can read its heartbeat either: nothing is known.
    await clock.advance(20 * HEARTBEAT_MILLIS);
    expect(a.owned.isHeld).toBe(false);
    expect(a.seen.trouble[0]).toMatchObject({ code: 'EIO' });
    await expect(a.owned.confirm()).rejects.toMatchObject({ code: 'EIO' });
    disk.heal();
    await clock.advance(HEARTBEAT_MILLIS);
    expect([a.owned.isHeld, await a.owned.confirm(), a.seen.lost]).toEqual([true, true, 0]);
    // Its process is stopped while others go on.
    let goOn = () => {};
    const stopped = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    a.process.before = () => stopped;
    await clock.advance(10 * HEARTBEAT_MILLIS);
    expect([a.owned.isHeld, a.seen.lost]).toEqual([false, 0]);
    goOn();
    await clock.settle();
    expect([a.owned.isHeld, await a.owned.confirm(), a.seen.lost]).toEqual([false, false, 1]);
    const timers = clock.pendingTimers;
    await a.owned.release();
    expect(clock.pendingTimers).toBe(timers);
    expect(a.seen.lost).toBe(1);
  });

  it('leaves alone what is not ours, and the directory it is in', async () => {
    const { start, put, disk, clock } = setUp();
    const [a, b] = [await start(), await start()];
    await put(`${b.path}/notes.txt`, 'notes');
    await put(`${b.path}/${segment(1)}`, 'b1');
    await disk.makeDirectory(`${ROOT}/p-notours`);
    await put(`${ROOT}/p-1-0123456789abcdef`, 'a file');
    b.process.kill();
    await clock.advance(HEARTBEAT_MILLIS);
    expect(a.seen.trouble).toEqual([]);
    expect(contents(disk)).toEqual({
      notes: `${b.path}/notes.txt`,
      b1: `${ROOT}/${segment(1_000)}`,
      'a file': `${ROOT}/p-1-0123456789abcdef`,
    });
    const before = disk.operations.length;
    await clock.advance(HEARTBEAT_MILLIS);
    const changes = disk.operations.slice(before).filter(({ kind }) => /make|create|rename|remove/i.test(kind));
    expect(changes).toEqual([]);
  });

  it('adopts what is in quarantine into its own, while that is written to', async () => {
    const { start, put, disk, clock } = setUp();
    const [a, b] = [await start(), await start()];
    const quarantine = new Quarantine({ fileSystem: disk, clock, directory: a.path, sync: true });
    const poison = SpanBatch.fromSpans(fakeSpans(1));
    await quarantine.add(poison);
    await disk.makeDirectory(`${b.path}/quarantine`);
    for (const number of [1, 2]) await put(`${b.path}/quarantine/${segment(number)}`, `b${number}`);
    b.process.kill();
    await clock.advance(HEARTBEAT_MILLIS);
    expect(contents(disk)).toMatchObject({
      b1: `${ROOT}/quarantine/${segment(2)}`,
      b2: `${ROOT}/quarantine/${segment(3)}`,
    });
    expect((await disk.list(ROOT)).sort()).toEqual(['lock', 'quarantine']);
    await quarantine.add(poison);
    expect((await disk.list(`${ROOT}/quarantine`)).map(numberOf).sort()).toEqual([1, 2, 3, 4]);
    expect(a.seen).toMatchObject({ adopted: [], trouble: [] });
  });

  it('goes on with what can be adopted, reports what cannot, and tries again', async () => {
    const { start, put, disk, clock } = setUp();
    const a = await start();
    const [b, c] = [await start(), await start()];
    await put(`${b.path}/${segment(1)}`);
    await put(`${c.path}/${segment(1)}`);
    disk.fail({ code: 'EACCES', operations: ['rename'], path: new RegExp(`${b.path}/.*seg`), times: 1e9 });
    b.process.kill();
    c.process.kill();
    await clock.advance(HEARTBEAT_MILLIS);
    expect(a.seen.adopted).toHaveLength(1);
    expect(a.seen.trouble).toMatchObject([{ code: 'EACCES' }]);
    disk.heal();
    await clock.advance(HEARTBEAT_MILLIS);
    expect(a.seen.adopted).toHaveLength(2);
    expect(a.owned.isHeld).toBe(true);
  });

  it('copies what lies on another device, and keeps the source until the copy is durable', async () => {
    for (const failing of ['none', 'sync', 'write'] as const) {
      const { start, put, disk, clock } = setUp();
      const a = await start();
      const b = await start();
      await put(`${b.path}/${segment(1)}`, 'spans');
      await put(`${b.path}/${acks(1)}`, 'notes');
      const path = new RegExp(`${b.path}/.*(seg|ack)`);
      disk.fail({ code: 'EXDEV', operations: ['rename'], path, times: 1e9 });
      if (failing !== 'none') disk.fail({ code: 'EIO', operations: [failing], path: /^\/spool\/[^/]*seg$/, times: 1 });
      b.process.kill();
      await clock.advance(HEARTBEAT_MILLIS);
      if (failing !== 'none') {
        expect(a.seen).toMatchObject({ adopted: [], trouble: [{ code: 'EIO' }] });
        expect(contents(disk).spans).toBe(`${b.path}/${segment(1)}`);
        await clock.advance(HEARTBEAT_MILLIS);
      }
      const [adopted] = a.seen.adopted as [string];
      expect(a.seen.adopted).toHaveLength(1);
      // Nothing but what is durable.
      const left = contents(disk.crash({ keep: 'none' }));
      expect(left).toMatchObject({ spans: `${ROOT}/${adopted}`, notes: `${ROOT}/${ackName(adopted)}` });
    }
  });

  it('says why a directory cannot be had', async () => {
    const { start, disk } = setUp();
    disk.readOnly = true;
    await expect(start()).rejects.toMatchObject({ code: 'EROFS' });
  });

  it('leaves no timer and no handle', async () => {
    const { start, disk, clock } = setUp();
    const all = [await start(), await start()];
    await clock.advance(3 * HEARTBEAT_MILLIS);
    for (const { owned } of all) await owned.release();
    expect([clock.pendingTimers, disk.openFiles]).toEqual([0, 0]);
  });

  // The adopter dies, or the power fails, before and after each call of an adoption.
  it.each(['kill', 'crash'] as const)('loses no segment to a %s in mid-adoption, and adopts each once', async (end) => {
    for (let moment = 0; ; moment++) {
      let armed = false;
      let calls = 0;
      let after: FaultyDisk | undefined;
      const disk: FaultyDisk = new FaultyDisk({
        seed: moment,
        onOperation: (at) => {
          if (armed && !after && calls++ === moment) after = end === 'kill' ? at.disk.kill() : at.disk.crash();
        },
      });
      const { start, put } = setUp(disk);
      const dead = [await start(), await start(), await start()];
      for (const [index, { path, process }] of dead.entries()) {
        for (const number of [1, 2]) {
          await put(`${path}/${segment(number)}`, `${index}/${number}`);
          await put(`${path}/${acks(number)}`, `${index}/${number} acks`);
        }
        await disk.syncDirectory(path);
        process.kill();
      }
      await disk.syncDirectory(ROOT);
      await disk.syncDirectory('/');
      armed = true;
      let adopter: OwnedDirectory | undefined;
      const adopting = start().then(({ owned }) => {
        adopter = owned;
      });
      while (!after && !adopter) await new Promise((resolve) => setImmediate(resolve));
      armed = false;
      if (!after) {
        await adopting;
        expect(moment).toBeGreaterThan(60);
        return;
      }
      const next = setUp(after);
      const { owned } = await next.start(next.machine, { pid: 9_001 });
      const found = [...after.contents()].filter(([path]) => path.endsWith('.seg'));
      const names = found.map(([, bytes]) => Buffer.from(bytes).toString()).sort();
      const whole = ['0/1', '0/2', '1/1', '1/2', '2/1', '2/2'];
      // After a power failure what was renamed may be at both names.
      expect([...new Set(names)], `seed ${moment}`).toEqual(whole);
      if (end === 'kill') expect(names).toEqual(whole);
      expect(found.map(([path]) => path.replace(/\/[^/]*$/, ''))).toEqual(found.map(() => owned.path));
    }
  });
});
