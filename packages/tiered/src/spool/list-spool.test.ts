import { SpanBatch } from '@otel-resilience/core';
import { FaultyDisk, fakeSpans } from '@otel-resilience/testing';
import { expect, it } from 'vitest';
import { Spool } from './disk-spool.js';
import { listSpool } from './list-spool.js';
import type { Processes } from './process-identity.js';
import { segmentName } from './segment.js';

const directory = '/spool';
const batch = (spans: number) => SpanBatch.fromSpans(fakeSpans(spans));
const processes: Processes = {
  self: () => ({ pid: 1, startTime: 1, namespace: '0'.repeat(16) }),
  isAlive: ({ pid }) => pid === 7,
};

async function write(disk: FaultyDisk, path: string, text: string): Promise<void> {
  const file = await disk.open(path, 'create');
  await file.write([Buffer.from(text)], 0);
  await file.close();
}

it('lists beside a live spool, whatever it is doing, and asks the disk for reading only', async () => {
  const disk = new FaultyDisk();
  const spool = new Spool({ directory, fileSystem: disk, maxSegmentBytes: 4_096 });
  for (let appended = 0; appended < 10; appended++) await spool.append(batch(3));
  const lease = await spool.lease();
  const before = disk.operations.length;
  const { directories, foreign } = await listSpool({ directory, fileSystem: disk });
  const kinds = new Set(disk.operations.slice(before).map(({ kind }) => kind));
  expect([...kinds].filter((kind) => !['list', 'open', 'read', 'close', 'size'].includes(kind))).toEqual([]);
  expect(directories).toHaveLength(1);
  expect(directories[0]).toMatchObject({ path: directory, owner: { pid: process.pid, state: 'alive' } });
  expect(directories[0]!.segments.reduce((sum, { spans }) => sum + spans, 0)).toBe(30);
  expect(foreign).toEqual([]);
  lease?.settle({ delivered: lease.batch.spanCount, rejected: 0, stored: 0, dropped: {} });
  await spool.shutdown();
});

it('tells owners that live, are dead, or cannot be judged from here', async () => {
  const disk = new FaultyDisk();
  const own = (pid: number) => `${directory}/p-${pid}-${'a'.repeat(16)}`;
  for (const [pid, namespace] of [
    [7, '0'.repeat(16)],
    [8, '0'.repeat(16)],
    [9, 'f'.repeat(16)],
  ] as const) {
    await disk.makeDirectory(`${own(pid)}/lock`);
    await write(disk, `${own(pid)}/lock/${pid}-5-${namespace}-${'b'.repeat(16)}`, '000000000001\n');
  }
  const { directories } = await listSpool({ directory, fileSystem: disk, processes });
  expect(directories.map(({ path, owner }) => [path, owner?.state, owner?.heartbeat])).toEqual([
    [directory, undefined, undefined],
    [own(7), 'alive', '000000000001'],
    [own(8), 'dead', '000000000001'],
    [own(9), 'unknown', '000000000001'],
  ]);
});

const foreignSegment = `${directory}/${segmentName(255, 7n)}`;

it('names what is not ours, and what cannot be read, and goes on', async () => {
  const disk = new FaultyDisk();
  const spool = new Spool({ directory, fileSystem: disk, maxSegmentBytes: 4_096 });
  for (let appended = 0; appended < 4; appended++) await spool.append(batch(3));
  await spool.shutdown();
  await write(disk, `${directory}/notes.txt`, 'mine');
  await write(disk, `${directory}/checkpoint-7-5-${'0'.repeat(16)}-${'b'.repeat(16)}`, 'ours');
  await write(disk, foreignSegment, 'x'.repeat(100));
  const all = await listSpool({ directory, fileSystem: disk, processes });
  expect(all.foreign).toEqual([`${directory}/notes.txt`, foreignSegment]);

  disk.fail({ operations: ['read'], path: /\.seg$/, code: 'EIO' });
  const { directories } = await listSpool({ directory, fileSystem: disk, processes });
  const [broken, ...others] = directories[0]!.segments;
  expect(broken).toMatchObject({ frames: 0, spans: 0, error: { code: 'EIO' } });
  expect(others).toEqual(all.directories[0]!.segments.slice(1));
});

it('rejects as the file system does where there is no such directory', async () => {
  await expect(listSpool({ directory, fileSystem: new FaultyDisk() })).rejects.toMatchObject({ code: 'ENOENT' });
});
