import { FaultyDisk } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { batchOf } from '../../../../test/support/tiered.js';
import { Spool } from './disk-spool.js';

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
});
