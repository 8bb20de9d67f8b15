import { diag } from '@opentelemetry/api';
import { type FileSystem, SpanBatch } from '@otel-resilience/core';
import { FaultyDisk, fakeSpans, ScriptedBatchExporter, VirtualClock } from '@otel-resilience/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { spoolThat } from '../../../../test/support/tiered.js';
import { type RoutingRule, TieredSpanExporter } from '../index.js';
import { Spool } from '../spool/disk-spool.js';
import { MemorySpool } from '../spool/memory-spool.js';
import type { SpoolAppend } from '../spool/spool.js';
import type { ArchiveTierOptions } from './archive-tier-options.js';

afterEach(() => {
  vi.restoreAllMocks();
});

const MIB = 1024 * 1024;
const mebibyte = () => SpanBatch.fromSpans(fakeSpans(10), { byteLength: MIB });

/** Appends hang until they are answered. */
function setUpHanging(options: Partial<ArchiveTierOptions> = {}, rules?: RoutingRule[], clock = new VirtualClock()) {
  const memory = new MemorySpool();
  const hanging: Array<() => void> = [];
  const append = (batch: SpanBatch) =>
    new Promise<SpoolAppend>((resolve) => hanging.push(() => resolve(memory.append(batch))));
  const hot = new ScriptedBatchExporter({ clock });
  const warm = { exporter: new ScriptedBatchExporter({ clock }), spool: spoolThat({ append }, memory), ...options };
  const tiered = new TieredSpanExporter({ hot, clock, warm, rules });
  const send = (batch = mebibyte()) =>
    tiered.exportBatch(batch, { signal: new AbortController().signal, deadline: clock.now() + 5_000 });
  return { clock, hanging, send, tiered };
}

describe('a spool that does not answer', () => {
  it('is given no more than 64 MiB of copies to hold: the others are missed, and the log says so once', async () => {
    const warn = vi.spyOn(diag, 'warn').mockReturnValue();
    const { clock, hanging, send, tiered } = setUpHanging();
    for (let batch = 0; batch < 100; batch++) {
      expect(await clock.run(send())).toMatchObject({ delivered: 10 });
    }
    expect(hanging).toHaveLength(64);
    expect(tiered.stats().warm!).toMatchObject({ missedSpans: 360, copiedSpans: 0 });
    expect(warn.mock.calls.flat().filter((line) => String(line).includes('has not answered'))).toEqual([
      expect.stringContaining('(warm): the spool failed to take 10 spans'),
    ]);
    await clock.run(tiered.shutdown());
  });

  it('may be one on a disk that hangs', async () => {
    const clock = new VirtualClock();
    const disk = new FaultyDisk();
    let isHung = false;
    const fileSystem = new Proxy<FileSystem>(disk, {
      get: (target, property: keyof FileSystem) => {
        const method = (target[property] as (...given: unknown[]) => unknown).bind(target);
        return (...given: unknown[]) => (isHung ? new Promise(() => {}) : method(...given));
      },
    });
    const spool = new Spool({ directory: '/archive', fileSystem, clock });
    const { send, tiered } = setUpHanging({ spool }, undefined, clock);
    await clock.run(tiered.open());
    isHung = true;
    for (let batch = 0; batch < 100; batch++) await clock.run(send());
    expect(tiered.stats().warm!).toMatchObject({ missedSpans: 360, copiedSpans: 0 });
    await clock.run(tiered.shutdown());
  });

  it('is given more as it answers', async () => {
    const { clock, hanging, send, tiered } = setUpHanging();
    for (let batch = 0; batch < 64; batch++) await clock.run(send());
    for (let round = 0; round < 3; round++) {
      for (const answer of hanging.splice(0, 5)) answer();
      await clock.settle();
      for (let batch = 0; batch < 5; batch++) await clock.run(send());
      expect(hanging).toHaveLength(64);
    }
    expect(tiered.stats().warm!).toMatchObject({ missedSpans: 0, copiedSpans: 150 });
    await clock.run(send());
    expect(tiered.stats().warm!.missedSpans).toBe(10);
    await clock.run(tiered.shutdown());
  });

  it('is given more when it fails', async () => {
    const append = vi.fn(async () => {
      throw new Error('EIO');
    });
    const { clock, send, tiered } = setUpHanging({ spool: spoolThat({ append }) });
    for (let batch = 0; batch < 100; batch++) await clock.run(send());
    expect(append).toHaveBeenCalledTimes(100);
    await clock.run(tiered.shutdown());
  });

  it('has what it alone is to archive refused at once', async () => {
    const { clock, send, tiered } = setUpHanging({}, [{ to: 'warm' }]);
    for (let batch = 0; batch < 64; batch++) void send();
    const began = clock.now();
    expect(await clock.run(send())).toMatchObject({ dropped: { spool_failed: 10 } });
    expect(clock.now()).toBe(began);
    await clock.run(tiered.shutdown());
  });

  it('is given one batch, whatever its size', async () => {
    const { clock, hanging, send, tiered } = setUpHanging();
    const huge = () => SpanBatch.fromSpans(fakeSpans(10), { byteLength: 100 * MIB });
    for (let batch = 0; batch < 2; batch++) await clock.run(send(huge()));
    expect(hanging).toHaveLength(1);
    await clock.run(tiered.shutdown());
  });

  it('is not one that answers later in the same tick: a burst makes room for itself in memory', async () => {
    const { clock, send, tiered } = setUpHanging({ spool: new MemorySpool({ maxBytes: 80 * MIB }) });
    for (let batch = 0; batch < 100; batch++) void send();
    await clock.settle();
    const { missedSpans, copiedSpans, spool } = tiered.stats().warm!;
    expect({ missedSpans, copiedSpans }).toEqual({ missedSpans: 0, copiedSpans: 1_000 });
    expect(spool.dropped).toEqual({ full: expect.any(Number) });
    await clock.run(tiered.shutdown());
  });
});
