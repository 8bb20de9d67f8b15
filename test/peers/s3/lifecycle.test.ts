import { SpanBatch } from '@otel-resilience/core';
import { fakeSpans } from '@otel-resilience/testing';
import { type ArchiveEntry, ArchiveReader, ArchiveWriter, Lifecycle, type ObjectStore } from '@otel-resilience/tiered';
import { expect, it } from 'vitest';
import { describeWithPeer } from '../peer.js';
import { S3Bed } from './s3-bed.js';

const HOUR = 3_600_000;
/** Of ages in hours, counted from now: young, old, very old. */
const AGES = { coldAfterMillis: 4 * HOUR, deleteAfterMillis: 8 * HOUR };

describeWithPeer('s3', 'Lifecycle against a real server', (python) => {
  const bed = new S3Bed(python, 'lifecycle');
  const { makeStore } = bed;
  const archive = async (store: ObjectStore) => {
    const writer = new ArchiveWriter({ store, ownsStore: false });
    for (const age of [1, 2, 5, 6, 7, 10, 11]) {
      const startMillis = Math.floor(Date.now() / HOUR) * HOUR - age * HOUR;
      const batch = SpanBatch.fromSpans(fakeSpans(20, { startMillis }));
      const context = { signal: new AbortController().signal, deadline: performance.now() + 20_000 };
      expect(await writer.exportBatch(batch, context)).toMatchObject({ delivered: 20 });
    }
  };
  const entriesOf = async (store: ObjectStore): Promise<ArchiveEntry[]> => {
    const entries: ArchiveEntry[] = [];
    for await (const entry of new ArchiveReader({ store }).list()) entries.push(entry);
    return entries;
  };
  const classesOf = async (store: ObjectStore) => (await entriesOf(store)).map(({ storageClass }) => storageClass);
  const verify = async (store: ObjectStore) => {
    const reader = new ArchiveReader({ store });
    return Promise.all((await entriesOf(store)).map(async (entry) => (await reader.verify(entry)).state));
  };

  it('archives within the bucket, deletes, and what is archived can be restored and is intact', async () => {
    const warm = makeStore();
    await archive(warm);
    const lifecycle = new Lifecycle({ warm, ...AGES });
    expect(await lifecycle.run()).toMatchObject({
      complete: true,
      moved: { objects: 3, spans: 60 },
      deleted: { objects: 2 },
      failed: { count: 0 },
    });
    expect(await classesOf(warm)).toEqual(['GLACIER', 'GLACIER', 'GLACIER', 'STANDARD', 'STANDARD']);
    expect(await verify(warm)).toEqual(['archived', 'archived', 'archived', 'intact', 'intact']);
    expect(await lifecycle.run()).toMatchObject({ complete: true, moved: { objects: 0 }, deleted: { objects: 0 } });
    for (const { key } of await entriesOf(warm)) await warm.requestRestore(key);
    expect(await verify(warm)).toEqual(['intact', 'intact', 'intact', 'intact', 'intact']);
  });

  it('moves from one place to another through a connection that is cut again and again', async () => {
    const warm = makeStore({ prefix: 'warm' });
    const cold = makeStore({ prefix: 'cold' });
    await archive(warm);
    const lifecycle = () => new Lifecycle({ warm, cold, ...AGES, concurrency: 2 });
    for (let time = 0; time < 6; time++) {
      bed.proxy.cutAfter(700 * (time + 1), { times: 2 });
      bed.proxy.cutAfter(100 * time, { times: 2, direction: 'toClient' });
      await lifecycle().run();
    }
    expect(await lifecycle().run()).toMatchObject({ complete: true });
    expect(await classesOf(warm)).toEqual(['STANDARD', 'STANDARD']);
    expect(await classesOf(cold)).toEqual(['GLACIER', 'GLACIER', 'GLACIER']);
    expect((await entriesOf(cold)).every(({ indexBytes }) => indexBytes !== undefined)).toBe(true);
    for (const { key } of await entriesOf(cold)) await cold.requestRestore(key);
    expect([...(await verify(warm)), ...(await verify(cold))]).toEqual(Array(5).fill('intact'));
  });

  it('takes nothing away where warm and cold are one place under two names', async () => {
    const warm = makeStore({ prefix: 'one' });
    const cold = makeStore({ prefix: 'one/' });
    await archive(warm);
    const report = await new Lifecycle({ warm, cold, ...AGES }).run();
    expect(report).toMatchObject({ complete: false, moved: { objects: 0 } });
    expect(report.failed.errors[0]!.message).toContain('the same place');
    expect(await entriesOf(warm)).toHaveLength(5);
  });

  it('says so when it may not', async () => {
    const warm = makeStore();
    await archive(warm);
    const credentials = await bed.server.checkCredentials([
      { Effect: 'Allow', Action: ['s3:GetObject', 's3:ListBucket'], Resource: '*' },
    ]);
    const denied = makeStore({ clientOptions: bed.server.clientOptions(bed.proxy.port, credentials) });
    const report = await new Lifecycle({ warm: denied, ...AGES }).run();
    await bed.server.trustEverybody();
    expect(report).toMatchObject({ complete: false, moved: { objects: 0 }, deleted: { objects: 0 } });
    expect(report.failed).toMatchObject({
      count: 5,
      errors: expect.arrayContaining([{ key: expect.any(String), message: expect.stringContaining('DENIED') }]),
    });
    expect(await entriesOf(warm)).toHaveLength(7);
  });
});
