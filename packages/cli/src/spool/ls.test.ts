import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SpoolBed } from './spool-bed.test-support.js';

const bed = new SpoolBed();

describe('spool ls', () => {
  it('shows what waits in each segment', async () => {
    await bed.leave(10);
    const { exitCode, stdout, stderr } = await bed.run('spool', 'ls', bed.directory);
    expect(exitCode).toBe(0);
    expect(stderr).toBe('');
    expect(stdout).toContain(`${bed.directory}: in use by no process`);
    const rows = stdout.matchAll(/│ (\d)-[0-9a-f]{8} +│ +(\d+) │/g);
    expect(Array.from(rows, ([, number, spans]) => `${number}: ${spans}`)).toEqual(['1: 40', '2: 40', '3: 20']);
    expect(stdout).toContain('100 spans in 10 batches wait in 3 segments');
  });

  it('says the same to programs, under names that stay', async () => {
    await bed.leave(5);
    const { exitCode, stdout, json } = await bed.run('spool', 'ls', bed.directory, '--json');
    expect(exitCode).toBe(0);
    expect(stdout.trim().split('\n')).toHaveLength(1);
    expect(json()).toEqual({
      command: 'spool ls',
      exitCode: 0,
      directory: bed.directory,
      directories: [
        {
          path: bed.directory,
          owner: null,
          segments: [
            {
              path: (await bed.segmentPaths())[0],
              bytes: expect.any(Number),
              spans: 40,
              batches: 4,
              settledBatches: 0,
              oldest: expect.stringMatching(/^\d{4}-.*Z$/),
              newest: expect.stringMatching(/^\d{4}-.*Z$/),
              corruptRegions: 0,
              corruptBytes: 0,
              unfinishedBytes: 0,
              error: null,
            },
            expect.objectContaining({ spans: 10, batches: 1 }),
          ],
        },
      ],
      quarantine: [],
      foreign: [],
      totals: {
        segments: 2,
        batches: 5,
        spans: 50,
        bytes: expect.any(Number),
        corruptRegions: 0,
        corruptBytes: 0,
        unreadableSegments: 0,
        oldest: expect.stringMatching(/^\d{4}-.*Z$/),
      },
    });
  });

  it('looks beside a live owner, and leaves everything as it was', async () => {
    const spool = await bed.spoolWith(10);
    const lease = await spool.lease();
    const before = await bed.contents();
    const { exitCode, json } = await bed.run('spool', 'ls', bed.directory, '--json');
    expect(exitCode).toBe(0);
    expect(json()).toMatchObject({
      directories: [{ owner: { pid: process.pid, state: 'alive' } }],
      totals: { spans: 100, corruptRegions: 0 },
    });
    expect(await bed.contents()).toEqual(before);
    expect(lease).toBeDefined();
  });

  it('does not count what has been sent', async () => {
    const spool = await bed.spoolWith(3);
    const lease = await spool.lease();
    lease!.settle({ delivered: 30, rejected: 0, stored: 0, dropped: {} });
    await spool.append(bed.tenSpans());
    await spool.shutdown();
    expect(await bed.waiting()).toBe(10);
  });

  it('shows damage, files that are not ours, and owners that have died', async () => {
    const pid = await bed.kill(await bed.spoolWith(8));
    await bed.damage(33);
    await writeFile(join(bed.directory, 'notes\u001b[31m.txt'), 'mine');
    const { exitCode, stdout } = await bed.run('spool', 'ls', bed.directory);
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/│ 1-[0-9a-f]{8} +│ +30 │.*in 1 place/);
    expect(stdout).toContain(`not ours, left alone: ${bed.directory}/notes\\x1b[31m.txt`);
    expect((await bed.run('spool', 'ls', bed.directory, '--json')).json()).toMatchObject({
      exitCode: 1,
      directories: [{ owner: { pid, state: 'dead' } }],
      totals: { corruptRegions: 1 },
    });
  });

  it.each([
    ['', 'is not there', 'there is no such directory'],
    ['segment', 'is a file', 'this is not a directory'],
  ])('says of a path (%s) that %s', async (name, _, message) => {
    const path = join(bed.directory, name);
    if (name) {
      await bed.leave(1);
      await writeFile(path, '');
    }
    const { exitCode, stdout, stderr } = await bed.run('spool', 'ls', path, '--json');
    expect(exitCode).toBe(2);
    expect(stderr).toContain(`${path}: ${message}`);
    expect(stderr).not.toMatch(/\n +at /);
    expect(JSON.parse(stdout)).toMatchObject({ exitCode: 2, error: { message: `${path}: ${message}` } });
  });
});
