import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, cp, mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SpanBatch, systemClock } from '@otel-resilience/core';
import { CountingReceiver, fakeSpan } from '@otel-resilience/testing';
import { Spool } from '@otel-resilience/tiered';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BuiltCli } from '../built-cli.test-support.js';

const SECRET = 'Bearer 5f2d1c';

let cli: BuiltCli;
let directory: string;
let receiver: CountingReceiver;
const owners: Array<{ end(): Promise<unknown> }> = [];

beforeAll(async () => {
  cli = await BuiltCli.build();
});
afterAll(() => cli.remove());
beforeEach(async () => {
  directory = join(await mkdtemp(join(tmpdir(), 'otel-resilience-cli-')), 'spool');
  receiver = new CountingReceiver();
});
afterEach(async () => {
  for (const owner of owners.splice(0)) await owner.end();
  await receiver.stop();
  await rm(join(directory, '..'), { recursive: true });
});

let index = 0;
const tenSpans = () => SpanBatch.fromSpans(Array.from({ length: 10 }, () => fakeSpan({ index: index++ })));

/** As an application leaves it: so many batches of ten spans, four to a segment. */
async function spoolWith(batches: number): Promise<Spool> {
  const spool = new Spool({ directory, maxSegmentBytes: 20_000 });
  for (let appended = 0; appended < batches; appended++) await spool.append(tenSpans());
  return spool;
}

async function leave(batches: number): Promise<void> {
  await (await spoolWith(batches)).shutdown();
}

async function waiting(): Promise<unknown> {
  const { json } = await cli.run(['spool', 'ls', directory, '--json']);
  return (json().totals as { spans: number }).spans;
}

const segmentPaths = async () =>
  (await readdir(directory)).filter((name) => name.endsWith('.seg')).map((name) => join(directory, name));

async function contents(): Promise<Array<[name: string, bytes: string]>> {
  const names = (await readdir(directory, { recursive: true })).sort();
  const files = await Promise.all(
    names.map(async (name): Promise<[string, string]> => {
      const path = join(directory, name);
      return [name, (await stat(path)).isFile() ? (await readFile(path)).toString('hex') : ''];
    }),
  );
  return files;
}

describe('spool ls', () => {
  it('shows what waits in each segment', async () => {
    await leave(10);
    const { exitCode, stdout, stderr } = await cli.run(['spool', 'ls', directory]);
    expect(exitCode).toBe(0);
    expect(stderr).toBe('');
    expect(stdout).toContain(`${directory}: in use by no process`);
    expect(stdout.match(/│ 000000000000000\d\.seg │ +\d+ │/g)).toEqual([
      '│ 0000000000000001.seg │    40 │',
      '│ 0000000000000002.seg │    40 │',
      '│ 0000000000000003.seg │    20 │',
    ]);
    expect(stdout).toContain('100 spans in 10 batches wait in 3 segments');
  });

  it('says the same to programs, under names that stay', async () => {
    await leave(5);
    const { exitCode, stdout, json } = await cli.run(['spool', 'ls', directory, '--json']);
    expect(exitCode).toBe(0);
    expect(stdout.trim().split('\n')).toHaveLength(1);
    expect(json()).toEqual({
      command: 'spool ls',
      exitCode: 0,
      directory,
      directories: [
        {
          path: directory,
          owner: null,
          segments: [
            {
              path: join(directory, '0000000000000001.seg'),
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
    const spool = await spoolWith(10);
    owners.push({ end: () => spool.shutdown() });
    const lease = await spool.lease();
    const before = await contents();
    const { exitCode, json } = await cli.run(['spool', 'ls', directory, '--json']);
    expect(exitCode).toBe(0);
    expect(json()).toMatchObject({
      directories: [{ owner: { pid: process.pid, state: 'alive' } }],
      totals: { spans: 100, corruptRegions: 0 },
    });
    expect(await contents()).toEqual(before);
    expect(lease).toBeDefined();
  });

  it('does not count what has been sent', async () => {
    const spool = await spoolWith(3);
    const lease = await spool.lease();
    lease!.settle({ delivered: 30, rejected: 0, stored: 0, dropped: {} });
    await spool.append(tenSpans());
    await spool.shutdown();
    expect(await waiting()).toBe(10);
  });

  it('shows damage, files that are not ours, and owners that have died', async () => {
    const pid = await kill(await spoolWith(8));
    const [first] = await segmentPaths();
    await overwrite(first!, 33, 'zzzzzzzz');
    await writeFile(join(directory, 'notes\u001b[31m.txt'), 'mine');
    const { exitCode, stdout } = await cli.run(['spool', 'ls', directory]);
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/│ 0000000000000001\.seg │ +30 │.*in 1 place/);
    expect(stdout).toContain(`not ours, left alone: ${directory}/notes\\x1b[31m.txt`);
    expect((await cli.run(['spool', 'ls', directory, '--json'])).json()).toMatchObject({
      exitCode: 1,
      directories: [{ owner: { pid, state: 'dead' } }],
      totals: { corruptRegions: 1 },
    });
  });

  it.each([
    ['', 'is not there', 'there is no such directory'],
    ['0000000000000001.seg', 'is a file', 'this is not a directory'],
  ])('says of a path (%s) that %s', async (name, _, message) => {
    if (name) await leave(1);
    const path = join(directory, name);
    const { exitCode, stdout, stderr } = await cli.run(['spool', 'ls', path, '--json']);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(`${path}: ${message}`);
    expect(stderr).not.toMatch(/\n +at /);
    expect(JSON.parse(stdout)).toMatchObject({ exitCode: 2, error: { message: `${path}: ${message}` } });
  });
});

describe('spool replay', () => {
  const replay = (...args: string[]) => cli.run(['spool', 'replay', directory, ...args]);

  it.each(['grpc', 'http/protobuf'] as const)('sends everything once, over %s', async (protocol) => {
    await leave(12);
    await receiver.stop();
    receiver = new CountingReceiver({ protocol });
    const { exitCode, stdout, json } = await replay(
      '--endpoint',
      await receiver.start(),
      '--protocol',
      protocol,
      '--json',
    );
    expect(exitCode).toBe(0);
    expect(stdout.trim().split('\n')).toHaveLength(1);
    expect(json()).toEqual({
      command: 'spool replay',
      exitCode: 0,
      directory,
      endpoint: receiver.url,
      dryRun: false,
      waiting: 120,
      sent: 120,
      rejected: 0,
      refused: 0,
      corrupt: 0,
      left: 0,
      interrupted: false,
      durationMillis: expect.any(Number),
      failures: [],
    });
    expect(receiver.snapshot()).toMatchObject({ uniqueSpans: 120, duplicates: 0 });
    expect(await waiting()).toBe(0);
  });

  it('says in words what it has done, and what is left', async () => {
    await leave(12);
    const { exitCode, stdout, stderr } = await replay('--endpoint', await receiver.start(), '--limit', '25');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^25 spans sent to http:\/\/127\.0\.0\.1:\d+ in [\d.]+ s; 95 spans left in /);
    expect(stderr).toContain('sending 25 spans from');
    expect(receiver.receivedSpans).toBe(25);
    expect(await waiting()).toBe(95);
    await replay('--endpoint', receiver.url);
    expect(receiver.snapshot()).toMatchObject({ uniqueSpans: 120, duplicates: 0 });
  });

  it('sends the newest first where it is told to', async () => {
    const spool = new Spool({ directory });
    const first = fakeSpan();
    const last = fakeSpan();
    await spool.append(SpanBatch.fromSpans([first]));
    await spool.append(SpanBatch.fromSpans([last]));
    await spool.shutdown();
    await replay('--endpoint', await receiver.start(), '--order', 'newest', '--limit', '1');
    const { traceId, spanId } = last.spanContext();
    expect([...receiver.spanIds]).toEqual([`${traceId}${spanId}`]);
  });

  it('keeps to the rate', async () => {
    await leave(10);
    const { json } = await replay('--endpoint', await receiver.start(), '--rate', '100', '--json');
    expect(receiver.receivedSpans).toBe(100);
    expect(json().durationMillis).toBeGreaterThanOrEqual(750);
    expect(Math.max(...receiver.log.map(({ spanCount }) => spanCount))).toBeLessThanOrEqual(25);
  });

  it('with --dry-run sends and changes nothing', async () => {
    await leave(5);
    const before = await contents();
    const { exitCode, json } = await replay(
      '--endpoint',
      await receiver.start(),
      '--dry-run',
      '--limit',
      '20',
      '--json',
    );
    expect(exitCode).toBe(0);
    expect(json()).toEqual({
      command: 'spool replay',
      exitCode: 0,
      directory,
      endpoint: receiver.url,
      dryRun: true,
      waiting: 50,
      wouldSend: 20,
    });
    expect(receiver.requests).toBe(0);
    expect(await contents()).toEqual(before);
  });

  it.each([[], ['--dry-run']])('leaves a directory alone that a live process has (%s)', async (...args) => {
    const spool = await spoolWith(5);
    owners.push({ end: () => spool.shutdown() });
    const before = await contents();
    const { exitCode, stderr } = await replay('--endpoint', await receiver.start(), ...args);
    expect(exitCode).toBe(3);
    expect(stderr).toContain(`${directory}: in use by process ${process.pid}`);
    expect(await contents()).toEqual(before);
    expect(receiver.requests).toBe(0);
  });

  it('takes over from an owner that was killed', async () => {
    await kill(await spoolWith(1));
    expect((await replay('--endpoint', await receiver.start())).exitCode).toBe(0);
    expect(receiver.receivedSpans).toBe(10);
  });

  it('loses nothing to an endpoint that is not there, and says so at once', async () => {
    await leave(5);
    const { exitCode, stdout } = await replay('--endpoint', 'http://127.0.0.1:1');
    expect(exitCode).toBe(1);
    expect(stdout).toContain('ECONNREFUSED');
    expect(stdout).toContain('50 spans left');
    expect(await waiting()).toBe(50);
  });

  it('loses nothing to an endpoint that refuses for good, and passes over what it refuses alone', async () => {
    await leave(12);
    receiver.respond({ kind: 'error', status: 16, message: `unknown ${SECRET}` });
    const url = await receiver.start();
    const refused = await replay('--endpoint', url, '--header', `authorization=${SECRET}`);
    expect(refused.exitCode).toBe(1);
    expect(refused.stdout).toContain('120 spans left');
    expect(refused.stdout + refused.stderr).not.toContain('5f2d1c');
    expect(await waiting()).toBe(120);

    receiver.respond(({ index: at }) => (at === receiver.requests - 1 && at % 2 === 0 ? POISON : { kind: 'success' }));
    const { exitCode, json } = await replay('--endpoint', url, '--json');
    const { sent, refused: passedOver, left } = json() as Record<string, number>;
    expect(exitCode).toBe(1);
    expect(sent).toBeGreaterThan(0);
    expect(sent! + left!).toBe(120);
    expect(passedOver).toBe(left);
    expect(await waiting()).toBe(left);
    receiver.respond();
    expect((await replay('--endpoint', url)).exitCode).toBe(0);
    expect(receiver.snapshot()).toMatchObject({ uniqueSpans: 120, duplicates: 0 });
  });

  it('goes on after an endpoint that was away for a moment', async () => {
    await leave(12);
    receiver.script([{ kind: 'success' }, { kind: 'error', status: 14 }, { kind: 'reset' }]);
    expect((await replay('--endpoint', await receiver.start())).exitCode).toBe(0);
    expect(receiver.snapshot()).toMatchObject({ uniqueSpans: 120 });
  });

  it('waits for an endpoint that is busy, from the first batch on', async () => {
    await leave(2);
    receiver.script([{ kind: 'error', status: 14, retryAfterMillis: 100 }, { kind: 'success' }]);
    expect((await replay('--endpoint', await receiver.start())).exitCode).toBe(0);
    expect(receiver.snapshot()).toMatchObject({ requests: 2, uniqueSpans: 20 });
  });

  it('counts what was rejected as not sent', async () => {
    await leave(2);
    receiver.respond({ kind: 'partialSuccess', rejectedSpans: 3, errorMessage: 'too old' });
    const { exitCode, stderr, json } = await replay('--endpoint', await receiver.start(), '--json');
    expect(exitCode).toBe(1);
    expect(json()).toMatchObject({ sent: 17, rejected: 3, left: 0 });
    expect(stderr).toContain('too old');
  });

  it('sends what is intact of a damaged spool, and says what was not', async () => {
    await leave(8);
    const [first] = await segmentPaths();
    await overwrite(first!, 32 + 40 + 100, 'zzzzzzzz');
    const { exitCode, json } = await replay('--endpoint', await receiver.start(), '--json');
    expect(exitCode).toBe(1);
    expect(json()).toMatchObject({ sent: 70, corrupt: 10, left: 0 });
    expect(receiver.snapshot()).toMatchObject({ uniqueSpans: 70 });
  });

  it('keeps what is older than a spool of an application would', async () => {
    const spool = new Spool({ directory, clock: { ...systemClock, wallTime: () => Date.UTC(2021, 0, 1) } });
    await spool.append(tenSpans());
    await spool.shutdown();
    expect((await cli.run(['spool', 'ls', directory])).stdout).toMatch(/the oldest for [\d,]+ d/);
    expect((await replay('--endpoint', await receiver.start(), '--json')).json()).toMatchObject({ sent: 10, left: 0 });
  });

  it('stops at SIGINT and leaves what was not acknowledged', async () => {
    await leave(20);
    const running = replay('--endpoint', await receiver.start(), '--rate', '40', '--json');
    while (receiver.receivedSpans < 20) await new Promise((resolve) => setTimeout(resolve, 20));
    running.child.kill('SIGINT');
    const { exitCode, stderr, json } = await running;
    expect(exitCode).toBe(1);
    expect(stderr).toContain('SIGINT: stopping');
    const { sent, left, interrupted } = json() as Record<string, number>;
    expect(interrupted).toBe(true);
    expect(sent).toBe(receiver.receivedSpans);
    expect(sent! + left!).toBe(200);
    expect(await waiting()).toBe(left);
    expect((await replay('--endpoint', receiver.url)).exitCode).toBe(0);
    expect(receiver.snapshot()).toMatchObject({ uniqueSpans: 200, duplicates: 0 });
  });

  it('loses nothing when it is killed, and the next one takes over', async () => {
    await leave(20);
    const running = replay('--endpoint', await receiver.start(), '--rate', '100');
    while (receiver.receivedSpans < 50) await new Promise((resolve) => setTimeout(resolve, 20));
    running.child.kill('SIGKILL');
    await running;
    const listing = await cli.run(['spool', 'ls', directory, '--json']);
    expect(listing.json()).toMatchObject({ directories: [{ owner: { pid: running.child.pid, state: 'dead' } }] });
    expect((await replay('--endpoint', receiver.url)).exitCode).toBe(0);
    expect(receiver.snapshot().uniqueSpans).toBe(200);
    expect(await waiting()).toBe(0);
  });

  it('sends the others where a segment cannot be read', async () => {
    await leave(5);
    // To read a directory is an error of the disk, for root as well.
    await mkdir(join(directory, '00000000000000aa.seg'));
    expect((await cli.run(['spool', 'ls', directory])).stdout).toContain('cannot be read: EISDIR');
    expect((await cli.run(['spool', 'fsck', directory])).exitCode).toBe(1);
    const { exitCode, json } = await replay('--endpoint', await receiver.start(), '--json');
    expect(exitCode).toBe(1);
    expect(json()).toMatchObject({ sent: 50, left: 0, failures: [{ message: expect.stringContaining('EISDIR') }] });
  });

  it('does not wait for an endpoint that swallows everything once it is told to stop', async () => {
    await leave(4);
    receiver.respond({ kind: 'never' });
    const running = replay('--endpoint', await receiver.start());
    while (receiver.requests < 1) await new Promise((resolve) => setTimeout(resolve, 20));
    running.child.kill('SIGTERM');
    await running.said('SIGTERM');
    running.child.kill('SIGTERM');
    expect((await running).exitCode).toBeNull();
    expect(await waiting()).toBe(40);
  });
});

describe('spool fsck', () => {
  const fsck = (...args: string[]) => cli.run(['spool', 'fsck', directory, ...args]);
  const damageBody = async () => {
    const [first] = await segmentPaths();
    await overwrite(first!, 32 + 40 + 100, 'zzzzzzzz');
  };

  it('finds nothing wrong with what a spool has left', async () => {
    await leave(8);
    const { exitCode, stdout } = await fsck();
    expect(exitCode).toBe(0);
    expect(stdout).toContain(`${directory}: 2 segments, 0 damaged ones`);
    expect(stdout).toContain('80 spans in 8 batches are intact and wait to be sent');
  });

  it('finds damage that no header shows, and changes nothing', async () => {
    await leave(8);
    await damageBody();
    const before = await contents();
    expect((await cli.run(['spool', 'ls', directory])).exitCode).toBe(0);
    const { exitCode, stdout, json } = await fsck('--json');
    expect(exitCode).toBe(1);
    expect(stdout.trim().split('\n')).toHaveLength(1);
    const none = { batches: 0, spans: 0, bytes: 0 };
    expect(json()).toMatchObject({
      command: 'spool fsck',
      exitCode: 1,
      directory,
      repair: false,
      clean: false,
      directories: [
        {
          path: directory,
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
    expect((await fsck()).stdout).toMatch(/│ 0000000000000001\.seg │ +[\d.]+ KiB │ +30 │/);
    expect(await contents()).toEqual(before);
  });

  it('repairs it: what was intact is sent afterwards', async () => {
    await leave(8);
    await damageBody();
    const { exitCode, stdout } = await fsck('--repair');
    expect(exitCode).toBe(0);
    expect(stdout).toContain('1 segment in quarantine');
    expect((await fsck('--json')).json()).toMatchObject({
      exitCode: 0,
      clean: true,
      totals: { waiting: { spans: 70 } },
    });
    const replay = await cli.run(['spool', 'replay', directory, '--endpoint', await receiver.start(), '--json']);
    expect(replay.json()).toMatchObject({ exitCode: 0, sent: 70, corrupt: 0, left: 0 });
  });

  it('repairs nothing that a live process has', async () => {
    const spool = await spoolWith(8);
    owners.push({ end: () => spool.shutdown() });
    // What it is about to write is no damage.
    await appendFile((await segmentPaths()).at(-1)!, 'ORFM');
    expect((await fsck('--json')).json()).toMatchObject({
      exitCode: 0,
      clean: true,
      totals: { unfinished: { bytes: 4 } },
    });
    await damageBody();
    const before = await contents();
    expect((await fsck()).exitCode).toBe(1);
    const { exitCode, stdout } = await fsck('--repair');
    expect(exitCode).toBe(3);
    expect(stdout).toContain('not repaired, since a process has it');
    expect(await contents()).toEqual(before);
  });

  it('says of a directory that is not there', async () => {
    const { exitCode, stderr } = await fsck();
    expect(exitCode).toBe(2);
    expect(stderr).toContain(`${directory}: there is no such directory`);
  });
});

const POISON = { kind: 'error', status: 3, message: 'cannot read this' } as const;

async function overwrite(path: string, position: number, text: string): Promise<void> {
  const file = await open(path, 'r+');
  await file.write(text, position);
  await file.close();
}

/** Leaves the directory as if its owner had been killed just now; resolves to the pid of that one. */
async function kill(spool: Spool): Promise<number> {
  const child = spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' });
  await once(child, 'exit');
  const remains = `${directory}-remains`;
  await cp(directory, remains, { recursive: true });
  const [owner] = await readdir(join(remains, 'lock'));
  await rename(join(remains, 'lock', owner!), join(remains, 'lock', owner!.replace(/^\d+/, `${child.pid}`)));
  await spool.shutdown();
  await rm(directory, { recursive: true });
  await rename(remains, directory);
  return child.pid!;
}
