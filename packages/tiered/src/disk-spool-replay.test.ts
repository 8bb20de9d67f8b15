import type { FileSystem } from '@otel-resilience/core';
import { FaultyDisk, type OutcomeStep, ScriptedBatchExporter, VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { batchOf } from '../../../test/support/tiered.js';
import { Spool } from './spool/disk-spool.js';
import { TieredSpanExporter } from './tiered-span-exporter.js';

function setUp(respond: OutcomeStep, fileSystem: FileSystem) {
  const clock = new VirtualClock();
  const hot = new ScriptedBatchExporter({ otherwise: respond, clock });
  const spool = new Spool({ directory: '/spool', fsync: 'always', fileSystem, clock });
  const tiered = new TieredSpanExporter({ hot, spool, clock });
  const send = (spans: number) =>
    clock.run(
      tiered.exportBatch(batchOf(spans), { signal: new AbortController().signal, deadline: clock.now() + 30_000 }),
    );
  return { clock, hot, spool, tiered, send };
}

describe('TieredSpanExporter over a spool on disk', () => {
  it('spills while hot is down, and replays when it is back', async () => {
    const { clock, hot, tiered, send } = setUp('retryable', new FaultyDisk());
    for (const spans of [3, 4]) expect(await send(spans)).toMatchObject({ stored: spans });
    expect(tiered.stats()).toMatchObject({ spilledSpans: 7, spool: { accepted: 7, waiting: 7, balanced: true } });
    hot.respond('delivered');
    await clock.advance(5_000);
    expect(tiered.stats()).toMatchObject({ replayedSpans: 7, spool: { delivered: 7, waiting: 0, balanced: true } });
    await clock.run(tiered.shutdown());
    expect(clock.pendingTimers).toBe(0);
  });

  it('replays what an earlier process has left, once it is opened or has something to export', async () => {
    const disk = new FaultyDisk();
    const before = setUp('retryable', disk);
    await before.send(5);
    await before.clock.run(before.tiered.shutdown());

    for (const start of ['open', 'export'] as const) {
      const { clock, tiered, send } = setUp('delivered', disk.kill());
      await (start === 'open' ? clock.run(tiered.open()) : send(1));
      await clock.advance(1_000);
      expect(tiered.stats()).toMatchObject({ replayedSpans: 5, spool: { recovered: 5, delivered: 5, waiting: 0 } });
      await clock.run(tiered.shutdown());
      expect(clock.pendingTimers).toBe(0);
    }
  });

  it('replays what waits after a crash of the machine, though nothing survives but what was synced', async () => {
    const disk = new FaultyDisk();
    const before = setUp('retryable', disk);
    for (let i = 0; i < 4; i++) await before.send(2);
    const { clock, tiered } = setUp('delivered', disk.crash({ keep: 'none' }));
    await clock.run(tiered.open());
    await clock.advance(60_000);
    expect(tiered.stats()).toMatchObject({ replayedSpans: 8, spool: { recovered: 8, waiting: 0, balanced: true } });
    await clock.run(tiered.shutdown());
    await clock.run(before.tiered.shutdown());
  });

  it('shuts down by its deadline over a disk that does not answer, and leaves no timer', async () => {
    const disk = new FaultyDisk();
    const hung = new Proxy<FileSystem>(disk, { get: () => () => new Promise(() => {}) });
    const { clock, tiered } = setUp('delivered', hung);
    tiered.open().catch(() => {});
    await clock.advance(100);
    await clock.run(tiered.shutdown({ deadline: clock.now() + 2_000 }));
    await clock.advance(1);
    expect(clock.pendingTimers).toBe(0);
  });
});
