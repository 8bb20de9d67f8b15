import { writeFile } from 'node:fs/promises';
import type { SpanBatch } from '@otel-resilience/core';
import { CountingReceiver } from '@otel-resilience/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ArchiveBed, DAY, hourBefore } from './archive-bed.test-support.js';

const bed = new ArchiveBed();
const SECRET = 'Bearer 5f2d1c';

let receiver: CountingReceiver;
let url: string;
beforeEach(async () => {
  receiver = new CountingReceiver();
  url = await receiver.start();
});
afterEach(() => receiver.stop());

const idsOf = (...batches: SpanBatch[]) =>
  batches
    .flatMap((batch) => batch.spans())
    .map((span) => `${span.spanContext().traceId}${span.spanContext().spanId}`)
    .sort();
const received = () => [...receiver.spanIds].sort();

describe('tiers rehydrate', () => {
  const rehydrate = (...args: string[]) => bed.run('tiers', 'rehydrate', bed.warm, '--endpoint', url, ...args);

  it.each(['grpc', 'http/protobuf'] as const)('sends what is archived once, over %s', async (protocol) => {
    await receiver.stop();
    receiver = new CountingReceiver({ protocol });
    url = await receiver.start();
    const batches = [
      await bed.archive({ ageMillis: 2 * DAY }),
      await bed.archive({ ageMillis: 40 * DAY, directory: bed.cold, storageClass: 'GLACIER' }),
    ];
    const { exitCode, stdout, json } = await rehydrate(bed.cold, '--protocol', protocol, '--json');
    expect(exitCode).toBe(0);
    expect(stdout.trim().split('\n')).toHaveLength(1);
    expect(json()).toEqual({
      command: 'tiers rehydrate',
      exitCode: 0,
      locations: [bed.warm, bed.cold],
      endpoint: url,
      dryRun: false,
      complete: true,
      interrupted: false,
      durationMillis: expect.any(Number),
      objects: { found: 2, done: 2, damaged: 0, archived: 0, failed: 0, left: 0 },
      storedBytes: expect.any(Number),
      archivedBytes: 0,
      foundSpans: 20,
      expectedSpans: 20,
      spans: {
        selected: 20,
        sent: 20,
        stored: 0,
        rejected: 0,
        dropped: 0,
        duplicates: 0,
        failed: 0,
        lateAcknowledged: 0,
      },
      problems: [],
      failures: [],
      error: null,
      resumeFrom: null,
    });
    expect(received()).toEqual(idsOf(...batches));
  });

  it('says in words what it does', async () => {
    await bed.archive();
    const { exitCode, stdout, stderr } = await rehydrate();
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^10 spans sent to http:\/\/127\.0\.0\.1:\d+ in [\d.]+ s, from 1 of 1 object\n$/);
    expect(stderr).toBe(`looking for all spans in ${bed.warm}\n`);
  });

  it('selects by time, service and trace', async () => {
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    const old = await bed.archive({ ageMillis: 10 * DAY });
    const cart = await bed.archive({ serviceName: 'cart' });
    const trace = await bed.archive({ serviceName: 'orders', traceId, spans: 1 });
    await rehydrate('--to', '5d');
    expect(received()).toEqual(idsOf(old));
    await rehydrate('--from', '5d', '--service', 'cart', '--service', 'nobody');
    expect(received()).toEqual(idsOf(old, cart));
    const { stderr } = await rehydrate('--trace-id', traceId.toUpperCase());
    expect(stderr).toContain('looking for spans (1 trace) in');
    expect(received()).toEqual(idsOf(old, cart, trace));
    expect(receiver.snapshot()).toMatchObject({ duplicates: 0 });
    const nothing = await rehydrate('--service', 'nobody');
    expect(nothing).toMatchObject({ exitCode: 0, stdout: 'no object holds such spans\n' });
  });

  it('keeps to the rate', async () => {
    for (let hours = 1; hours <= 5; hours++) await bed.archive({ ageMillis: (hours * DAY) / 24, spans: 20 });
    const { json } = await rehydrate('--rate', '100', '--json');
    expect(receiver.receivedSpans).toBe(100);
    expect(json().durationMillis).toBeGreaterThanOrEqual(750);
  });

  it('with --dry-run sends nothing, and asks nobody', async () => {
    await bed.archive();
    await bed.archive({ serviceName: 'cart' });
    const { exitCode, stdout } = await rehydrate('--dry-run', '--service', 'cart', '--rate', '1');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^would send 10 spans \(1 object, \d+ B\) to http:.*, in 10 s or so\n$/);
    expect((await rehydrate('--dry-run', '--to', '2100-01-01', '--json')).json()).toMatchObject({
      dryRun: true,
      complete: true,
      foundSpans: 20,
      resumeFrom: null,
    });
    expect(receiver.requests).toBe(0);
  });

  it('sends the others where one is damaged, and says which', async () => {
    await bed.archive({ serviceName: 'a' });
    const whole = await bed.archive({ serviceName: 'b' });
    const [damaged] = await bed.files(bed.warm, '.otlp.gz');
    await writeFile(damaged!, 'nothing');
    const { exitCode, stdout } = await rehydrate();
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/1 damaged object not sent\n {2}traces\/.*\/a\/.*\.otlp\.gz: /);
    expect(stdout).toMatch(/to send the rest, run it again with --from \d{4}-.*Z\n$/);
    expect(received()).toEqual(idsOf(whole));
  });

  it('says at once that nobody answers, or somebody who wants other headers', async () => {
    await bed.archive();
    const away = await bed.run('tiers', 'rehydrate', bed.warm, '--endpoint', 'http://127.0.0.1:1', '--json');
    expect(away.exitCode).toBe(1);
    expect(away.stderr).toContain('ECONNREFUSED');
    expect(away.json()).toMatchObject({ error: { remedy: expect.stringContaining('Nothing was sent') } });
    receiver.respond({ kind: 'error', status: 16, message: `unknown ${SECRET}` });
    const denied = await rehydrate('--header', `authorization=${SECRET}`);
    expect(denied.exitCode).toBe(1);
    expect(denied.stderr).toContain('Look at its headers');
    expect(denied.stdout + denied.stderr).not.toContain('5f2d1c');
    expect(receiver.receivedSpans).toBe(0);
  });

  it('goes on after an endpoint that was away for a moment', async () => {
    const batch = await bed.archive();
    receiver.script([{ kind: 'success' }, { kind: 'error', status: 14 }, { kind: 'reset' }]);
    expect((await rehydrate()).exitCode).toBe(0);
    expect(received()).toEqual(idsOf(batch));
  });

  it('counts what was rejected as not sent', async () => {
    await bed.archive();
    receiver.respond({ kind: 'partialSuccess', rejectedSpans: 3, errorMessage: 'too old' });
    const { exitCode, json } = await rehydrate('--json');
    expect(exitCode).toBe(1);
    expect(json()).toMatchObject({ complete: false, spans: { sent: 7, rejected: 3 } });
  });

  it('ends at SIGINT, and says from when on to run it again', async () => {
    const batches: SpanBatch[] = [];
    for (let hours = 1; hours <= 10; hours++) {
      batches.push(await bed.archive({ ageMillis: (hours * DAY) / 24, spans: 10 }));
    }
    const running = rehydrate('--rate', '40', '--json');
    while (receiver.receivedSpans < 30) await new Promise((resolve) => setTimeout(resolve, 20));
    running.child.kill('SIGINT');
    const { exitCode, stderr, json } = await running;
    expect(exitCode).toBe(1);
    expect(stderr).toContain('SIGINT: stopping');
    const { interrupted, complete, resumeFrom } = json();
    expect({ interrupted, complete }).toEqual({ interrupted: true, complete: false });
    expect(Date.parse(String(resumeFrom))).toBeGreaterThan(hourBefore((9 * DAY) / 24));
    expect((await rehydrate('--from', String(resumeFrom))).exitCode).toBe(0);
    expect(received()).toEqual(idsOf(...batches));
  });
});
