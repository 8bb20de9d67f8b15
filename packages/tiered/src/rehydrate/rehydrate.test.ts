import { ScriptedBatchExporter } from '@otel-resilience/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { ArchiveWorld, batchOf, HOUR, many, NOON } from '../../../../test/support/archive.js';
import { MemoryObjectStore } from '../../../../test/support/memory-object-store.js';
import { rehydrate } from './rehydrate.js';
import { PatientClock } from './rehydrate-bed.test-support.js';
import type { RehydrateOptions } from './rehydrate-options.js';

const world = new ArchiveWorld();
const { archive } = world;
let clock: PatientClock;
let to: ScriptedBatchExporter;

beforeEach(() => {
  clock = new PatientClock();
  to = new ScriptedBatchExporter({ clock });
});

const run = (options: Partial<RehydrateOptions> = {}, limitMillis?: number) =>
  clock.run(rehydrate({ from: world.store, to, clock, random: () => 0.5, ...options }), limitMillis);

describe('rehydrate', () => {
  it('sends what is archived', async () => {
    await archive(many(30, { serviceName: 'a' }));
    await archive(many(20, { serviceName: 'b', startMillis: NOON + HOUR }));
    const report = await run();
    expect(report).toMatchObject({
      complete: true,
      objects: { found: 2, done: 2, left: 0 },
      expectedSpans: 50,
      spans: { selected: 50, sent: 50, failed: 0 },
    });
    expect(to.deliveredCount).toBe(50);
    expect(clock.pendingTimers).toBe(0);
  });
});
void [batchOf, MemoryObjectStore];
