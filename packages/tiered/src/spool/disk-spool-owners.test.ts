import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, deliveredOutcome, failedOutcome, SpanBatch, systemClock } from '@otel-resilience/core';
import { FaultyDisk, fakeSpans, VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { bundle } from '../../../../test/support/bundle.js';
import { Spool } from './disk-spool.js';
import type { SpoolLease } from './spool.js';
import { HEARTBEAT_MILLIS } from './stale-watch.js';

const DIRECTORY = '/spool';
const OWN_DIRECTORY = /^\/spool\/p-\d+-[0-9a-f]{16}$/;
const batch = (spans: number) => SpanBatch.fromSpans(fakeSpans(spans));

function setUp(disk = new FaultyDisk()) {
  const clock = new VirtualClock();
  const spoolOn = async (on = disk) => {
    const spool = new Spool({ directory: DIRECTORY, fileSystem: on, clock, fsync: 'always' });
    await spool.open();
    return spool;
  };
  return { disk, clock, spoolOn };
}

async function drain(spool: Spool): Promise<number> {
  let spans = 0;
  for (let lease = await spool.lease(); lease; lease = await spool.lease()) {
    spans += lease.batch.spanCount;
    lease.settle(deliveredOutcome(lease.batch.spanCount));
  }
  return spans;
}

async function leased(spool: Spool): Promise<SpoolLease> {
  const lease = await spool.lease();
  if (!lease) throw new Error('nothing to lease');
  return lease;
}

describe('Spools that share a directory', () => {
  it('write each in a directory of their own, and adopt what one leaves that has ended', async () => {
    const { disk, clock, spoolOn } = setUp();
    const [first, second] = [await spoolOn(), await spoolOn()];
    expect(first.status().directory).toBe(DIRECTORY);
    expect(second.status().directory).toMatch(OWN_DIRECTORY);
    await first.append(batch(3));
    await second.append(batch(4));
    await clock.advance(3 * HEARTBEAT_MILLIS);
    expect(first.stats()).toMatchObject({ accepted: 3, waiting: 3, recovered: 0, balanced: true });
    expect(second.stats()).toMatchObject({ accepted: 4, waiting: 4, recovered: 0, balanced: true });

    await first.shutdown();
    await clock.advance(HEARTBEAT_MILLIS);
    expect(first.stats()).toMatchObject({ accepted: 3, waiting: 3, balanced: true });
    expect(second.stats()).toMatchObject({ accepted: 4, recovered: 3, waiting: 7, balanced: true });
    expect(await drain(second)).toBe(7);
    expect(second.stats()).toMatchObject({ waiting: 0, delivered: 7, balanced: true });

    const third = await spoolOn();
    expect(third.status().directory).toBe(DIRECTORY);
    expect(third.stats()).toMatchObject({ recovered: 0 });
    await Promise.all([second.shutdown(), third.shutdown()]);
    expect(await disk.list(DIRECTORY)).toEqual(['lock']);
    expect([clock.pendingTimers, disk.openFiles]).toEqual([0, 0]);
  });

  it.each(['kill', 'crash'] as const)('recover after a %s what all of them had acknowledged', async (end) => {
    const { disk, spoolOn } = setUp();
    for (const spans of [3, 4, 5]) await (await spoolOn()).append(batch(spans));
    const after = end === 'kill' ? disk.kill() : disk.crash({ keep: 'none' });
    const { spoolOn: spoolAfter } = setUp(after);
    const spool = await spoolAfter();
    expect(spool.status().directory).toBe(DIRECTORY);
    expect(spool.stats()).toMatchObject({ recovered: 12, waiting: 12, balanced: true });
    expect(await drain(spool)).toBe(12);
    await spool.shutdown();
    expect(await after.list(DIRECTORY)).toEqual(['lock']);
  });

  it('do not send again what was settled before it was adopted', async () => {
    const { disk, clock, spoolOn } = setUp();
    const [first, second] = [await spoolOn(), await spoolOn()];
    for (let i = 0; i < 3; i++) await second.append(batch(600));
    const done = await leased(second);
    done.settle(deliveredOutcome(done.batch.spanCount));
    await clock.settle();
    await second.shutdown();
    await clock.advance(HEARTBEAT_MILLIS);
    expect(first.stats()).toMatchObject({ recovered: 1_200, waiting: 1_200 });
    expect(await drain(first)).toBe(1_200);
    await first.shutdown();
    expect(await disk.list(DIRECTORY)).toEqual(['lock']);
  });

  it('go on elsewhere when one is taken for dead, and leave what it had to the other', async () => {
    const { disk, clock, spoolOn } = setUp();
    const spool = await spoolOn();
    for (let i = 0; i < 2; i++) await spool.append(batch(600));
    const lease = await leased(spool);
    // As another machine does that has heard nothing of it for long.
    const [owner] = await disk.list(`${DIRECTORY}/lock`);
    const successor = '7-70-00000000000000bb-0123456789abcdef';
    await disk.rename(`${DIRECTORY}/lock/${owner}`, `${DIRECTORY}/lock/${successor}`);
    await disk.makeDirectory('/elsewhere');
    for (const name of await disk.list(DIRECTORY)) {
      if (name.endsWith('.seg')) await disk.rename(`${DIRECTORY}/${name}`, `/elsewhere/${name}`);
    }
    const before = disk.operations.length;
    clock.jumpWallTime(60_000);
    expect(await spool.append(batch(5))).toEqual({ stored: 5, dropped: 0 });
    expect(spool.stats()).toMatchObject({ accepted: 1_205, delivered: 600, waiting: 605, balanced: true });
    lease.settle(failedOutcome(lease.batch, 'retryable', new Error('down')));
    expect(spool.stats()).toMatchObject({ accepted: 1_205, delivered: 1_200, waiting: 5, balanced: true });
    await clock.advance(HEARTBEAT_MILLIS);
    expect(spool.status()).toMatchObject({ mode: 'disk', directory: expect.stringMatching(OWN_DIRECTORY) });
    expect(spool.stats()).toMatchObject({ accepted: 1_205, delivered: 1_200, waiting: 5, balanced: true });
    expect(await drain(spool)).toBe(5);
    await spool.shutdown();
    const touched = disk.operations.slice(before).filter(({ path }) => /^\/spool\/[^/]*\.(seg|ack)$/.test(path));
    expect(touched.map(({ kind }) => kind)).toEqual(['close']);
    expect(await disk.list(`${DIRECTORY}/lock`)).toEqual([successor]);
    expect(await disk.list('/elsewhere')).toHaveLength(1);
    expect(clock.pendingTimers).toBe(0);
  });

  it('take turns with processes: one that is killed is adopted by one that lives', async () => {
    const scratch = await mkdtemp(join(tmpdir(), 'otel-resilience-owners-'));
    try {
      const script = join(scratch, 'owner.mjs');
      await writeFile(script, await bundle(new URL('./spool-owner.test-support.ts', import.meta.url)));
      const directory = join(scratch, 'spool');
      const child = fork(script, [directory, '7'], { execArgv: [] });
      expect((await once(child, 'message'))[0]).toEqual({ directory, stored: 7 });
      const spool = new Spool({ directory, clock: fast, fsync: 'always' });
      await spool.append(batch(4));
      expect(spool.status().directory).toContain(`/p-${process.pid}-`);
      await new Promise((resolve) => setTimeout(resolve, (3 * HEARTBEAT_MILLIS) / SPEED));
      expect(spool.stats()).toMatchObject({ accepted: 4, recovered: 0, waiting: 4 });
      child.kill('SIGKILL');
      await once(child, 'exit');
      const deadline = performance.now() + 5_000;
      while (spool.stats().recovered === 0 && performance.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      expect(spool.stats()).toMatchObject({ accepted: 4, recovered: 7, waiting: 11, balanced: true });
      expect(await drain(spool)).toBe(11);
      await spool.shutdown();
    } finally {
      await rm(scratch, { recursive: true });
    }
  });
});

const SPEED = 100;
const STARTED_AT = Date.now();
const fast: Clock = {
  ...systemClock,
  now: () => SPEED * systemClock.now(),
  wallTime: () => STARTED_AT + SPEED * (systemClock.wallTime() - STARTED_AT),
  setTimeout: (callback, delayMillis, options) => systemClock.setTimeout(callback, delayMillis / SPEED, options),
};
