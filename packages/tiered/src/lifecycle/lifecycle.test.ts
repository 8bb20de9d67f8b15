import { VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { many, soon } from '../../../../test/support/archive.js';
import { MemoryObjectStore } from '../../../../test/support/memory-object-store.js';
import { ArchiveWriter } from '../object-store/archive-writer.js';
import { Lifecycle } from './lifecycle.js';

const DAY = 24 * 3_600_000;

async function archived(daysOld: readonly number[], store: MemoryObjectStore, clock: VirtualClock) {
  const writer = new ArchiveWriter({ store, ownsStore: false });
  for (const days of daysOld) {
    await writer.exportBatch(many(3, { startMillis: clock.wallTime() - days * DAY }), soon());
  }
}

describe('Lifecycle', () => {
  it('moves what is old to cold, and deletes what is older', async () => {
    const clock = new VirtualClock();
    const warm = new MemoryObjectStore({ clock });
    const cold = new MemoryObjectStore({ clock });
    await archived([1, 40, 100], warm, clock);
    const lifecycle = new Lifecycle({ warm, cold, clock });
    const dry = await lifecycle.run({ dryRun: true });
    expect(dry).toMatchObject({ dryRun: true, complete: true, moved: { objects: 1 }, deleted: { objects: 1 } });
    expect(warm.keys).toHaveLength(6);
    const report = await lifecycle.run({ countKept: true });
    expect(report).toMatchObject({
      complete: true,
      moved: { objects: 1, spans: 3 },
      deleted: { objects: 1 },
      failed: { count: 0 },
      kept: { warm: { objects: 1 }, cold: { objects: 0 } },
    });
    expect(warm.keys).toHaveLength(2);
    expect(cold.keys.map((key) => cold.objects.get(key)!.storageClass)).toEqual(['STANDARD', 'GLACIER']);
    await lifecycle.shutdown();
    expect(clock.pendingTimers).toBe(0);
  });

  it('changes the class where there is one store', async () => {
    const clock = new VirtualClock();
    const warm = new MemoryObjectStore({ clock });
    await archived([1, 40, 100], warm, clock);
    const lifecycle = new Lifecycle({ warm, clock });
    expect(await lifecycle.run()).toMatchObject({ complete: true, moved: { objects: 1 }, deleted: { objects: 1 } });
    const classes = warm.keys.map((key) => warm.objects.get(key)!.storageClass);
    expect(classes).toEqual(['STANDARD', 'GLACIER', 'STANDARD', 'STANDARD']);
    expect(await lifecycle.run()).toMatchObject({ complete: true, moved: { objects: 0 }, deleted: { objects: 0 } });
  });
});
