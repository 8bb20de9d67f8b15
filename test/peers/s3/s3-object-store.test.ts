import { inspect } from 'node:util';
import { CreateMultipartUploadCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { SpanBatch } from '@otel-resilience/core';
import { RetryingSpanExporter } from '@otel-resilience/exporter';
import { fakeSpans } from '@otel-resilience/testing';
import { ArchiveReader, ArchiveWriter, copyObject, RetryingObjectStore } from '@otel-resilience/tiered';
import { afterEach, describe, expect, it } from 'vitest';
import { MemoryObjectStore } from '../../support/memory-object-store.js';
import { collect, describeObjectStore } from '../../support/object-store-contract.js';
import { describeWithPeer } from '../peer.js';
import { S3Bed } from './s3-bed.js';

const MIB = 1024 * 1024;
const value = [Buffer.from('value')];

describeWithPeer('s3', 'S3ObjectStore against a real server', (python) => {
  const bed = new S3Bed(python, 'bucket');
  const { makeStore } = bed;
  const soon = (millis: number) => ({ deadline: performance.now() + millis });

  describeObjectStore('S3ObjectStore', {
    makeStore: () => makeStore({ prefix: 'some/prefix' }),
    archives: true,
    numRuns: 8,
  });

  it('keeps to its prefix, and reports what is there under other names', async () => {
    const store = makeStore({ prefix: 'mine/' });
    await store.put('k', value);
    for (const Key of ['other', 'mine', 'mine/with space', 'mine/a//b']) {
      await bed.server.admin.send(new PutObjectCommand({ Bucket: bed.bucket, Key, Body: 'x' }));
    }
    expect((await collect(store.list(''))).map(({ key }) => key)).toEqual(['k']);
    expect(store.status()).toMatchObject({ location: `s3://${bed.bucket}/mine/`, foreign: { count: 2 } });
  });

  it('puts large objects in parts, and compares them all the same', async () => {
    const store = makeStore({ multipartThresholdBytes: 5 * MIB, partBytes: 5 * MIB });
    const bytes = Buffer.alloc(12 * MIB + 7, 'abcdefg');
    await store.put('large', [bytes.subarray(0, 100), bytes.subarray(100)], { storageClass: 'STANDARD_IA' });
    expect(bytes.equals(await store.get('large', { maxBytes: bytes.byteLength }))).toBe(true);
    expect(await store.head('large')).toMatchObject({ bytes: bytes.byteLength, storageClass: 'STANDARD_IA' });
    await expect(store.put('large', [bytes], { ifNoneMatch: true })).rejects.toMatchObject({ code: 'EXISTS' });
    expect(await bed.server.openUploads(bed.bucket)).toBe(0);
    expect(await store.changeStorageClass('large', 'STANDARD')).toMatchObject({ bytes: bytes.byteLength });
    expect(bytes.equals(await store.get('large', { maxBytes: bytes.byteLength }))).toBe(true);
  });

  for (const [title, options, code] of [
    ['cut in the middle of a part', { kill: 'cut' }, 'UNAVAILABLE'],
    ['swallowed in the middle', { kill: 'blackHole' }, 'DEADLINE_EXCEEDED'],
  ] as const) {
    it(`leaves no parts of an upload that is ${title}`, async () => {
      const store = makeStore({ multipartThresholdBytes: 5 * MIB, partBytes: 5 * MIB });
      const bytes = Buffer.alloc(22 * MIB, 'x');
      await store.put('warm-up', value);
      const put = store.put('large', [bytes], options.kill === 'cut' ? {} : soon(2_000));
      if (options.kill === 'cut') bed.proxy.cutAfter(3 * MIB, { times: 1 });
      else {
        while (bed.proxy.snapshot().passedBytes.toUpstream < 2 * MIB)
          await new Promise((resolve) => setTimeout(resolve, 1));
        await bed.proxy.blackHole();
        setTimeout(() => bed.proxy.heal(), 2_200);
      }
      await expect(put).rejects.toMatchObject({ code, failure: 'retryable' });
      await store.shutdown();
      expect(await bed.server.openUploads(bed.bucket)).toBe(0);
      const again = makeStore({ multipartThresholdBytes: 5 * MIB, partBytes: 5 * MIB });
      expect(await again.head('large')).toBeUndefined();
      await again.put('large', [bytes]);
      expect(await again.head('large')).toMatchObject({ bytes: bytes.byteLength });
    });
  }

  it('aborts at open what a process has left that was killed a day ago', async () => {
    const upload = { Bucket: bed.bucket, Key: 'mine/k' };
    await bed.server.admin.send(new CreateMultipartUploadCommand(upload));
    await bed.server.admin.send(new CreateMultipartUploadCommand({ ...upload, Key: 'other/k' }));
    expect(await bed.server.openUploads(bed.bucket)).toBe(2);
    await makeStore({ prefix: 'mine' }).open();
    // moto dates every upload in 2010.
    expect(await bed.server.openUploads(bed.bucket)).toBe(1);
  });

  it('leaves parts when it is killed in mid-upload, and the next one to open cleans up', async () => {
    const large = { multipartThresholdBytes: 5 * MIB, partBytes: 5 * MIB };
    const killed = makeStore(large);
    const put = killed.put('large', [Buffer.alloc(22 * MIB, 'x')]);
    while (bed.proxy.snapshot().passedBytes.toUpstream < 8 * MIB)
      await new Promise((resolve) => setTimeout(resolve, 1));
    // All that the server sees of a process that is killed: connections that end.
    await bed.proxy.refuse();
    await Promise.all([
      expect(put).rejects.toMatchObject({ failure: expect.any(String) }),
      killed.shutdown({ deadline: 0 }),
    ]);
    expect(await bed.server.openUploads(bed.bucket)).toBe(1);
    await bed.proxy.heal();
    const next = makeStore(large);
    await next.open();
    expect(await bed.server.openUploads(bed.bucket)).toBe(0);
    expect(await collect(next.list(''))).toEqual([]);
  });

  it('makes a single attempt, and is tried again by a RetryingObjectStore', async () => {
    const store = makeStore();
    await store.put('k', value);
    bed.proxy.reset();
    bed.proxy.cutAfter(0, { times: 1 });
    await expect(store.get('k', { maxBytes: 9 })).rejects.toMatchObject({ code: 'UNAVAILABLE', failure: 'retryable' });
    expect(store.status()).toMatchObject({ state: 'failing', failures: 1 });
    bed.proxy.reset();
    bed.proxy.cutAfter(0, { times: 2 });
    const retrying = new RetryingObjectStore({ store, initialDelayMillis: 1 });
    expect(Buffer.from(await retrying.get('k', { maxBytes: 9 })).toString()).toBe('value');
    expect(store.status()).toMatchObject({ state: 'ready', failures: 0 });
  });

  it('ends by its deadline in a black hole and in a stalled body, and holds nothing afterwards', async () => {
    const store = makeStore();
    await store.put('k', [Buffer.alloc(8 * MIB, 'x')]);
    await bed.proxy.blackHole();
    await expect(store.put('k2', value, soon(300))).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await bed.proxy.heal();
    bed.proxy.set({ throttleBytesPerSecond: MIB });
    const startedAt = performance.now();
    await expect(store.get('k', { maxBytes: 9 * MIB, ...soon(500) })).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    expect(performance.now() - startedAt).toBeLessThan(1_500);
    await bed.proxy.heal();
    expect(await store.head('k')).toMatchObject({ bytes: 8 * MIB });
  });

  it('cannot be reached: says so, and works when it can be', async () => {
    const store = makeStore();
    await bed.proxy.refuse();
    await store.open();
    expect(store.status()).toMatchObject({ state: 'failing', error: expect.stringContaining('ECONNREFUSED') });
    await bed.proxy.heal();
    await store.open();
    expect(store.status()).toMatchObject({ state: 'ready' });
  });

  it('a bucket that is missing: clear at open if required, else in the status, and kept', async () => {
    const missing = { bucket: 'no-such-bucket', required: true };
    await expect(makeStore(missing).open()).rejects.toMatchObject({
      code: 'NO_BUCKET',
      message: expect.stringMatching(/cannot use the bucket no-such-bucket: the bucket does not exist/),
    });
    const store = makeStore({ bucket: 'no-such-bucket' });
    await store.open();
    expect(store.status()).toMatchObject({ state: 'failing', failures: 1 });
    await expect(store.put('k', value)).rejects.toMatchObject({ code: 'NO_BUCKET', failure: 'retryable' });
    await expect(store.get('k', { maxBytes: 9 })).rejects.toMatchObject({ code: 'NO_BUCKET' });
    await bed.server.createBucket('no-such-bucket');
    await store.put('k', value);
    expect(store.status()).toMatchObject({ state: 'ready' });
  });

  it('restores what is archived, once, and says how far it is', async () => {
    await bed.server.restoreAfterLooks(3);
    const store = makeStore();
    await store.put('k', value, { storageClass: 'GLACIER' });
    await expect(store.get('k', { maxBytes: 9 })).rejects.toMatchObject({ code: 'ARCHIVED' });
    expect((await store.requestRestore('k', { days: 3 })).state).toBe('restoring');
    const states = [];
    for (let look = 0; look < 5; look++) states.push((await store.head('k'))!.restore.state);
    expect(states.at(-1)).toBe('restored');
    const { restore } = (await store.head('k'))!;
    expect(restore.state === 'restored' && restore.untilMillis! > Date.now()).toBe(true);
    expect(Buffer.from(await store.get('k', { maxBytes: 9 })).toString()).toBe('value');
    await bed.server.restoreAfterLooks(0);
  });

  it('copies from and to another store, verified, however often it is begun', async () => {
    const from = new MemoryObjectStore();
    const to = makeStore();
    await from.put('a/k', value);
    for (let time = 0; time < 2; time++) {
      expect(await copyObject({ from, to, key: 'a/k', storageClass: 'GLACIER' })).toMatchObject({
        bytes: 5,
        storageClass: 'GLACIER',
      });
    }
    await to.put('a/k2', [Buffer.from('other')]);
    await from.put('a/k2', value);
    await copyObject({ from, to, key: 'a/k2' });
    expect(Buffer.from(await to.get('a/k2', { maxBytes: 9 })).toString()).toBe('value');
  });

  it('takes a client of yours, and leaves it open', async () => {
    const client = new S3Client({ ...bed.server.clientOptions(), maxAttempts: 1 });
    const store = makeStore({ client });
    await store.open();
    await store.put('k', value);
    await store.shutdown();
    await client.send(new PutObjectCommand({ Bucket: bed.bucket, Key: 'k', Body: 'x' }));
    client.destroy();
  });

  it('keeps an archive: written through a bad connection, found, moved to the archive class, restored, read', async () => {
    await bed.server.restoreAfterLooks(2);
    const startMillis = Date.UTC(2026, 10, 21, 12);
    const store = makeStore({ prefix: 'archive' });
    const writer = new ArchiveWriter({ store, ownsStore: false });
    const exporter = new RetryingSpanExporter({ exporter: writer, initialDelayMillis: 5 });
    const reader = new ArchiveReader({ store: new RetryingObjectStore({ store }) });
    for (let batch = 0; batch < 6; batch++) {
      if (batch % 2 === 1) bed.proxy.cutAfter(500 * batch, { times: 1 });
      // The server has it, and nobody is told.
      else if (batch > 0) bed.proxy.cutAfter(0, { times: 1, direction: 'toClient' });
      const spans = fakeSpans(50, (index) => ({
        index: index + 50 * batch,
        startMillis: startMillis + batch * 1_000_000,
      }));
      const context = { signal: new AbortController().signal, ...soon(20_000) };
      expect(await exporter.exportBatch(SpanBatch.fromSpans(spans), context)).toMatchObject({ delivered: 50 });
    }
    const found = [];
    for await (const entry of reader.find({ services: ['fake-service'] })) found.push(entry);
    expect(found).toHaveLength(6);
    expect(writer.stats()).toMatchObject({ existing: expect.any(Number), spans: 300 });
    expect(writer.stats().existing).toBeGreaterThan(0);
    expect(await collect(store.list(''))).toHaveLength(12);
    const { traceId } = fakeSpans(1, { index: 70 })[0]!.spanContext();
    const ofTrace = [];
    for await (const entry of reader.find({ traceIds: [traceId] })) ofTrace.push(entry);
    const [entry] = ofTrace;
    await store.changeStorageClass(entry!.key, 'GLACIER');
    await expect(reader.read(entry!)).rejects.toMatchObject({ code: 'ARCHIVED' });
    await store.requestRestore(entry!.key);
    while ((await store.head(entry!.key))!.restore.state !== 'restored');
    expect((await reader.readMatching(entry!, { traceIds: [traceId] }))!.spanCount).toBe(1);
    for await (const one of reader.list()) expect((await reader.verify(one)).state).toBe('intact');
    await bed.server.restoreAfterLooks(0);
    await exporter.shutdown();
  });

  describe('where credentials are checked', () => {
    const secret = 'wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY';
    afterEach(() => bed.server.trustEverybody());

    it('says that they are wrong, and nothing of what they are', async () => {
      await bed.server.checkCredentials([{ Effect: 'Allow', Action: 's3:*', Resource: '*' }]);
      const wrong = bed.server.clientOptions(bed.proxy.port, {
        accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
        secretAccessKey: secret,
      });
      const store = makeStore({ clientOptions: wrong, required: true });
      const errors = [];
      errors.push(await store.open().catch((error) => error));
      errors.push(await store.put('k', value).catch((error) => error));
      errors.push(await store.get('k', { maxBytes: 9 }).catch((error) => error));
      for (const error of errors) expect(error).toMatchObject({ code: 'DENIED', failure: 'retryable' });
      expect(errors[0].message).toMatch(/cannot use the bucket .*: access denied/);
      const shown = [...errors, store.status(), store]
        .map((one) => inspect(one, { depth: 9, showHidden: false }))
        .join();
      expect(shown + JSON.stringify(store)).not.toMatch(/wJalr|AKIA/);
    });

    it('says what a policy does not permit', async () => {
      const policy = [{ Effect: 'Allow', Action: ['s3:ListBucket', 's3:GetObject'], Resource: '*' }];
      const store = makeStore({
        clientOptions: bed.server.clientOptions(bed.proxy.port, await bed.server.checkCredentials(policy)),
      });
      await store.open();
      expect(store.status()).toMatchObject({ state: expect.any(String) });
      await expect(store.put('k', value)).rejects.toMatchObject({ code: 'DENIED', failure: 'retryable' });
      expect(store.status()).toMatchObject({ state: 'failing', error: expect.stringContaining('access denied') });
    });
  });
});
