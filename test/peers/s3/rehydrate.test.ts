import { SpanBatch } from '@otel-resilience/core';
import { OtlpSpanExporter } from '@otel-resilience/otlp';
import { CountingReceiver, fakeSpans } from '@otel-resilience/testing';
import { ArchiveWriter, type ObjectStore, type RehydrateProgress, rehydrate } from '@otel-resilience/tiered';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { describeWithPeer } from '../peer.js';
import { S3Bed } from './s3-bed.js';

const HOUR = 3_600_000;
const NOON = Date.UTC(2026, 10, 21, 12);
const SPANS = 200;

describeWithPeer('s3', 'rehydrate against a real server', (python) => {
  const bed = new S3Bed(python, 'rehydrate');
  const { makeStore } = bed;
  let receiver: CountingReceiver;
  let exporter: OtlpSpanExporter;

  beforeEach(async () => {
    receiver = new CountingReceiver({ protocol: 'grpc' });
    await receiver.start();
    exporter = new OtlpSpanExporter({ url: receiver.url, metrics: false });
  });
  afterEach(async () => {
    await bed.server.restoreAfterLooks(0);
    await exporter.shutdown();
    await receiver.stop();
  });

  /** An object an hour. */
  const archive = async (store: ObjectStore, hours: readonly number[], storageClass: 'STANDARD' | 'GLACIER') => {
    const writer = new ArchiveWriter({ store, storageClass, ownsStore: false });
    for (const hour of hours) {
      const spans = fakeSpans(SPANS, (index) => ({ index: index + hour * SPANS, startMillis: NOON + hour * HOUR }));
      const context = { signal: new AbortController().signal, deadline: performance.now() + 20_000 };
      expect(await writer.exportBatch(SpanBatch.fromSpans(spans), context)).toMatchObject({ delivered: SPANS });
    }
  };

  it('has restored what is archived, waits for it, and sends all of it once, through a bad connection', async () => {
    const warm = makeStore({ prefix: 'warm' });
    const cold = makeStore({ prefix: 'cold' });
    await archive(warm, [4, 5], 'STANDARD');
    // As a lifecycle leaves it that was killed half way: the fourth hour is in both.
    await archive(cold, [1, 2, 3, 4], 'GLACIER');
    // More, and moto takes the first looks for those at a copy that is there.
    await bed.server.restoreAfterLooks(3);
    const phases = new Set<RehydrateProgress['phase']>();
    let last: RehydrateProgress | undefined;
    bed.proxy.cutAfter(2_000, { times: 2 });
    bed.proxy.cutAfter(100, { times: 2, direction: 'toClient' });
    const report = await rehydrate({
      from: [warm, cold],
      to: exporter,
      select: { fromMillis: NOON + 2 * HOUR },
      restore: { days: 1, tier: 'Expedited' },
      restorePollMillis: 300,
      spansPerSecond: 2_000,
      onProgress: (progress) => {
        phases.add(progress.phase);
        last = progress;
      },
    });
    expect(report).toMatchObject({
      complete: true,
      objects: { found: 4, done: 4 },
      spans: { selected: 4 * SPANS, sent: 4 * SPANS, failed: 0 },
      problems: [],
    });
    expect(receiver.snapshot()).toMatchObject({ receivedSpans: 4 * SPANS, uniqueSpans: 4 * SPANS });
    expect(phases).toEqual(new Set(['finding', 'sending', 'restoring']));
    expect(last).toMatchObject({ fraction: 1, objects: { restoring: 0 } });
  });

  it('reports what it may not have restored, and sends the rest', async () => {
    const store = makeStore();
    await archive(store, [1], 'STANDARD');
    await archive(store, [2], 'GLACIER');
    const credentials = await bed.server.checkCredentials([
      { Effect: 'Allow', Action: ['s3:GetObject', 's3:ListBucket'], Resource: '*' },
    ]);
    const denied = makeStore({ clientOptions: bed.server.clientOptions(bed.proxy.port, credentials) });
    const report = await rehydrate({ from: denied, to: exporter, restorePollMillis: 50 });
    await bed.server.trustEverybody();
    expect(report).toMatchObject({
      complete: false,
      objects: { found: 2, done: 1, archived: 1 },
      spans: { sent: SPANS },
      problems: [{ state: 'archived', message: expect.stringMatching(/refused: DENIED/) }],
      resumeFromMillis: NOON + 2 * HOUR,
    });
    expect(await rehydrate({ from: store, to: exporter, restore: false, dryRun: true })).toMatchObject({
      objects: { left: 1, archived: 1 },
      expectedSpans: 2 * SPANS,
    });
  });

  it('sends nothing of a bucket that is not there, and says so', async () => {
    const report = await rehydrate({ from: makeStore({ bucket: 'missing' }), to: exporter });
    expect(report).toMatchObject({ complete: false, error: expect.stringContaining('NO_BUCKET'), spans: { sent: 0 } });
  });
});
