import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { SpanBatch } from '@otel-resilience/core';
import { fakeSpan } from '@otel-resilience/testing';
import { Spool } from '@otel-resilience/tiered';
import { describe, expect, it } from 'vitest';
import { ArchiveBed, DAY, hourBefore } from './archive-bed.test-support.js';

const bed = new ArchiveBed();
const SECRET = 'wJalrXUtnFEMI5f2d1c';

describe('tiers ls', () => {
  const ls = (...args: string[]) => bed.run('tiers', 'ls', bed.warm, ...args);
  const dayOf = (ageMillis: number) => new Date(hourBefore(ageMillis)).toISOString().slice(0, 10);

  it('shows what is archived, by day and class', async () => {
    await bed.archive({ ageMillis: 2 * DAY });
    await bed.archive({ ageMillis: 2 * DAY, serviceName: 'cart' });
    await bed.archive({ ageMillis: 40 * DAY, storageClass: 'GLACIER' });
    const { exitCode, stdout, stderr } = await ls();
    expect(exitCode).toBe(0);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^.*warm: 3 objects \([\d.]+ KiB\), ended from .{17} to .{17}\n/);
    const rows = stdout.matchAll(/│ (\d{4}-\d\d-\d\d) │ (\w+) +│ +(\d+) │ +[\d.]+ (?:Ki)?B │/g);
    expect(Array.from(rows, (row) => row.slice(1))).toEqual([
      [dayOf(40 * DAY), 'GLACIER', '1'],
      [dayOf(2 * DAY), 'STANDARD', '2'],
    ]);
  });

  it('says the same to programs, under names that stay', async () => {
    await bed.archive({ ageMillis: 2 * DAY });
    await bed.archive({ ageMillis: 40 * DAY, directory: bed.cold, spans: 25, serviceName: 'größe/1' });
    const { exitCode, stdout, json } = await ls('--cold', bed.cold, '--by', 'service', '--spans', '--json');
    expect(exitCode).toBe(0);
    expect(stdout.trim().split('\n')).toHaveLength(1);
    const hour = (ageMillis: number) => new Date(hourBefore(ageMillis)).toISOString();
    const figures = (ageMillis: number, spans: number) => ({
      objects: 1,
      bytes: expect.any(Number),
      spans,
      oldestHour: hour(ageMillis),
      newestHour: hour(ageMillis),
    });
    const nothing = { orphans: 0, withoutIndex: 0, damagedIndexes: 0, foreign: { count: 0, names: [] } };
    expect(json()).toEqual({
      command: 'tiers ls',
      exitCode: 0,
      by: 'service',
      locations: [
        {
          location: bed.warm,
          groups: [{ service: 'fake-service', storageClass: 'STANDARD', ...figures(2 * DAY, 10) }],
          ...nothing,
          totals: figures(2 * DAY, 10),
        },
        {
          location: bed.cold,
          groups: [{ service: 'größe/1', storageClass: 'STANDARD', ...figures(40 * DAY, 25) }],
          ...nothing,
          totals: figures(40 * DAY, 25),
        },
      ],
      totals: {
        objects: 2,
        bytes: expect.any(Number),
        spans: 35,
        oldestHour: hour(40 * DAY),
        newestHour: hour(2 * DAY),
        orphans: 0,
        withoutIndex: 0,
        damagedIndexes: 0,
      },
    });
  });

  it('counts what does not fit together, and changes nothing', async () => {
    for (const serviceName of ['a', 'b', 'c', 'd']) await bed.archive({ serviceName });
    const [orphan] = await bed.files(bed.warm, '.otlp.gz');
    const [, noIndex, damaged] = await bed.files(bed.warm, '.index.json');
    await rm(orphan!);
    await rm(noIndex!);
    await writeFile(damaged!, '{}');
    await writeFile(join(dirname(damaged!), 'notes.txt'), 'mine');
    await writeFile(join(bed.warm, 'lost\u001b[31m'), 'mine');
    const before = await bed.contents();
    const quick = await ls();
    expect(quick.exitCode).toBe(0);
    expect(quick.stdout).toContain('1 object without an index');
    expect(quick.stdout).toContain('1 index without data');
    expect(quick.stdout).toMatch(/not ours, left alone: .*notes\.txt, lost\\x1b\[31m/);
    expect(quick.stderr).toBe('');
    const { exitCode, stdout, json } = await ls('--spans', '--json');
    expect(exitCode).toBe(1);
    expect(stdout).not.toContain('\u001b');
    expect(json()).toMatchObject({
      totals: { objects: 3, spans: 10, orphans: 1, withoutIndex: 1, damagedIndexes: 1 },
      locations: [{ foreign: { count: 2 } }],
    });
    expect(await bed.contents()).toEqual(before);
  });

  it('of an empty directory says so', async () => {
    const { exitCode, stdout } = await ls();
    expect(exitCode).toBe(0);
    expect(stdout).toBe(`${bed.warm}: nothing is archived there\n`);
    expect((await ls('--json')).json()).toMatchObject({ totals: { objects: 0, bytes: 0, oldestHour: null } });
  });
});

describe('a location', () => {
  const failsWith = async (location: string, ...said: string[]) => {
    const { exitCode, stdout, stderr } = await bed.run('tiers', 'ls', location, '--json');
    expect(exitCode).toBe(2);
    for (const text of said) expect(stderr).toContain(text);
    expect(stderr).not.toMatch(/\n +at /);
    expect(stderr.trim().split('\n')).toHaveLength(2);
    expect(JSON.parse(stdout)).toMatchObject({ exitCode: 2, error: { message: expect.stringContaining(said[0]!) } });
  };

  it('that is not there', () => failsWith(join(bed.warm, 'x'), `${bed.warm}/x: there is no such directory`));

  it('that is a file', async () => {
    await writeFile(join(bed.warm, 'file'), '');
    await failsWith(join(bed.warm, 'file'), 'this is not a directory');
  });

  it('that is a spool', async () => {
    const spool = new Spool({ directory: bed.warm });
    await spool.append(SpanBatch.fromSpans([fakeSpan()]));
    await failsWith(bed.warm, 'this is the spool of an application', `otel-resilience spool ls ${bed.warm}`);
    await spool.shutdown();
    await failsWith(bed.warm, 'this is the spool of an application');
  });

  it('that lies within an archive', async () => {
    await bed.archive();
    await failsWith(join(bed.warm, 'STANDARD'), 'this lies within an archive', `Give all of it: ${bed.warm}`);
    await failsWith(join(bed.warm, 'STANDARD', 'traces'), 'this lies within an archive', `Give all of it: ${bed.warm}`);
  });

  it('that is a copy of a bucket', async () => {
    await mkdir(join(bed.warm, 'traces'));
    await failsWith(bed.warm, 'it has traces/, as a bucket would', `mkdir ${bed.warm}/STANDARD`);
  });

  it('s3:// without the AWS SDK', async () => {
    const alone = await bed.built.withoutAwsSdk();
    const { exitCode, stderr } = await alone.run(['tiers', 'ls', 's3://bucket/prefix']);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('s3://bucket/prefix: the AWS SDK is not installed');
    expect(stderr).toContain('npm install @aws-sdk/client-s3');
    expect((await alone.run(['tiers', 'ls', bed.warm])).exitCode).toBe(0);
    await alone.remove();
  });

  describe('s3://', () => {
    const answering = async (status: number, code: string, use: (url: string, server: Server) => Promise<void>) => {
      const server = createServer((_, response) => {
        response.writeHead(status, { 'content-type': 'application/xml' });
        response.end(`<Error><Code>${code}</Code><Message>no: ${code}</Message></Error>`);
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, server);
      server.closeAllConnections();
      server.close();
    };
    const lsS3 = (endpoint: string, env: NodeJS.ProcessEnv = {}) =>
      bed.built.run(['tiers', 'ls', 's3://my-bucket', '--s3-endpoint', endpoint, '--s3-region', 'us-east-1'], {
        AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE',
        AWS_SECRET_ACCESS_KEY: SECRET,
        AWS_EC2_METADATA_DISABLED: 'true',
        ...env,
      });

    it.each([
      [404, 'NoSuchBucket', 'the bucket does not exist', 'Look at its name'],
      [403, 'InvalidAccessKeyId', 'access denied', 'Credentials are what the AWS SDK finds'],
    ])('%d %s', async (status, code, message, remedy) => {
      await answering(status, code, async (url) => {
        const { exitCode, stdout, stderr } = await lsS3(url);
        expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
        expect(stderr).toContain(`otel-resilience: s3://my-bucket: ${message}`);
        expect(stderr).toContain(remedy);
        expect(stderr).not.toMatch(/\n +at |AKIA|5f2d1c/);
      });
    });

    it('that cannot be reached', async () => {
      const { exitCode, stderr } = await lsS3('http://127.0.0.1:1');
      expect(exitCode).toBe(2);
      expect(stderr).toMatch(/otel-resilience: s3:\/\/my-bucket: .*ECONNREFUSED/);
      expect(stderr).toContain('Look at the network');
    });
  });
});
