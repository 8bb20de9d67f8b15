import { type ReadableSpan, SpanBatch } from '@otel-resilience/core';
import { FaultyDisk, fakeSpan, fakeSpans, VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { Spool } from './disk-spool.js';

const unreadable = (): ReadableSpan => ({
  ...fakeSpan(),
  spanContext: () => ({ traceId: 'nonsense', spanId: 'too', traceFlags: 1 }),
});

function setUp() {
  const clock = new VirtualClock();
  const disk = new FaultyDisk();
  const spool = new Spool({ directory: '/spool', fileSystem: disk, clock, maxBytes: 50_000 });
  const close = async () => {
    await clock.run(spool.shutdown());
    expect(clock.pendingTimers).toBe(0);
    expect(spool.stats().balanced).toBe(true);
  };
  const breakDisk = () =>
    disk.fail({ operations: ['write'], code: 'ENOSPC', path: /\.seg$/, times: Number.POSITIVE_INFINITY });
  return { clock, disk, spool, close, breakDisk };
}

describe('spans that cannot be encoded', () => {
  const mixed = () => SpanBatch.fromSpans([fakeSpan(), unreadable(), fakeSpan()]);

  it('are not taken by the disk, and keep nobody from it', async () => {
    const { spool, close } = setUp();
    expect(await spool.append(mixed())).toEqual({ stored: 2, dropped: 1 });
    expect(spool.status().mode).toBe('disk');
    expect(await spool.append(SpanBatch.fromSpans([unreadable()]))).toEqual({ stored: 0, dropped: 1 });
    expect(spool.stats()).toMatchObject({ accepted: 2, waiting: 2 });
    await close();
  });

  it('are rejected when what waits in memory goes to disk', async () => {
    const { clock, disk, spool, close, breakDisk } = setUp();
    breakDisk();
    await spool.append(SpanBatch.fromSpans(fakeSpans(4)));
    expect(await spool.append(mixed())).toEqual({ stored: 3, dropped: 0 });
    disk.heal();
    await clock.advance(5_000);
    expect(spool.status()).toMatchObject({ mode: 'disk', spansInMemory: 0 });
    expect(spool.stats()).toMatchObject({ accepted: 7, waiting: 6, rejected: 1, balanced: true });
    await close();
  });
});

describe('memory beside a disk', () => {
  it('takes no room of what is just being written', async () => {
    let most = 0;
    const disk = new FaultyDisk({
      onOperation: () => {
        most = Math.max(most, spool.bytes);
      },
    });
    const clock = new VirtualClock();
    const spool: Spool = new Spool({
      directory: '/spool',
      fileSystem: disk,
      clock,
      maxBytes: 8_000,
      maxSegmentBytes: 1_024,
    });
    await spool.open();
    // The first is short of a few bytes; those after it are being written when it has to wait in memory.
    disk.capacityBytes = disk.usedBytes + 349;
    const batch = (spans: number, bytes: number) =>
      SpanBatch.fromSpans(
        fakeSpans(spans).map(({ name }) => fakeSpan({ name, attributes: { blob: 'x'.repeat(bytes) }, events: [] })),
      );
    const batches = [batch(1, 0), batch(2, 3_000), batch(2, 400), batch(1, 0)];
    await Promise.all(batches.map((each) => spool.append(each)));
    expect(spool.status().spansInMemory).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(8_000);
    await clock.run(spool.shutdown());
  });

  it('keeps to the bound of both: the oldest segments make way', async () => {
    const { spool, close, breakDisk } = setUp();
    let accepted = 0;
    const append = async (times: number) => {
      for (let i = 0; i < times; i++) {
        accepted += (await spool.append(SpanBatch.fromSpans(fakeSpans(20)))).stored;
        expect(spool.bytes).toBeLessThanOrEqual(50_000);
      }
    };
    await append(20);
    breakDisk();
    await append(20);
    expect(spool.status().mode).toBe('memory');
    const { waiting, dropped } = spool.stats();
    expect(waiting + dropped.full!).toBe(accepted);
    await close();
  });

  it('is tried less and less often, and at once no more than once', async () => {
    const { clock, disk, spool, close, breakDisk } = setUp();
    breakDisk();
    await spool.append(SpanBatch.fromSpans(fakeSpans(1)));
    const attempts = () => disk.operations.filter(({ kind, path }) => kind === 'write' && path.endsWith('.seg')).length;
    const before = attempts();
    await clock.advance(600_000);
    // After 1, 2, 4, 8, 16, 32 s, and every 60 s.
    expect(attempts() - before).toBeGreaterThanOrEqual(12);
    expect(attempts() - before).toBeLessThanOrEqual(16);
    await close();
  });
});
