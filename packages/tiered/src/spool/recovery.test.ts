import { crc32 } from 'node:zlib';
import { deliveredOutcome, type FileSystem, type OpenFile, SpanBatch } from '@otel-resilience/core';
import { FaultyDisk, fakeSpans, VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { Spool } from './disk-spool.js';
import { encodeSeal, frameKey, SEAL_BYTES } from './frame.js';
import { segmentName, tokenOf } from './segment.js';

const DIRECTORY = '/var/spool/spans';
const batch = (spans: number) => SpanBatch.fromSpans(fakeSpans(spans));

function spoolOn(fileSystem: FileSystem, options: object = {}) {
  const clock = new VirtualClock();
  const spool = new Spool({ directory: DIRECTORY, fsync: 'always', fileSystem, clock, ...options });
  const drain = async () => {
    let spans = 0;
    for (let lease = await spool.lease(); lease; lease = await spool.lease()) {
      spans += lease.batch.spanCount;
      lease.settle(deliveredOutcome(lease.batch.spanCount));
    }
    return spans;
  };
  return { clock, spool, drain, close: () => clock.run(spool.shutdown()) };
}

async function filled(batches: readonly number[], options: object = {}): Promise<FaultyDisk> {
  const disk = new FaultyDisk();
  const { spool, close } = spoolOn(disk, options);
  for (const spans of batches) await spool.append(batch(spans));
  await close();
  return disk;
}

/** Counts what is read of segments. */
function counting(disk: FaultyDisk): { fileSystem: FileSystem; readBytes: () => number } {
  let bytes = 0;
  const counted = (file: OpenFile): OpenFile => ({
    size: () => file.size(),
    read: async (into, position) => {
      const read = await file.read(into, position);
      bytes += read;
      return read;
    },
    write: (chunks, position) => file.write(chunks, position),
    sync: () => file.sync(),
    truncate: (length) => file.truncate(length),
    close: () => file.close(),
  });
  const fileSystem: FileSystem = {
    makeDirectory: (path) => disk.makeDirectory(path),
    list: (path) => disk.list(path),
    open: async (path, how) => {
      const file = await disk.open(path, how);
      return path.endsWith('.seg') ? counted(file) : file;
    },
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    removeDirectory: (path) => disk.removeDirectory(path),
    syncDirectory: (path) => disk.syncDirectory(path),
  };
  return { fileSystem, readBytes: () => bytes };
}

const segmentsOf = async (disk: FaultyDisk) =>
  (await disk.list(DIRECTORY)).filter((name) => name.endsWith('.seg')).map((name) => `${DIRECTORY}/${name}`);

describe('opening a spool', () => {
  it('reads the beginning and the end of a segment that was finished in peace, nothing else', async () => {
    const disk = await filled(Array.from({ length: 20 }, () => 200));
    const { fileSystem, readBytes } = counting(disk);
    const { spool, close } = spoolOn(fileSystem);
    await spool.open();
    expect(spool.stats()).toMatchObject({ recovered: 4_000, waiting: 4_000 });
    expect(readBytes()).toBe(32 + SEAL_BYTES);
    await close();
  });

  it('hops from header to header in one that was not, and reads no bodies', async () => {
    const disk = new FaultyDisk();
    const before = spoolOn(disk);
    for (let i = 0; i < 10; i++) await before.spool.append(batch(400));
    const { fileSystem, readBytes } = counting(disk.kill());
    // With a sync to be made, it would be written anew.
    const { spool, close } = spoolOn(fileSystem, { fsync: 'never' });
    await spool.open();
    expect(spool.stats()).toMatchObject({ recovered: 4_000 });
    expect(readBytes()).toBeLessThan(spool.bytes / 10);
    await close();
    await before.close();
  });

  it.each([
    ['more', { frames: 9, spans: 999 }],
    ['less', { frames: 1, spans: 1 }],
    ['nothing', { frames: 0, spans: 0 }],
  ])('believes a seal that says %s only until the frames are read', async (_, lie) => {
    const disk = await filled([3, 4, 5]);
    const [path] = await segmentsOf(disk);
    const file = await disk.open(path!, 'update');
    const offset = (await file.size()) - SEAL_BYTES;
    const key = frameKey(tokenOf(path!.slice(DIRECTORY.length + 1)));
    await file.write([encodeSeal({ ...lie, lastId: 3, newestMillis: 0, offset }, key)], offset);
    await file.close();
    const { spool, drain, close } = spoolOn(disk);
    expect(await drain()).toBe(12);
    expect(spool.stats()).toMatchObject({ waiting: 0, delivered: 12, balanced: true });
    await close();
  });

  it('makes durable what it recovers: its writer may have died before that was so', async () => {
    const disk = new FaultyDisk();
    const before = spoolOn(disk, { fsync: 'interval' });
    await before.spool.append(batch(7));
    const killed = disk.kill();
    const after = spoolOn(killed, { fsync: 'interval' });
    await after.spool.open();
    const crashed = spoolOn(killed.crash({ keep: 'none' }));
    await crashed.spool.open();
    expect(crashed.spool.stats()).toMatchObject({ recovered: 7 });
    for (const each of [before, after, crashed]) await each.close();
  });

  it('takes what is appended and leased meanwhile', async () => {
    const disk = await filled([5]);
    const { spool, close } = spoolOn(disk);
    const opened = spool.open();
    const [appended, leased] = await Promise.all([spool.append(batch(2)), spool.lease()]);
    await opened;
    expect(appended).toEqual({ stored: 2, dropped: 0 });
    expect(leased!.batch.spanCount).toBeGreaterThanOrEqual(5);
    expect(spool.stats()).toMatchObject({ accepted: 2, recovered: 5, waiting: 7, balanced: true });
    await close();
  });

  it('gives up the oldest when there is more than there may be now', async () => {
    const disk = await filled(
      Array.from({ length: 30 }, () => 20),
      { maxSegmentBytes: 8_192, maxBytes: 1_000_000 },
    );
    const { spool, close } = spoolOn(disk, { maxBytes: 40_000 });
    await spool.open();
    expect(spool.bytes).toBeLessThanOrEqual(40_000);
    const { recovered, dropped, balanced } = spool.stats();
    expect(recovered).toBe(600);
    expect(dropped.full).toBeGreaterThan(0);
    expect(balanced).toBe(true);
    await close();
  });

  it('leaves alone a segment of another version, and files that are not ours', async () => {
    const disk = await filled([3]);
    const [path] = await segmentsOf(disk);
    const write = async (name: string, bytes: Buffer) => {
      const file = await disk.open(`${DIRECTORY}/${name}`, 'create');
      await file.write([bytes], 0);
      await file.close();
    };
    const original = await disk.open(path!, 'read');
    const bytes = Buffer.alloc(await original.size());
    await original.read(bytes, 0);
    await original.close();
    bytes.writeUInt16LE(1, 4);
    bytes.writeUInt32LE(crc32(bytes.subarray(0, 28)), 28);
    const [another, nobodys] = [8, 9].map((number) => segmentName(number, 7n)) as [string, string];
    // Of the first version, which had such names.
    await write('0000000000000007.seg', bytes);
    await write(another, bytes);
    await write(nobodys, Buffer.from('notes of somebody who likes such names, and long ones'));
    await write('notes.txt', Buffer.from('mine'));
    const { spool, close } = spoolOn(disk);
    await spool.open();
    expect(spool.status().foreign).toEqual(['0000000000000007.seg', 'notes.txt', another, nobodys]);
    expect(spool.stats()).toMatchObject({ recovered: 3 });
    await spool.append(batch(1));
    expect((await disk.list(DIRECTORY)).filter((name) => name.startsWith('000000000000000a-'))).toHaveLength(1);
    await close();
  });

  it('finds out later what is in segments that cannot be read at the start, and leaves alone what is not ours', async () => {
    const disk = await filled([3]);
    const [path] = await segmentsOf(disk);
    const bytes = Buffer.from(disk.contents().get(path!)!);
    const [renamed, another, nobodys] = [7, 8, 9].map((number) => segmentName(number, 7n)) as [string, string, string];
    await disk.rename(path!, `${DIRECTORY}/${renamed}`);
    bytes.writeUInt16LE(9, 4);
    bytes.writeUInt32LE(crc32(bytes.subarray(0, 28)), 28);
    for (const [name, content] of [
      [another, bytes],
      [nobodys, Buffer.alloc(500, 'mine')],
    ] as const) {
      const file = await disk.open(`${DIRECTORY}/${name}`, 'create');
      await file.write([content], 0);
      await file.close();
    }
    disk.fail({ operations: ['read'], code: 'EIO', path: /\.seg$/, times: 3 });
    const { spool, clock, drain, close } = spoolOn(disk);
    await spool.open();
    expect(spool.stats()).toMatchObject({ recovered: 0 });
    await clock.advance(60_000);
    expect(await drain()).toBe(3);
    expect(spool.stats()).toMatchObject({ waiting: 0, delivered: 3, balanced: true });
    await close();
    expect((await segmentsOf(disk)).sort()).toEqual([another, nobodys].map((name) => `${DIRECTORY}/${name}`));
  });
});
