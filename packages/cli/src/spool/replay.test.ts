import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SpanBatch, systemClock } from '@otel-resilience/core';
import { CountingReceiver, fakeSpan } from '@otel-resilience/testing';
import { Spool } from '@otel-resilience/tiered';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SpoolBed } from './spool-bed.test-support.js';

const bed = new SpoolBed();

const SECRET = 'Bearer 5f2d1c';
const POISON = { kind: 'error', status: 3, message: 'cannot read this' } as const;

let receiver: CountingReceiver;
beforeEach(() => {
  receiver = new CountingReceiver();
});
afterEach(() => receiver.stop());

describe('spool replay', () => {
  const replay = (...args: string[]) => bed.run('spool', 'replay', bed.directory, ...args);

  it.each(['grpc', 'http/protobuf'] as const)('sends everything once, over %s', async (protocol) => {
    await bed.leave(12);
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
      directory: bed.directory,
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
    expect(await bed.waiting()).toBe(0);
  });

  it('says in words what it has done, and what is left', async () => {
    await bed.leave(12);
    const { exitCode, stdout, stderr } = await replay('--endpoint', await receiver.start(), '--limit', '25');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^25 spans sent to http:\/\/127\.0\.0\.1:\d+ in [\d.]+ s; 95 spans left in /);
    expect(stderr).toContain('sending 25 spans from');
    expect(receiver.receivedSpans).toBe(25);
    expect(await bed.waiting()).toBe(95);
    await replay('--endpoint', receiver.url);
    expect(receiver.snapshot()).toMatchObject({ uniqueSpans: 120, duplicates: 0 });
  });

  it('sends the newest first where it is told to', async () => {
    const spool = new Spool({ directory: bed.directory });
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
    await bed.leave(10);
    const { json } = await replay('--endpoint', await receiver.start(), '--rate', '100', '--json');
    expect(receiver.receivedSpans).toBe(100);
    expect(json().durationMillis).toBeGreaterThanOrEqual(750);
    expect(Math.max(...receiver.log.map(({ spanCount }) => spanCount))).toBeLessThanOrEqual(25);
  });

  it('with --dry-run sends and changes nothing', async () => {
    await bed.leave(5);
    const before = await bed.contents();
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
      directory: bed.directory,
      endpoint: receiver.url,
      dryRun: true,
      waiting: 50,
      wouldSend: 20,
    });
    expect(receiver.requests).toBe(0);
    expect(await bed.contents()).toEqual(before);
  });

  it.each([[], ['--dry-run']])('leaves a directory alone that a live process has (%s)', async (...args) => {
    await bed.spoolWith(5);
    const before = await bed.contents();
    const { exitCode, stderr } = await replay('--endpoint', await receiver.start(), ...args);
    expect(exitCode).toBe(3);
    expect(stderr).toContain(`${bed.directory}: in use by process ${process.pid}`);
    expect(await bed.contents()).toEqual(before);
    expect(receiver.requests).toBe(0);
  });

  it('takes over from an owner that was killed', async () => {
    await bed.kill(await bed.spoolWith(1));
    expect((await replay('--endpoint', await receiver.start())).exitCode).toBe(0);
    expect(receiver.receivedSpans).toBe(10);
  });

  it('loses nothing to an endpoint that is not there, and says so at once', async () => {
    await bed.leave(5);
    const { exitCode, stdout } = await replay('--endpoint', 'http://127.0.0.1:1');
    expect(exitCode).toBe(1);
    expect(stdout).toContain('ECONNREFUSED');
    expect(stdout).toContain('50 spans left');
    expect(await bed.waiting()).toBe(50);
  });

  it('loses nothing to an endpoint that refuses for good, and passes over what it refuses alone', async () => {
    await bed.leave(12);
    receiver.respond({ kind: 'error', status: 16, message: `unknown ${SECRET}` });
    const url = await receiver.start();
    const refused = await replay('--endpoint', url, '--header', `authorization=${SECRET}`);
    expect(refused.exitCode).toBe(1);
    expect(refused.stdout).toContain('120 spans left');
    expect(refused.stdout + refused.stderr).not.toContain('5f2d1c');
    expect(await bed.waiting()).toBe(120);

    receiver.respond(({ index: at }) => (at % 2 === 0 ? POISON : { kind: 'success' }));
    const { exitCode, json } = await replay('--endpoint', url, '--json');
    const { sent, refused: passedOver, left } = json() as Record<string, number>;
    expect(exitCode).toBe(1);
    expect(sent).toBeGreaterThan(0);
    expect(sent! + left!).toBe(120);
    expect(passedOver).toBe(left);
    expect(await bed.waiting()).toBe(left);
    receiver.respond();
    expect((await replay('--endpoint', url)).exitCode).toBe(0);
    expect(receiver.snapshot()).toMatchObject({ uniqueSpans: 120, duplicates: 0 });
  });

  it('goes on after an endpoint that was away for a moment', async () => {
    await bed.leave(12);
    receiver.script([{ kind: 'success' }, { kind: 'error', status: 14 }, { kind: 'reset' }]);
    expect((await replay('--endpoint', await receiver.start())).exitCode).toBe(0);
    expect(receiver.snapshot()).toMatchObject({ uniqueSpans: 120 });
  });

  it('waits for an endpoint that is busy, from the first batch on', async () => {
    await bed.leave(2);
    receiver.script([{ kind: 'error', status: 14, retryAfterMillis: 100 }, { kind: 'success' }]);
    expect((await replay('--endpoint', await receiver.start())).exitCode).toBe(0);
    expect(receiver.snapshot()).toMatchObject({ requests: 2, uniqueSpans: 20 });
  });

  it('counts what was rejected as not sent', async () => {
    await bed.leave(2);
    receiver.respond({ kind: 'partialSuccess', rejectedSpans: 3, errorMessage: 'too old' });
    const { exitCode, stderr, json } = await replay('--endpoint', await receiver.start(), '--json');
    expect(exitCode).toBe(1);
    expect(json()).toMatchObject({ sent: 17, rejected: 3, left: 0 });
    expect(stderr).toContain('too old');
  });

  it('sends what is intact of a damaged spool, and says what was not', async () => {
    await bed.leave(8);
    await bed.damage(172);
    const { exitCode, json } = await replay('--endpoint', await receiver.start(), '--json');
    expect(exitCode).toBe(1);
    expect(json()).toMatchObject({ waiting: 80, sent: 70, corrupt: 10, left: 0 });
    expect(receiver.snapshot()).toMatchObject({ uniqueSpans: 70 });
  });

  it('keeps what is damaged as it was, and says so before it sends the others', async () => {
    await bed.leave(8);
    await bed.damage(172);
    const [damaged] = await bed.segmentPaths();
    const before = await readFile(damaged!);
    const { stderr } = await replay('--endpoint', await receiver.start());
    const lines = stderr.split('\n');
    expect(lines[0]).toContain('1 damaged batch with 10 spans cannot be sent; the segments as they were are kept in');
    expect(lines[1]).toMatch(/^sending 70 spans/);
    const kept = await readdir(join(bed.directory, 'quarantine'));
    expect(kept).toHaveLength(1);
    expect(await readFile(join(bed.directory, 'quarantine', kept[0]!))).toEqual(before);
  });

  it('sends the others where no copy can be kept, and says so before', async () => {
    await bed.leave(8);
    await bed.damage(172);
    await writeFile(join(bed.directory, 'quarantine'), 'in the way');
    const { stderr, json } = await replay('--endpoint', await receiver.start(), '--json');
    expect(stderr).toMatch(
      /1 damaged batch with 10 spans cannot be sent and will be given up; no copy could be kept: .*E/,
    );
    expect(json()).toMatchObject({ exitCode: 1, waiting: 80, sent: 70, corrupt: 10, left: 0 });
  });

  it('keeps what is older than a spool of an application would', async () => {
    const spool = new Spool({
      directory: bed.directory,
      clock: { ...systemClock, wallTime: () => Date.UTC(2021, 0, 1) },
    });
    await spool.append(bed.tenSpans());
    await spool.shutdown();
    expect((await bed.run('spool', 'ls', bed.directory)).stdout).toMatch(/the oldest for [\d,]+ d/);
    expect((await replay('--endpoint', await receiver.start(), '--json')).json()).toMatchObject({ sent: 10, left: 0 });
  });

  it('stops at SIGINT and leaves what was not acknowledged', async () => {
    await bed.leave(20);
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
    expect(await bed.waiting()).toBe(left);
    expect((await replay('--endpoint', receiver.url)).exitCode).toBe(0);
    expect(receiver.snapshot()).toMatchObject({ uniqueSpans: 200, duplicates: 0 });
  });

  it('loses nothing when it is killed, and the next one takes over', async () => {
    await bed.leave(20);
    const running = replay('--endpoint', await receiver.start(), '--rate', '100');
    while (receiver.receivedSpans < 50) await new Promise((resolve) => setTimeout(resolve, 20));
    running.child.kill('SIGKILL');
    await running;
    const listing = await bed.run('spool', 'ls', bed.directory, '--json');
    expect(listing.json()).toMatchObject({ directories: [{ owner: { pid: running.child.pid, state: 'dead' } }] });
    expect((await replay('--endpoint', receiver.url)).exitCode).toBe(0);
    expect(receiver.snapshot().uniqueSpans).toBe(200);
    expect(await bed.waiting()).toBe(0);
  });

  it('sends the others where a segment cannot be read', async () => {
    await bed.leave(5);
    // To read a directory is an error of the disk, for root as well.
    await mkdir(join(bed.directory, '00000000000000aa-0123456789abcdef.seg'));
    expect((await bed.run('spool', 'ls', bed.directory)).stdout).toContain('cannot be read: EISDIR');
    expect((await bed.run('spool', 'fsck', bed.directory)).exitCode).toBe(1);
    const { exitCode, json } = await replay('--endpoint', await receiver.start(), '--json');
    expect(exitCode).toBe(1);
    expect(json()).toMatchObject({ sent: 50, left: 0, failures: [{ message: expect.stringContaining('EISDIR') }] });
  });

  it('does not wait for an endpoint that swallows everything once it is told to stop', async () => {
    await bed.leave(4);
    receiver.respond({ kind: 'never' });
    const running = replay('--endpoint', await receiver.start());
    while (receiver.requests < 1) await new Promise((resolve) => setTimeout(resolve, 20));
    running.child.kill('SIGTERM');
    await running.said('SIGTERM');
    running.child.kill('SIGTERM');
    expect((await running).exitCode).toBeNull();
    expect(await bed.waiting()).toBe(40);
  });
});
