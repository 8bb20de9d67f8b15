import { appendFile } from 'node:fs/promises';
import { CountingReceiver } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { SpoolBed } from './spool-bed.test-support.js';

const bed = new SpoolBed();

describe('spool fsck', () => {
  const fsck = (...args: string[]) => bed.run('spool', 'fsck', bed.directory, ...args);

  it('finds nothing wrong with what a spool has left', async () => {
    await bed.leave(8);
    const { exitCode, stdout } = await fsck();
    expect(exitCode).toBe(0);
    expect(stdout).toContain(`${bed.directory}: 2 segments, 0 damaged ones`);
    expect(stdout).toContain('80 spans in 8 batches are intact and wait to be sent');
  });

  it('finds damage that no header shows, and changes nothing', async () => {
    await bed.leave(8);
    await bed.damage(172);
    const before = await bed.contents();
    expect((await bed.run('spool', 'ls', bed.directory)).exitCode).toBe(0);
    const { exitCode, stdout, json } = await fsck('--json');
    expect(exitCode).toBe(1);
    expect(stdout.trim().split('\n')).toHaveLength(1);
    const none = { batches: 0, spans: 0, bytes: 0 };
    expect(json()).toMatchObject({
      command: 'spool fsck',
      exitCode: 1,
      directory: bed.directory,
      repair: false,
      clean: false,
      directories: [
        {
          path: bed.directory,
          owner: 'nobody',
          inUse: false,
          segments: [
            {
              waiting: { batches: 3, spans: 30 },
              corrupt: { batches: 1, spans: 10 },
              problems: ['corrupt'],
              repaired: null,
            },
            { waiting: { batches: 4, spans: 40 }, corrupt: none, problems: [], repaired: null, error: null },
          ],
        },
      ],
      totals: { waiting: { spans: 70 }, settled: none, corrupt: { spans: 10 }, unfinished: none, repeated: none },
      quarantine: { segments: 0, bytes: 0 },
      foreign: [],
    });
    expect((await fsck()).stdout).toMatch(/│ 1-[0-9a-f]{8} +│ +[\d.]+ KiB │ +30 │/);
    expect(await bed.contents()).toEqual(before);
  });

  it('repairs it: what was intact is sent afterwards', async () => {
    await bed.leave(8);
    await bed.damage(172);
    const { exitCode, stdout } = await fsck('--repair');
    expect(exitCode).toBe(0);
    expect(stdout).toContain('1 segment in quarantine');
    expect((await fsck('--json')).json()).toMatchObject({
      exitCode: 0,
      clean: true,
      totals: { waiting: { spans: 70 } },
    });
    const receiver = new CountingReceiver();
    const url = await receiver.start();
    const replay = await bed.run('spool', 'replay', bed.directory, '--endpoint', url, '--json');
    await receiver.stop();
    expect(replay.json()).toMatchObject({ exitCode: 0, sent: 70, corrupt: 0, left: 0 });
  });

  it('repairs nothing that a live process has', async () => {
    await bed.spoolWith(8);
    // What it is about to write is no damage.
    await appendFile((await bed.segmentPaths()).at(-1)!, 'ORFM');
    expect((await fsck('--json')).json()).toMatchObject({
      exitCode: 0,
      clean: true,
      totals: { unfinished: { bytes: 4 } },
    });
    await bed.damage(172);
    const before = await bed.contents();
    expect((await fsck()).exitCode).toBe(1);
    const { exitCode, stdout } = await fsck('--repair');
    expect(exitCode).toBe(3);
    expect(stdout).toContain('not repaired, since a process has it');
    expect(await bed.contents()).toEqual(before);
  });

  it('says of a directory that is not there', async () => {
    const { exitCode, stderr } = await fsck();
    expect(exitCode).toBe(2);
    expect(stderr).toContain(`${bed.directory}: there is no such directory`);
  });
});
