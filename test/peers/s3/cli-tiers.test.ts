import { SpanBatch } from '@otel-resilience/core';
import { CountingReceiver, fakeSpan } from '@otel-resilience/testing';
import { ArchiveWriter } from '@otel-resilience/tiered';
import { S3ObjectStore } from '@otel-resilience/tiered/s3';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { BuiltCli } from '../../../packages/cli/src/built-cli.test-support.js';
import { describeWithPeer } from '../peer.js';
import { S3Server } from './s3-server.js';

const DAY = 86_400_000;
const NOBODY = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI5f2d1c' };

describeWithPeer('s3', 'otel-resilience tiers, on a real server', (python) => {
  let server: S3Server;
  let cli: BuiltCli;
  let bucket: string;
  let buckets = 0;

  beforeAll(async () => {
    [server, cli] = await Promise.all([S3Server.start(python), BuiltCli.build()]);
  });
  afterAll(() => Promise.all([server.stop(), cli.remove()]));
  beforeEach(async () => {
    bucket = `tiers-${buckets++}`;
    await server.createBucket(bucket);
  });
  afterEach(() => server.trustEverybody());

  const tiers = (
    command: string,
    locations: readonly string[],
    args: readonly string[] = [],
    { accessKeyId, secretAccessKey } = { accessKeyId: 'test', secretAccessKey: 'test' },
  ) =>
    cli.run(['tiers', command, ...locations, '--s3-endpoint', `http://127.0.0.1:${server.port}`, ...args], {
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_REGION: 'us-east-1',
    });

  /** One object, of ten spans of so many days ago. */
  async function archive(ageDays: number, prefix = 'warm', serviceName = 'shop'): Promise<SpanBatch> {
    const startMillis = Date.now() - ageDays * DAY;
    const batch = SpanBatch.fromSpans(Array.from({ length: 10 }, () => fakeSpan({ startMillis, serviceName })));
    const store = new S3ObjectStore({ bucket, prefix, clientOptions: server.clientOptions() });
    const writer = new ArchiveWriter({ store });
    const context = { signal: new AbortController().signal, deadline: performance.now() + 20_000 };
    expect(await writer.exportBatch(batch, context)).toMatchObject({ delivered: 10 });
    await writer.shutdown();
    return batch;
  }

  const groups = async (...prefixes: string[]) => {
    const locations = prefixes.map((prefix) => `s3://${bucket}/${prefix}`);
    const { exitCode, json } = await tiers('ls', locations.slice(0, 1), [
      ...locations.slice(1).flatMap((location) => ['--cold', location]),
      '--spans',
      '--json',
    ]);
    expect(exitCode).toBe(0);
    const found = json().locations as Array<{ groups: Array<Record<string, unknown>> }>;
    return found.map((each) =>
      each.groups.map(({ storageClass, objects, spans }) => ({ storageClass, objects, spans })),
    );
  };

  it('ls shows a bucket, migrate archives what is old, rehydrate has it restored and sends it', async () => {
    const old = await archive(40);
    const young = await archive(2);
    await archive(100);
    expect((await tiers('ls', [`s3://${bucket}/warm`])).stdout).toContain(`s3://${bucket}/warm: 3 objects`);

    const migrated = await tiers('migrate', [`s3://${bucket}/warm`], ['--json']);
    expect(migrated.json()).toMatchObject({
      exitCode: 0,
      warm: `s3://${bucket}/warm`,
      complete: true,
      moved: { objects: 1, spans: 10 },
      deleted: { objects: 1 },
    });
    expect(await groups('warm')).toEqual([
      [
        { storageClass: 'GLACIER', objects: 1, spans: 10 },
        { storageClass: 'STANDARD', objects: 1, spans: 10 },
      ],
    ]);

    const receiver = new CountingReceiver();
    const endpoint = ['--endpoint', await receiver.start()];
    const preview = await tiers('rehydrate', [`s3://${bucket}/warm`], [...endpoint, '--dry-run']);
    expect(preview).toMatchObject({ exitCode: 0 });
    expect(preview.stdout).toMatch(/1 object \(.*B\) archived, which would be restored first \(Standard\)/);
    const without = await tiers('rehydrate', [`s3://${bucket}/warm`], [...endpoint, '--no-restore', '--json']);
    expect(without.json()).toMatchObject({ exitCode: 1, spans: { sent: 10 }, objects: { archived: 1 } });
    const all = await tiers('rehydrate', [`s3://${bucket}/warm`], [...endpoint, '--restore-days', '1', '--json']);
    expect(all.json()).toMatchObject({ exitCode: 0, complete: true, spans: { sent: 20 } });
    const ids = [old, young].flatMap((batch) => batch.spans().map((span) => span.spanContext()));
    expect([...receiver.spanIds].sort()).toEqual(ids.map(({ traceId, spanId }) => traceId + spanId).sort());
    await receiver.stop();
  });

  it('migrate moves between two prefixes', async () => {
    await archive(40);
    await archive(2);
    const cold = ['--cold', `s3://${bucket}/cold`];
    expect((await tiers('migrate', [`s3://${bucket}/warm`], cold)).exitCode).toBe(0);
    expect(await groups('warm', 'cold')).toEqual([
      [{ storageClass: 'STANDARD', objects: 1, spans: 10 }],
      [{ storageClass: 'GLACIER', objects: 1, spans: 10 }],
    ]);
  });

  it('is told in a line that the bucket is not there', async () => {
    const { exitCode, stderr } = await tiers('ls', ['s3://no-such-bucket']);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('otel-resilience: s3://no-such-bucket: the bucket does not exist');
    expect(stderr).not.toMatch(/\n +at /);
  });

  it.each(['ls', 'migrate'])('%s is told in a line that its credentials are wrong, and shows none', async (command) => {
    await server.checkCredentials([{ Effect: 'Allow', Action: 's3:*', Resource: '*' }]);
    const { exitCode, stdout, stderr } = await tiers(command, [`s3://${bucket}`], ['--json'], NOBODY);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(`otel-resilience: s3://${bucket}: access denied`);
    expect(stdout + stderr).not.toMatch(/\n +at |AKIA|5f2d1c/);
  });
});
