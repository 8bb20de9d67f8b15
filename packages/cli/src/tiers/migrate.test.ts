import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ArchiveBed, DAY } from './archive-bed.test-support.js';

const bed = new ArchiveBed();
const none = { objects: 0, bytes: 0 };
const one = { objects: 1, bytes: expect.any(Number) };

describe('tiers migrate', () => {
  const migrate = (...args: string[]) => bed.run('tiers', 'migrate', bed.warm, ...args);
  /** One of each age. */
  const three = async () => {
    for (const days of [2, 40, 100]) await bed.archive({ ageMillis: days * DAY });
  };

  it('moves what is old to cold and deletes what is older, and says so before', async () => {
    await three();
    const { exitCode, stdout, stderr } = await migrate('--cold', bed.cold);
    expect(exitCode).toBe(0);
    expect(stderr).toMatch(/^moving 1 object \(\d+ B|[\d.]+ KiB\) from .*warm to .*cold \(GLACIER\)\n/);
    expect(stderr).toMatch(/\ndeleting 1 object \(.*B\) older than 90 d\n$/);
    expect(stdout).toMatch(/^1 object \(.*B, 10 spans\) moved from .*, 1 object \(.*B\) older than .* deleted in /);
    expect(await bed.classes(bed.warm)).toEqual({ STANDARD: 1 });
    expect(await bed.classes(bed.cold)).toEqual({ GLACIER: 1 });
  });

  it('says the same to programs, under names that stay', async () => {
    await three();
    const { exitCode, stdout, json } = await migrate('--cold', bed.cold, '--cold-class', 'STANDARD_IA', '--json');
    expect(exitCode).toBe(0);
    expect(stdout.trim().split('\n')).toHaveLength(1);
    expect(json()).toEqual({
      command: 'tiers migrate',
      exitCode: 0,
      warm: bed.warm,
      cold: bed.cold,
      coldClass: 'STANDARD_IA',
      coldAfterMillis: 30 * DAY,
      deleteAfterMillis: 90 * DAY,
      dryRun: false,
      complete: true,
      interrupted: false,
      durationMillis: expect.any(Number),
      moved: { ...one, spans: 10 },
      deleted: one,
      repaired: none,
      orphans: 0,
      kept: null,
      heldBack: null,
      damaged: { count: 0, keys: [] },
      failed: { count: 0, errors: [] },
      foreign: { count: 0, names: [] },
    });
    expect((await migrate('--cold', bed.cold, '--json')).json()).toMatchObject({
      exitCode: 0,
      complete: true,
      moved: { ...none, spans: 0 },
      deleted: none,
    });
  });

  it('gives what is old another class where there is one place', async () => {
    await three();
    const { exitCode, stdout } = await migrate('--cold-after', '1d', '--delete-after', 'never');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^3 objects \(.*, 30 spans\) moved in .*warm to GLACIER, nothing of any age deleted in /);
    expect(await bed.classes(bed.warm)).toEqual({ GLACIER: 3 });
  });

  it('with --dry-run says what it would do, and changes nothing', async () => {
    await three();
    await bed.archive({ ageMillis: 50 * DAY, directory: bed.cold });
    const before = await bed.contents();
    const { exitCode, stdout, stderr } = await migrate('--cold', bed.cold, '--dry-run');
    expect(exitCode).toBe(0);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^would move 1 object \(.*\) from .*; would delete 1 object \(.*\) older than 90 d\n/);
    expect(stdout).toMatch(/would stay as they are: 1 object \(.*\) in warm, 1 object \(.*\) in cold\n$/);
    expect((await migrate('--cold', bed.cold, '--dry-run', '--json')).json()).toMatchObject({
      dryRun: true,
      complete: true,
      moved: { ...one, spans: null },
      deleted: one,
      kept: { warm: one, cold: one },
    });
    expect(await bed.contents()).toEqual(before);
  });

  it('leaves what is damaged where it is, and makes a missing index anew', async () => {
    await bed.archive({ ageMillis: 40 * DAY, serviceName: 'damaged' });
    await bed.archive({ ageMillis: 40 * DAY, serviceName: 'whole' });
    const [damaged] = await bed.files(bed.warm, '.otlp.gz');
    const [, index] = await bed.files(bed.warm, '.index.json');
    await writeFile(damaged!, 'nothing');
    await rm(index!);
    const { exitCode, stdout, json } = await migrate('--cold', bed.cold, '--json');
    expect(exitCode).toBe(1);
    expect(stdout).not.toContain('\n\n');
    expect(json()).toMatchObject({
      complete: true,
      moved: { objects: 1, spans: 10 },
      repaired: { objects: 1 },
      damaged: { count: 1, keys: [expect.stringMatching(/^traces\/.*\/damaged\/.*\.otlp\.gz$/)] },
    });
    expect((await migrate('--cold', bed.cold)).stdout).toContain(
      '1 damaged object left until old enough to be deleted',
    );
  });

  it('moves nothing where it cannot write, and says why', async () => {
    await three();
    // To make a directory there is an error of the file system, for root as well.
    await mkdir(join(bed.cold, 'GLACIER'));
    await writeFile(join(bed.cold, 'GLACIER/traces'), '');
    const { exitCode, stdout } = await migrate('--cold', bed.cold, '--delete-after', 'never');
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/failed: traces\/.*: .*(ENOTDIR|EEXIST)/);
    expect(stdout).toContain('what is left is where it was, run it again');
    expect(await bed.classes(bed.warm)).toEqual({ STANDARD: 3 });
  });

  it('ends between two objects at SIGINT, and goes on when it is run again', async () => {
    for (let index = 0; index < 150; index++) {
      await bed.archive({ ageMillis: 40 * DAY, serviceName: `s${index}`, spans: 1 });
    }
    const running = migrate('--cold', bed.cold, '--json');
    await running.said('moving 150 objects');
    running.child.kill('SIGINT');
    const { exitCode, stderr, json } = await running;
    const { moved, complete, interrupted } = json() as { moved: { objects: number } } & Record<string, unknown>;
    expect({ exitCode, complete, interrupted }).toEqual({ exitCode: 1, complete: false, interrupted: true });
    expect(stderr).toContain('SIGINT: stopping');
    expect(moved.objects).toBeLessThan(150);
    expect((await bed.classes(bed.warm)).STANDARD).toBe(150 - moved.objects);
    const again = await migrate('--cold', bed.cold, '--json');
    expect(again.json()).toMatchObject({ exitCode: 0, complete: true, moved: { objects: 150 - moved.objects } });
    expect(await bed.classes(bed.warm)).toEqual({});
    expect(await bed.classes(bed.cold)).toEqual({ GLACIER: 150 });
  });

  it.each([
    [['--cold', 'WARM'], '--cold: the same place as warm'],
    [['--cold-after', '30d', '--delete-after', '29d'], '--delete-after: expected no less than --cold-after'],
    [['--cold', 'WARM/none'], 'there is no such directory\nIf that is where old objects are to be, make it first'],
  ])('%j: 2, and nothing happens', async (args, message) => {
    await three();
    const before = await bed.contents();
    const { exitCode, stderr } = await migrate(...args.map((arg) => arg.replace('WARM', bed.warm)));
    expect(exitCode).toBe(2);
    expect(stderr).toContain(message);
    expect(await bed.contents()).toEqual(before);
  });
});
