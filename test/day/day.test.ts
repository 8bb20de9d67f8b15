// A day of 1,000 spans/s at 1/1000. DAY_SPANS_PER_SECOND=10 for more of it, DAY_SEED=n for the day of a run that failed.
import { VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { DAY_AGES } from './day-stores.js';
import { DiskStores, MemoryStores } from './mortal-stores.js';
import { SimulatedDay } from './simulated-day.js';

const seed = Number(process.env.DAY_SEED ?? Math.floor(Math.random() * 2 ** 31));
const spansPerSecond = Number(process.env.DAY_SPANS_PER_SECOND ?? 1);
const MORNING = Date.UTC(2026, 10, 21);

for (const [title, Stores, stores] of [
  ['in two directories', DiskStores, 2],
  ['in one directory, cold by its storage class', DiskStores, 1],
  ['in two stores that archive', MemoryStores, 2],
  ['in one store that archives', MemoryStores, 1],
] as const) {
  it(`${title}: every span of a day is in the tier that its age says, once, however often the lifecycle is killed`, {
    timeout: 60_000 * spansPerSecond,
  }, async () => {
    const clock = new VirtualClock({ wallTime: MORNING });
    const day = new SimulatedDay({
      seed,
      clock,
      stores: new Stores({ clock, stores, seed }),
      ages: DAY_AGES,
      spansPerSecond,
    });
    const t = performance.now();
    const report = await day.run();
    console.log(`${title}: seed ${seed}`, report, performance.now() - t);
    expect(report.violations, `seed ${seed}`).toEqual([]);
    expect(report.archived).toBe(86_400 * spansPerSecond);
    expect(report.kills).toBeGreaterThan(20);
  });
}
