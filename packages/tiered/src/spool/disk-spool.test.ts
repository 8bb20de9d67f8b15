import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deliveredOutcome, failedOutcome, followedBy, giveUp, SpanBatch } from '@otel-resilience/core';
import { fakeSpans } from '@otel-resilience/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Spool } from './disk-spool.js';
import type { SpoolLease } from './spool.js';
import type { SpoolOptions } from './spool-options.js';

const batch = (spans: number) => SpanBatch.fromSpans(fakeSpans(spans));
const failed = ({ batch }: SpoolLease) => failedOutcome(batch, 'retryable', new Error('down'));
const delivered = ({ batch }: SpoolLease) => deliveredOutcome(batch.spanCount);

async function lease(spool: Spool): Promise<SpoolLease> {
  const leased = await spool.lease();
  if (!leased) throw new Error('nothing to lease');
  return leased;
}

describe('Spool', () => {
  let directory: string;
  const open: Spool[] = [];
  beforeEach(async () => {
    directory = join(await mkdtemp(join(tmpdir(), 'otel-resilience-spool-')), 'spool');
  });
  afterEach(async () => {
    for (const spool of open.splice(0)) await spool.shutdown();
    await rm(join(directory, '..'), { recursive: true });
  });
  const spoolWith = (options: Partial<SpoolOptions> = {}) => {
    const spool = new Spool({ directory, ...options });
    open.push(spool);
    return spool;
  };
  const files = async () => (await readdir(directory)).filter((name) => /\.(seg|ack)$/.test(name)).sort();

  it.each(['always', 'interval', 'never'] as const)('keeps what waits over a restart, with fsync %s', async (fsync) => {
    const before = spoolWith({ fsync });
    expect(await before.append(batch(3))).toEqual({ stored: 3, dropped: 0 });
    await Promise.all([before.append(batch(2)), before.append(batch(4))]);
    expect(before.stats()).toMatchObject({ accepted: 9, waiting: 9, balanced: true });
    await before.shutdown();

    const after = spoolWith({ fsync });
    await after.open();
    expect(after.stats()).toMatchObject({ accepted: 0, recovered: 9, waiting: 9, balanced: true });
    const leased = await lease(after);
    expect(leased.batch.spanCount).toBe(9);
    expect(leased.batch.spans().map(({ name }) => name)).toHaveLength(9);
    leased.settle(delivered(leased));
    expect(after.stats()).toMatchObject({ waiting: 0, delivered: 9, balanced: true });
    await after.shutdown();
    expect(await files()).toEqual([]);
  });

  it('creates files and directories for nobody else', async () => {
    const spool = spoolWith();
    await spool.append(batch(1));
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    for (const name of await files()) expect((await stat(join(directory, name))).mode & 0o777).toBe(0o600);
  });

  it('does nothing before it is asked to', async () => {
    const spool = spoolWith();
    expect(spool.stats()).toMatchObject({ waiting: 0 });
    expect(spool.status().mode).toBe('closed');
    await expect(readdir(directory)).rejects.toThrow('ENOENT');
  });

  it('does not send again after a restart what was settled before', async () => {
    const before = spoolWith({ maxBytes: 1_000_000 });
    for (let i = 0; i < 3; i++) await before.append(batch(600));
    const [a, b] = [await lease(before), await lease(before)];
    a.settle(delivered(a));
    b.settle(failed(b));
    await before.shutdown();
    const after = spoolWith({ maxBytes: 1_000_000 });
    await after.open();
    expect(after.stats()).toMatchObject({ recovered: 1_200, waiting: 1_200, balanced: true });
    expect((await lease(after)).batch.spanCount).toBe(600);
    expect((await lease(after)).batch.spanCount).toBe(600);
    expect(await after.lease()).toBeUndefined();
  });

  it('keeps only what remains of a batch that was taken in part', async () => {
    const before = spoolWith();
    await before.append(batch(10));
    const leased = await lease(before);
    leased.settle(
      followedBy(deliveredOutcome(4), failedOutcome(leased.batch.slice(4), 'retryable', new Error('down'))),
    );
    expect(before.stats()).toMatchObject({ waiting: 6, delivered: 4, balanced: true });
    await before.shutdown();
    const after = spoolWith();
    await after.open();
    expect(after.stats()).toMatchObject({ recovered: 6 });
    expect((await lease(after)).batch.spanCount).toBe(6);
  });

  it('says when what remains of a batch has been written, and can be leased again', async () => {
    const spool = spoolWith();
    const arrived = new Promise<void>((resolve) => void spool.open(resolve));
    await spool.append(batch(10));
    const leased = await lease(spool);
    leased.settle(followedBy(deliveredOutcome(4), failed({ ...leased, batch: leased.batch.slice(4) })));
    await arrived;
    expect((await lease(spool)).batch.spanCount).toBe(6);
  });

  it('counts poison as such, and gives it back no more', async () => {
    const before = spoolWith();
    await before.append(batch(2));
    const leased = await lease(before);
    leased.settle(giveUp(failed(leased), 'poison'));
    expect(before.stats()).toMatchObject({ waiting: 0, dropped: { poison: 2 }, balanced: true });
    await before.shutdown();
    const after = spoolWith();
    await after.open();
    expect(after.stats()).toMatchObject({ recovered: 0, waiting: 0 });
  });

  it('evicts whole segments, the oldest first, and keeps its bound', async () => {
    const spool = spoolWith({ maxBytes: 100_000 });
    for (let i = 0; i < 40; i++) {
      expect(await spool.append(batch(20))).toEqual({ stored: 20, dropped: 0 });
      expect(spool.bytes).toBeLessThanOrEqual(100_000);
    }
    const { dropped, balanced } = spool.stats();
    expect(dropped.full).toBeGreaterThan(0);
    expect(balanced).toBe(true);
  });
});
