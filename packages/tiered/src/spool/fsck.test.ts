import { deliveredOutcome, failedOutcome, SpanBatch } from '@otel-resilience/core';
import { FaultyDisk, fakeSpans } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import {
  DIRECTORY,
  diskWith,
  drain,
  filesOf,
  flipped,
  namesOf,
  segmentsOf,
  writtenSpool,
} from './damaged-spool.test-support.js';
import { Spool } from './disk-spool.js';
import { SEGMENT_HEADER_BYTES } from './frame.js';
import { type FsckProgress, fsck } from './fsck.js';
import type { SpoolLease } from './spool.js';

const failed = ({ batch }: SpoolLease) => failedOutcome(batch, 'retryable', new Error('down'));
const OTHER = 'p-4711-0123456789abcdef';
const CHANGES = ['create', 'write', 'truncate', 'rename', 'remove', 'makeDirectory', 'sync', 'syncDirectory'];

const healthy = await writtenSpool(4, [2], { framesPerSegment: 2 });
const [first, second] = segmentsOf(healthy) as [string, string];
/** The first frame of the second segment, which is the third. */
const damaged = flipped(healthy, second, SEGMENT_HEADER_BYTES + 60);

describe('fsck', () => {
  it('says what is there, and changes nothing', async () => {
    const disk = await diskWith(damaged);
    const before = disk.operations.length;
    const report = await fsck({ directory: DIRECTORY, fileSystem: disk });
    expect(report).toMatchObject({
      clean: false,
      waiting: { frames: 2, spans: 2 },
      settled: { frames: 1, spans: 1 },
      corrupt: { frames: 1, spans: 1 },
      torn: { frames: 0, bytes: 0 },
      repeated: { frames: 0 },
      foreign: [],
      quarantine: { segments: 0, bytes: 0 },
    });
    expect(report.directories).toHaveLength(1);
    expect(report.directories[0]).toMatchObject({ path: DIRECTORY, owner: 'nobody', orphanedNotes: [] });
    expect(report.directories[0]!.segments.map(({ path, problems }) => [path, problems])).toEqual([
      [`${DIRECTORY}/${first}`, []],
      [`${DIRECTORY}/${second}`, ['corrupt']],
    ]);
    expect(disk.operations.slice(before).filter(({ kind }) => CHANGES.includes(kind))).toEqual([]);
    expect(disk.openFiles).toBe(0);
  });

  it('repairs nothing where nothing is wrong', async () => {
    const disk = await diskWith(healthy);
    expect(await fsck({ directory: DIRECTORY, fileSystem: disk, repair: true })).toMatchObject({ clean: true });
    expect(filesOf(disk)).toEqual(healthy);
    expect(disk.openFiles).toBe(0);
  });

  it('tells how far it is', async () => {
    const told: FsckProgress[] = [];
    const fileSystem = await diskWith(damaged);
    await fsck({ directory: DIRECTORY, fileSystem, onProgress: (progress) => told.push(progress) });
    const sizes = [damaged.get(first)!.byteLength, damaged.get(second)!.byteLength] as const;
    expect(told).toEqual([
      { path: DIRECTORY, checkedSegments: 1, segments: 2, checkedBytes: sizes[0] },
      { path: DIRECTORY, checkedSegments: 2, segments: 2, checkedBytes: sizes[0] + sizes[1] },
    ]);
  });

  it('puts the damaged original into quarantine', async () => {
    const disk = await diskWith(damaged);
    const report = await fsck({ directory: DIRECTORY, fileSystem: disk, repair: true });
    expect(report).toMatchObject({ clean: true, quarantine: { segments: 1 } });
    const kept = [...disk.contents()].filter(([path]) => path.includes('/quarantine/'));
    expect(kept.map(([, bytes]) => bytes)).toEqual([damaged.get(second)]);
    expect(disk.openFiles).toBe(0);
  });

  it('loses no intact frame, and invents none, if the power fails at any moment of a repair', async () => {
    const moments: FaultyDisk[] = [];
    const source = await diskWith(damaged);
    let isRepairing = false;
    const disk = new FaultyDisk({
      seed: 7,
      onOperation: (moment) => {
        if (!isRepairing || !CHANGES.includes(moment.operation.kind)) return;
        for (const keep of ['none', 'all', 'some', 'some'] as const) moments.push(moment.disk.crash({ keep }));
      },
    });
    await disk.makeDirectory(DIRECTORY);
    await disk.syncDirectory('/');
    for (const [path, bytes] of source.contents()) {
      const file = await disk.open(path, 'create');
      await file.write([bytes], 0);
      await file.sync();
      await file.close();
    }
    await disk.syncDirectory(DIRECTORY);
    isRepairing = true;
    expect(await fsck({ directory: DIRECTORY, fileSystem: disk, repair: true })).toMatchObject({ clean: true });
    isRepairing = false;
    expect(moments.length).toBeGreaterThan(80);
    for (const moment of moments) {
      const { waiting } = await fsck({ directory: DIRECTORY, fileSystem: await diskWith(filesOf(moment)) });
      expect(waiting).toMatchObject({ frames: 2, spans: 2 });
      expect((await drain(await diskWith(filesOf(moment)))).names).toEqual(namesOf(1, 4));
    }
  });

  it('touches nothing that a live process owns', async () => {
    const disk = await diskWith(damaged);
    const owner = new Spool({ directory: DIRECTORY, fileSystem: disk });
    await owner.open();
    await owner.append(SpanBatch.fromSpans(fakeSpans(1)));
    const before = filesOf(disk);
    const report = await fsck({ directory: DIRECTORY, fileSystem: disk, repair: true });
    expect(report.directories[0]).toMatchObject({ owner: 'alive', notRepaired: 'in use' });
    expect(report.clean).toBe(false);
    expect(filesOf(disk)).toEqual(before);
    await owner.shutdown();
    expect(await fsck({ directory: DIRECTORY, fileSystem: disk, repair: true })).toMatchObject({ clean: true });
  });

  it('finds nothing wrong with a spool that is being used', async () => {
    const disk = new FaultyDisk({ seed: 3, shortWrites: 0.5 });
    const owner = new Spool({ directory: DIRECTORY, fileSystem: disk, maxSegmentBytes: 4_000 });
    await owner.open();
    let isOver = false;
    const work = async () => {
      for (let batch = 0; batch < 300; batch++) {
        await owner.append(SpanBatch.fromSpans(fakeSpans(1 + (batch % 3))));
        if (batch % 3 > 0) continue;
        const lease = await owner.lease();
        lease?.settle(batch % 2 ? deliveredOutcome(lease.batch.spanCount) : failed(lease));
      }
      isOver = true;
    };
    let checks = 0;
    const check = async () => {
      for (; !isOver; checks++) {
        const report = await fsck({ directory: DIRECTORY, fileSystem: disk });
        expect(
          report.directories.flatMap(({ segments }) => segments.filter(({ problems }) => problems.length > 0)),
        ).toEqual([]);
        expect(report).toMatchObject({ clean: true, directories: [{ owner: 'alive' }] });
      }
    };
    await Promise.all([work(), check(), check()]);
    expect(checks).toBeGreaterThan(20);
    await owner.shutdown();
    expect(disk.openFiles).toBe(0);
  });

  it('looks into the directories of other owners, and repairs those of dead ones', async () => {
    const files = new Map([...healthy, ...[...damaged].map(([name, bytes]) => [`${OTHER}/${name}`, bytes] as const)]);
    const disk = await diskWith(files);
    const report = await fsck({ directory: DIRECTORY, fileSystem: disk, repair: true });
    expect(report.directories.map(({ path }) => path)).toEqual([DIRECTORY, `${DIRECTORY}/${OTHER}`]);
    expect(report).toMatchObject({
      clean: true,
      waiting: { frames: 5 },
      corrupt: { frames: 1 },
      quarantine: { segments: 1 },
    });
    const { names } = await drain(disk);
    expect([...names].sort()).toEqual(namesOf(1, 1, 3, 4, 4));
  });

  it('leaves a segment as it is that cannot be rewritten', async () => {
    const disk = await diskWith(damaged);
    // The lock may be made.
    disk.capacityBytes = disk.usedBytes + 200;
    const report = await fsck({ directory: DIRECTORY, fileSystem: disk, repair: true });
    expect(report.clean).toBe(false);
    expect(report.directories[0]!.segments[1]).toMatchObject({ repaired: false, error: { code: 'ENOSPC' } });
    expect(filesOf(disk)).toEqual(damaged);
    expect(report.quarantine).toEqual({ segments: 0, bytes: 0 });
    expect(disk.openFiles).toBe(0);
  });

  it('reports a segment that cannot be read, and goes on', async () => {
    const disk = await diskWith(healthy);
    disk.fail({ operations: ['read'], path: new RegExp(first), code: 'EIO', times: Number.POSITIVE_INFINITY });
    const report = await fsck({ directory: DIRECTORY, fileSystem: disk, repair: true });
    expect(report.directories[0]!.segments[0]).toMatchObject({
      problems: ['unreadable'],
      repaired: false,
      error: { code: 'EIO' },
    });
    expect(report).toMatchObject({ clean: false, waiting: { frames: 2 } });
    disk.heal();
    expect(filesOf(disk)).toEqual(healthy);
  });

  it('says what is wrong with its options, and that there is no directory', async () => {
    const fileSystem = new FaultyDisk();
    await expect(fsck({ directory: '' })).rejects.toThrow('fsck.directory');
    await expect(fsck({ directory: DIRECTORY, fix: true } as never)).rejects.toThrow('fix');
    await expect(fsck({ directory: DIRECTORY, fileSystem })).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(fsck({ directory: DIRECTORY, fileSystem, repair: true })).rejects.toMatchObject({ code: 'ENOENT' });
    expect(fileSystem.contents().size).toBe(0);
  });
});
