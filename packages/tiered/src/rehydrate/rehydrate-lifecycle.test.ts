import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HOUR } from '../../../../test/support/archive.js';
import { Lifecycle } from '../lifecycle/lifecycle.js';
import { DAY, idsOf, RehydrateBed } from './rehydrate-bed.test-support.js';

describe('a rehydration beside a lifecycle', () => {
  it('sends every span once, whatever is moved under its hands', async () => {
    const ages = fc.array(fc.integer({ min: 20, max: 40 }), { minLength: 1, maxLength: 8 });
    const world = fc.record({
      ages,
      hasCold: fc.boolean(),
      isArchived: fc.boolean(),
      /** How long calls of the stores take, one after the other. */
      delays: fc.array(fc.nat({ max: 30 }), { minLength: 1, maxLength: 20 }),
      select: fc.constantFrom({}, { services: ['fake-service'] }, { fromMillis: 0 }),
    });
    await fc.assert(
      fc.asyncProperty(world, async ({ ages: days, hasCold, isArchived, delays, select }) => {
        const bed = new RehydrateBed();
        const now = bed.clock.wallTime();
        const all: string[] = [];
        for (const [at, age] of days.entries()) {
          const startMillis = now - age * DAY - at * HOUR;
          const spans = Array.from({ length: 5 }, (_, one) => ({ index: at * 5 + one, startMillis }));
          await bed.archive(spans);
          all.push(...idsOf(spans));
        }
        let call = 0;
        for (const store of [bed.warm, bed.cold]) {
          store.before = () =>
            new Promise((resolve) => {
              bed.clock.setTimeout(resolve, delays[call++ % delays.length]!);
            });
        }
        const lifecycle = new Lifecycle({
          warm: bed.warm,
          ...(hasCold && { cold: bed.cold }),
          coldStorageClass: isArchived ? 'GLACIER' : 'STANDARD_IA',
          clock: bed.clock,
          random: () => 0.5,
        });
        const moving = lifecycle.run();
        const report = await bed.clock.run(bed.begin({ select, ...(hasCold ? {} : { from: bed.warm }) }));
        const moved = await bed.clock.run(moving);
        expect(moved.complete).toBe(true);
        expect(report.problems).toEqual([]);
        expect(report).toMatchObject({ complete: true, spans: { sent: all.length, duplicates: 0 } });
        expect(bed.sentIds).toEqual(all.sort());
      }),
      { numRuns: 60 },
    );
  });
});
