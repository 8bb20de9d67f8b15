import { deliveredOutcome } from '@otel-resilience/core';
import { FaultyDisk } from '@otel-resilience/testing';
import { describe, expect, it, vi } from 'vitest';
import { batchOf } from '../../../../test/support/tiered.js';
import { Spool } from './disk-spool.js';
import { ACK_BYTES, ackName, numberOf } from './segment.js';

describe('names of segments', () => {
  it.each([
    'ffffffffffffffff-0000000000000001.seg',
    '001fffffffffffff-0000000000000001.seg',
    '0010000000000000-0000000000000001.ack',
    '0000000000000007.seg',
  ])('a stray %s is left alone, and what is appended beside it is found again', async (name) => {
    const disk = new FaultyDisk();
    const open = () => new Spool({ directory: '/spool', fsync: 'always', fileSystem: disk });
    await disk.makeDirectory('/spool');
    await (await disk.open(`/spool/${name}`, 'create')).close();
    const before = open();
    await before.append(batchOf(7));
    await before.shutdown();
    const after = open();
    await after.open();
    expect(after.stats()).toMatchObject({ recovered: 7, waiting: 7 });
    expect(after.status().foreign).toEqual([name]);
    await after.shutdown();
  });

  it.each(['000fffffffffffff', '0008000000000000', '0007ffffffffffff'])(
    'leave room behind one with the number %s',
    async (number) => {
      const disk = new FaultyDisk();
      const append = async (spans: number) => {
        const spool = new Spool({ directory: '/spool', fsync: 'always', fileSystem: disk });
        await spool.append(batchOf(spans));
        await spool.shutdown();
      };
      await append(3);
      const [name] = (await disk.list('/spool')).filter((each) => each.endsWith('.seg')) as [string];
      await disk.rename(`/spool/${name}`, `/spool/${number}${name.slice(16)}`);
      await append(7);
      await append(5);
      const after = new Spool({ directory: '/spool', fileSystem: disk });
      await after.open();
      expect(after.stats()).toMatchObject({ recovered: 15, waiting: 15 });
      expect(after.status().foreign).toEqual([]);
      await after.shutdown();
    },
  );

  it('are never used again, though numbers are: notes of an earlier segment settle nothing', async () => {
    const disk = new FaultyDisk();
    const open = () => new Spool({ directory: '/spool', fsync: 'always', fileSystem: disk });
    const segments = async () => (await disk.list('/spool')).filter((name) => name.endsWith('.seg'));
    const write = async (name: string, bytes: Uint8Array) => {
      const file = await disk.open(`/spool/${name}`, 'create');
      await file.write([bytes], 0);
      await file.close();
    };
    const first = open();
    for (let frame = 0; frame < 2; frame++) await first.append(batchOf(600));
    const [earlier] = (await segments()) as [string];
    const leases = [(await first.lease())!, (await first.lease())!];
    leases[0]!.settle(deliveredOutcome(600));
    await vi.waitFor(() => expect(disk.contents().get(`/spool/${ackName(earlier)}`)?.byteLength).toBe(ACK_BYTES));
    const notes = disk.contents().get(`/spool/${ackName(earlier)}`)!;
    leases[1]!.settle(deliveredOutcome(600));
    await first.shutdown();
    expect(await disk.list('/spool')).toEqual(['lock']);

    const second = open();
    await second.append(batchOf(7));
    await second.shutdown();
    const [later] = (await segments()) as [string];
    expect(numberOf(later)).toBe(numberOf(earlier));
    expect(later).not.toBe(earlier);
    await write(ackName(earlier), notes);
    await write(ackName(later), notes);
    const third = open();
    await third.open();
    expect(third.stats()).toMatchObject({ recovered: 7, waiting: 7 });
    expect((await disk.list('/spool')).sort()).toEqual([ackName(later), later, 'lock'].sort());
    await third.shutdown();
  });
});
