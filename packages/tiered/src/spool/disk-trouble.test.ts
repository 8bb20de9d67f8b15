import {
  ConfigurationError,
  deliveredOutcome,
  failedOutcome,
  followedBy,
  giveUp,
  SpanBatch,
} from '@otel-resilience/core';
import { FaultyDisk, fakeSpans, VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { Spool } from './disk-spool.js';
import type { SpoolLease } from './spool.js';
import type { SpoolOptions } from './spool-options.js';

const DIRECTORY = '/var/spool/spans';
const batch = (spans: number) => SpanBatch.fromSpans(fakeSpans(spans));
const delivered = ({ batch }: SpoolLease) => deliveredOutcome(batch.spanCount);

function setUp(options: Partial<SpoolOptions> = {}, disk = new FaultyDisk()) {
  const clock = new VirtualClock();
  const spool = new Spool({ directory: DIRECTORY, fsync: 'always', fileSystem: disk, clock, ...options });
  const drain = async () => {
    let spans = 0;
    for (let lease = await spool.lease(); lease; lease = await spool.lease()) {
      spans += lease.batch.spanCount;
      lease.settle(delivered(lease));
    }
    return spans;
  };
  const close = async () => {
    await clock.run(spool.shutdown());
    expect(clock.pendingTimers).toBe(0);
    expect(disk.openFiles).toBe(0);
  };
  return { clock, disk, spool, drain, close };
}

/** How many spans a process finds that starts on this disk. */
async function recoveredFrom(disk: FaultyDisk): Promise<number> {
  const { spool, close } = setUp({}, disk);
  await spool.open();
  const { recovered } = spool.stats();
  await close();
  return recovered;
}

/** As `rm -r` does. */
async function removeAll(disk: FaultyDisk, path: string): Promise<void> {
  for (const name of await disk.list(path)) {
    await disk.remove(`${path}/${name}`).catch(() => removeAll(disk, `${path}/${name}`));
  }
  await disk.removeDirectory(path);
}

const operationsOf = (disk: FaultyDisk, kind: string) => disk.operations.filter((each) => each.kind === kind).length;

describe('fsync', () => {
  it('always: what was acknowledged survives the machine, its name too', async () => {
    const { disk, spool, close } = setUp();
    await spool.append(batch(1));
    await spool.append(batch(2));
    expect(await recoveredFrom(disk.crash({ keep: 'none' }))).toBe(3);
    await close();
  });

  it('always: appends that wait for the same sync share it', async () => {
    const { disk, spool, close } = setUp();
    await spool.append(batch(1));
    const before = operationsOf(disk, 'sync');
    await Promise.all(Array.from({ length: 20 }, () => spool.append(batch(1))));
    expect(operationsOf(disk, 'sync') - before).toBeLessThanOrEqual(3);
    expect(await recoveredFrom(disk.crash({ keep: 'none' }))).toBe(21);
    await close();
  });

  it('interval: what was acknowledged survives the process at once, and the machine after the interval', async () => {
    const { clock, disk, spool, close } = setUp({ fsync: 'interval' });
    await spool.append(batch(3));
    expect(await recoveredFrom(disk.kill())).toBe(3);
    await clock.advance(500);
    expect(await recoveredFrom(disk.crash({ keep: 'none' }))).toBe(3);
    await close();
  });

  it('never: survives the process, and is never synced', async () => {
    const { clock, disk, spool, close } = setUp({ fsync: 'never' });
    await spool.append(batch(3));
    await clock.advance(60_000);
    expect(await recoveredFrom(disk.kill())).toBe(3);
    await close();
    expect(disk.operations.filter(({ kind, path }) => kind === 'sync' && path.endsWith('.seg'))).toEqual([]);
  });

  it.each(['always', 'interval'] as const)(
    '%s: after a sync that failed everything is written again',
    async (fsync) => {
      const { clock, disk, spool, drain, close } = setUp({ fsync });
      await spool.append(batch(1));
      await clock.advance(500);
      disk.fail({ operations: ['sync'], code: 'EIO', path: /\.seg$/, keep: 'none' });
      expect(await spool.append(batch(2))).toEqual({ stored: 2, dropped: 0 });
      await clock.advance(500);
      expect(spool.status()).toMatchObject({ mode: 'disk', spansInMemory: 0 });
      expect(await recoveredFrom(disk.crash({ keep: 'none' }))).toBe(3);
      expect(await drain()).toBe(3);
      await close();
    },
  );

  it.each(['always', 'interval'] as const)('%s: what no disk takes for certain waits in memory', async (fsync) => {
    const { clock, disk, spool, drain, close } = setUp({ fsync });
    await spool.append(batch(1));
    await clock.advance(500);
    disk.fail({ operations: ['sync'], code: 'EIO', path: /\.seg$/, keep: 'none', times: 2 });
    expect(await spool.append(batch(2))).toEqual({ stored: 2, dropped: 0 });
    await clock.advance(500);
    expect(spool.status()).toMatchObject({ mode: 'memory', spansInMemory: 2, error: expect.stringContaining('EIO') });
    expect(spool.stats()).toMatchObject({ accepted: 3, waiting: 3, balanced: true });
    await clock.advance(1_000);
    expect(spool.status()).toMatchObject({ mode: 'disk', spansInMemory: 0 });
    expect(spool.stats()).toMatchObject({ accepted: 3, waiting: 3, delivered: 0, balanced: true });
    await clock.advance(500);
    expect(await recoveredFrom(disk.crash({ keep: 'none' }))).toBeGreaterThanOrEqual(3);
    expect(await drain()).toBe(3);
    await close();
  });
});

describe('a disk in trouble', () => {
  it.each(['ENOSPC', 'EIO', 'EROFS'])('%s: batches wait in memory until it is over', async (code) => {
    const { clock, disk, spool, drain, close } = setUp();
    await spool.append(batch(1));
    disk.fail({ operations: ['write', 'open'], code, path: /\.seg$/, times: Number.POSITIVE_INFINITY });
    expect(await spool.append(batch(2))).toEqual({ stored: 2, dropped: 0 });
    expect(spool.durable).toBe(false);
    expect(spool.status()).toMatchObject({ mode: 'memory', error: expect.stringContaining(code) });
    await clock.advance(10_000);
    disk.heal();
    await clock.advance(60_000);
    expect(spool.durable).toBe(true);
    expect(spool.status().mode).toBe('disk');
    expect(spool.stats()).toMatchObject({ accepted: 3, waiting: 3, balanced: true });
    expect(await recoveredFrom(disk.crash({ keep: 'none' }))).toBe(3);
    expect(await drain()).toBe(3);
    await close();
  });

  it('is not worked with while a directory above, which may be new, cannot be synced', async () => {
    const { clock, disk, spool, close } = setUp();
    disk.fail({ operations: ['syncDirectory'], code: 'EIO' });
    await spool.append(batch(2));
    expect(spool.status()).toMatchObject({ mode: 'memory', spansInMemory: 2, error: expect.stringContaining('EIO') });
    expect(spool.durable).toBe(false);
    await clock.advance(1_000);
    expect(spool.durable).toBe(true);
    expect(await recoveredFrom(disk.crash({ keep: 'none' }))).toBe(2);
    await close();
  });

  it('is worked with when a directory above can be entered and not read', async () => {
    const { disk, spool, close } = setUp();
    disk.fail({ operations: ['syncDirectory'], code: 'EACCES', path: /^\/$/ });
    await spool.append(batch(2));
    expect(spool.status().mode).toBe('disk');
    await close();
  });

  it('leaves no file open, and nothing unfinished, when the last sync before the end fails', async () => {
    const { disk, spool, close } = setUp({ fsync: 'interval' });
    await spool.append(batch(2));
    disk.fail({ operations: ['sync'], code: 'EIO' });
    await close();
    expect(await recoveredFrom(disk.crash({ keep: 'none' }))).toBeGreaterThanOrEqual(2);
  });

  it('works from memory when it cannot be opened, and recovers what is there once it can', async () => {
    const before = setUp();
    await before.spool.append(batch(5));
    await before.close();
    const disk = before.disk.kill();
    const { clock, spool, drain, close } = setUp({}, disk);
    disk.fail({ code: 'EIO', times: Number.POSITIVE_INFINITY });
    let arrivals = 0;
    await spool.open(() => arrivals++);
    expect(await spool.append(batch(2))).toEqual({ stored: 2, dropped: 0 });
    expect(spool.stats()).toMatchObject({ waiting: 2, recovered: 0 });
    disk.heal();
    await clock.advance(1_000);
    expect(arrivals).toBe(1);
    expect(spool.stats()).toMatchObject({ accepted: 2, recovered: 5, waiting: 7, balanced: true });
    expect(await drain()).toBe(7);
    await close();
  });

  it('says so at the start when it is required', async () => {
    const disk = new FaultyDisk();
    disk.readOnly = true;
    const { spool, close } = setUp({ required: true }, disk);
    await expect(spool.open()).rejects.toThrow(ConfigurationError);
    await expect(spool.open()).rejects.toThrow(/^Spool\.directory: expected .*\/var\/spool\/spans: EROFS/);
    await expect(spool.append(batch(1))).rejects.toThrow('EROFS');
    await close();
  });

  it('drops what could not be written by the end, and says so', async () => {
    const { disk, spool, close } = setUp();
    await spool.append(batch(1));
    disk.fail({ operations: ['write'], code: 'EIO', path: /\.seg$/, times: Number.POSITIVE_INFINITY });
    await spool.append(batch(2));
    await close();
    expect(spool.stats()).toMatchObject({ accepted: 3, waiting: 1, dropped: { shutdown: 2 }, balanced: true });
  });

  it('ends a shutdown in time though the disk hangs', async () => {
    let hangs = false;
    const disk = new FaultyDisk({ onOperation: () => (hangs ? new Promise<void>(() => {}) : undefined) });
    const { clock, spool } = setUp({}, disk);
    await spool.append(batch(1));
    hangs = true;
    const appended = spool.append(batch(1));
    const startedAt = clock.now();
    await clock.run(spool.shutdown({ deadline: startedAt + 2_000 }));
    expect(clock.now() - startedAt).toBe(2_000);
    expect(await Promise.race([appended, 'open'])).toBe('open');
    expect(clock.pendingTimers).toBe(0);
  });

  it('reads another segment when one cannot be read, and that one later', async () => {
    const { clock, disk, spool, drain, close } = setUp({ maxBytes: 100_000, maxSegmentBytes: 1_024 });
    for (let i = 0; i < 3; i++) await spool.append(batch(10));
    disk.fail({ operations: ['read'], code: 'EIO', path: /0001-[0-9a-f]+\.seg$/ });
    const leased = await spool.lease();
    expect(leased!.batch.spanCount).toBe(10);
    leased!.settle(delivered(leased!));
    await expect(drain()).rejects.toThrow();
    await clock.advance(1_000);
    expect(await drain()).toBe(10);
    expect(spool.stats()).toMatchObject({ delivered: 30, waiting: 0, balanced: true });
    await close();
  });

  it('goes on when notes of what is settled cannot be written: it is sent twice', async () => {
    const { disk, spool, close } = setUp();
    await spool.append(batch(600));
    await spool.append(batch(600));
    disk.fail({ operations: ['open', 'write'], code: 'EIO', path: /\.ack$/, times: Number.POSITIVE_INFINITY });
    const leased = await spool.lease();
    leased!.settle(delivered(leased!));
    await close();
    expect(spool.stats()).toMatchObject({ delivered: 600, waiting: 600, balanced: true });
    expect(await recoveredFrom(disk.kill())).toBe(1_200);
  });
});

describe('what leaves the spool', () => {
  it('puts poison into quarantine before it is forgotten', async () => {
    const { disk, spool, close } = setUp();
    await spool.append(batch(4));
    const leased = await spool.lease();
    leased!.settle(giveUp(failedOutcome(leased!.batch, 'retryable', new Error('down')), 'poison'));
    await close();
    expect(spool.status().quarantined).toBe(1);
    expect(await disk.list(`${DIRECTORY}/quarantine`)).toEqual([
      expect.stringMatching(/^0000000000000001-[0-9a-f]{16}\.seg$/),
    ]);
    expect(await recoveredFrom(disk.crash({ keep: 'none' }))).toBe(0);
  });

  it('keeps what remains in memory when it cannot be written, and on disk for after a crash', async () => {
    const { disk, spool, close, drain, clock } = setUp();
    await spool.append(batch(10));
    const leased = await spool.lease();
    disk.fail({ operations: ['write'], code: 'ENOSPC', path: /\.seg$/, times: Number.POSITIVE_INFINITY });
    leased!.settle(
      followedBy(deliveredOutcome(4), failedOutcome(leased!.batch.slice(4), 'retryable', new Error('down'))),
    );
    await clock.settle();
    expect(spool.stats()).toMatchObject({ accepted: 10, delivered: 4, waiting: 6, balanced: true });
    expect(await recoveredFrom(disk.kill())).toBe(10);
    disk.heal();
    expect(await drain()).toBe(6);
    expect(spool.stats()).toMatchObject({ accepted: 10, delivered: 10, waiting: 0, balanced: true });
    await close();
  });

  it('expires whole segments by the monotonic clock, whatever the wall clock does', async () => {
    const { clock, spool, close } = setUp({ maxAgeMillis: 3_600_000, maxSegmentBytes: 1_024 });
    await spool.append(batch(10));
    clock.jumpWallTime(-7 * 86_400_000);
    await clock.advance(3_000_000);
    await spool.append(batch(11));
    clock.jumpWallTime(30 * 86_400_000);
    expect((await spool.lease())!.batch.spanCount).toBe(10);
    await clock.advance(3_000_000);
    expect(spool.stats()).toMatchObject({ waiting: 21 });
    await clock.advance(700_000);
    await spool.lease();
    expect(spool.stats()).toMatchObject({ waiting: 10, dropped: { expired: 11 }, balanced: true });
    await close();
  });

  it('expires what an earlier process has left, but not for a clock that was not set', async () => {
    const disk = new FaultyDisk();
    const write = async (wallTime: number) => {
      const clock = new VirtualClock({ wallTime });
      const spool = new Spool({ directory: DIRECTORY, fsync: 'always', fileSystem: disk, clock });
      await spool.append(batch(2));
      await clock.run(spool.shutdown());
    };
    await write(Date.UTC(1970, 0, 1));
    await write(Date.UTC(2025, 0, 1));
    const { spool, drain, close } = setUp({}, disk);
    expect(await drain()).toBe(2);
    expect(spool.stats()).toMatchObject({ recovered: 4, delivered: 2, dropped: { expired: 2 }, balanced: true });
    await close();
  });

  it('expires nothing for a clock that is ahead by years, but what waits for too long by the monotonic one', async () => {
    const disk = new FaultyDisk();
    const first = setUp({ fsync: 'always' }, disk);
    await first.spool.append(batch(10));
    await first.close();
    const clock = new VirtualClock({ wallTime: Date.UTC(2036, 0, 1) });
    const spool = new Spool({ directory: DIRECTORY, maxAgeMillis: 600_000, fileSystem: disk, clock });
    await spool.open();
    await clock.advance(500_000);
    const lease = await spool.lease();
    expect(lease!.batch.spanCount).toBe(10);
    lease!.settle(failedOutcome(lease!.batch, 'refused', new Error('down')));
    await clock.advance(200_000);
    expect(await spool.lease()).toBeUndefined();
    expect(spool.stats()).toMatchObject({ recovered: 10, dropped: { expired: 10 }, balanced: true });
    await clock.run(spool.shutdown());
  });

  it.each([
    ['by the next append', 0, 5],
    ['by the heartbeat', 6_000, 0],
  ])('counts as lost, not as sent, what somebody has removed: found out %s', async (_, waitMillis, spans) => {
    const { clock, disk, spool, drain, close } = setUp({ maxSegmentBytes: 2_048 });
    for (let i = 0; i < 4; i++) await spool.append(batch(10));
    const lease = (await spool.lease())!;
    await removeAll(disk, DIRECTORY);
    await clock.advance(waitMillis);
    clock.jumpWallTime(60_000); // so that it looks before it writes
    if (spans > 0) expect(await spool.append(batch(spans))).toEqual({ stored: spans, dropped: 0 });
    expect(spool.stats()).toMatchObject({
      waiting: 10 + spans,
      delivered: 0,
      dropped: { corrupt: 30 },
      balanced: true,
    });
    if (spans > 0) expect(spool.status().error).toBe('somebody has removed what was in it');
    lease.settle(followedBy(deliveredOutcome(4), failedOutcome(lease.batch.slice(4), 'retryable', new Error('down'))));
    expect(spool.stats()).toMatchObject({ waiting: spans, delivered: 4, dropped: { corrupt: 36 }, balanced: true });
    await clock.advance(10_000);
    expect(spool.status()).toMatchObject({ mode: 'disk', directory: DIRECTORY });
    expect(await drain()).toBe(spans);
    await close();
  });

  it('counts segments as lost that somebody has removed, once nothing of them is leased, and goes on with the others', async () => {
    const { clock, disk, spool, drain, close } = setUp({ maxSegmentBytes: 2_048 });
    for (let i = 0; i < 4; i++) await spool.append(batch(10));
    const lease = (await spool.lease())!;
    const names = (await disk.list(DIRECTORY)).filter((name) => name.endsWith('.seg'));
    expect(names.length).toBeGreaterThan(2);
    for (const name of names) await disk.remove(`${DIRECTORY}/${name}`);
    await expect(spool.lease()).rejects.toThrow('ENOENT');
    await clock.settle();
    lease.settle(failedOutcome(lease.batch, 'retryable', new Error('down')));
    await spool.append(batch(5));
    await clock.advance(1_000);
    let sent = 0;
    for (let second = 0; second < 5; second++) {
      sent += await drain().catch(() => 0);
      await clock.advance(5_000);
    }
    expect(sent).toBe(5);
    expect(spool.stats()).toMatchObject({ waiting: 0, delivered: 5, dropped: { corrupt: 40 }, balanced: true });
    await close();
  });

  it('finds again what lies in a directory of which somebody has removed the lock', async () => {
    const { clock, disk, spool, drain, close } = setUp();
    await spool.append(batch(10));
    await removeAll(disk, `${DIRECTORY}/lock`);
    await clock.advance(20_000);
    expect(spool.stats()).toMatchObject({ accepted: 10, delivered: 10, recovered: 10, waiting: 10, dropped: {} });
    expect(await drain()).toBe(10);
    await close();
  });

  it('refuses what is new instead, when told to', async () => {
    const { spool, close } = setUp({ maxBytes: 8_192, dropPolicy: 'newest' });
    let stored = 0;
    for (let i = 0; i < 40; i++) stored += (await spool.append(batch(5))).stored;
    expect(stored).toBeLessThan(200);
    expect(spool.stats()).toMatchObject({ accepted: stored, waiting: stored, dropped: {}, balanced: true });
    expect(spool.bytes).toBeLessThanOrEqual(8_192);
    await close();
  });

  it('leases the newest first, when told to', async () => {
    const { spool, close } = setUp({ order: 'newest', maxBytes: 16_384, maxSegmentBytes: 2_048 });
    for (const spans of [10, 11, 12]) await spool.append(batch(spans));
    const spans: number[] = [];
    for (let lease = await spool.lease(); lease; lease = await spool.lease()) spans.push(lease.batch.spanCount);
    expect(spans).toEqual([12, 11, 10]);
    await close();
  });

  it('frees room on a full disk', async () => {
    const disk = new FaultyDisk({ capacityBytes: 20_000 });
    const { clock, spool, drain, close } = setUp({ maxBytes: 1_000_000 }, disk);
    let stored = 0;
    for (let i = 0; i < 60; i++) stored += (await spool.append(batch(5))).stored;
    expect(stored).toBe(300);
    expect(spool.status().mode).toBe('memory');
    expect(await drain()).toBe(300);
    await clock.advance(60_000);
    expect(spool.status().mode).toBe('disk');
    expect(spool.stats()).toMatchObject({ delivered: 300, waiting: 0, balanced: true });
    await close();
  });
});
