import type { FileSystem } from '@otel-resilience/core';
import { FaultyDisk, ScriptedBatchExporter, VirtualClock } from '@otel-resilience/testing';
import { expect, it } from 'vitest';
import { batchOf } from '../../../../test/support/tiered.js';
import { TieredSpanExporter } from '../index.js';
import { FileObjectStore } from '../object-store/file-object-store.js';

it('holds no more and more of what is to be archived while a directory hangs', async () => {
  const clock = new VirtualClock();
  const disk = new FaultyDisk();
  let isHung = true;
  const waiting: Array<() => void> = [];
  // A directory is made, and each file hangs.
  const fileSystem = new Proxy<FileSystem>(disk, {
    get: (target, property: keyof FileSystem) => {
      const method = (target[property] as (...given: unknown[]) => unknown).bind(target);
      if (property !== 'open' || !isHung) return method;
      return async (...given: unknown[]) => {
        await new Promise<void>((resolve) => waiting.push(resolve));
        return method(...given);
      };
    },
  });
  const store = new FileObjectStore({ directory: '/archive', fileSystem, clock });
  const hot = new ScriptedBatchExporter({ clock });
  const tiered = new TieredSpanExporter({ hot, warm: { store, scheduledDelayMillis: 1_000 }, clock });
  for (let minute = 0; minute < 60; minute++) {
    const context = { signal: new AbortController().signal, deadline: clock.now() + 5_000 };
    await clock.run(tiered.exportBatch(batchOf(100), context));
    await clock.advance(60_000);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const { state, error } = store.status();
  expect([state, error]).toEqual(['failing', expect.stringContaining('earlier calls have not returned')]);
  isHung = false;
  for (const resolve of waiting) resolve();
  for (let turn = 0; turn < 2_000 && tiered.stats().warm!.spool.waiting > 0; turn++) {
    await clock.advance(50);
    await new Promise((resolve) => setTimeout(resolve, 1)); // gzip takes the time that it takes
  }
  expect(tiered.stats().warm!.spool).toMatchObject({ waiting: 0, delivered: 6_000 });
  await clock.run(tiered.shutdown());
}, 20_000);
