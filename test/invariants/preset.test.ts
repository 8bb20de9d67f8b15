import { context } from '@opentelemetry/api';
import { resilience } from '@otel-resilience/node';
import { fakeSpans, ScriptedExporter, VirtualClock } from '@otel-resilience/testing';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installAsyncContext } from '../support/async-context.js';
import { arbitraryCommand } from './commands.js';
import {
  anyExporters,
  arbitraryPreset,
  exportersOfBytes,
  noArchives,
  PresetWorld,
  someArchives,
} from './preset-world.js';

describe('invariants 1, 6, 7 and 8, of the whole pipeline', () => {
  beforeAll(installAsyncContext);
  afterAll(() => context.disable());

  it.each([
    ['any exporters', anyExporters, noArchives],
    ['exporters that all take bytes', exportersOfBytes, noArchives],
    ['any exporters and archives', anyExporters, someArchives],
    ['exporters that all take bytes, and archives', exportersOfBytes, someArchives],
  ])('resilience() keeps its promises over %s', async (_, exporters, archives) => {
    const commands = fc.array(arbitraryCommand, { maxLength: 25 });
    await fc.assert(
      fc.asyncProperty(exporters, arbitraryPreset, archives, commands, async (makers, preset, archives, commands) => {
        const world = new PresetWorld(makers, preset, archives);
        expect(world.clock.pendingTimers).toBe(0);
        for (const command of commands) {
          await world.run(command);
          world.check();
        }
        await world.finish();
      }),
      { numRuns: 300 },
    );
  });

  it('the totals add up when the spool refuses some spans and evicts others', async () => {
    const clock = new VirtualClock();
    const exporter = new ScriptedExporter({ clock, otherwise: { kind: 'failure', error: new Error('down') } });
    const { sdk, status, shutdown } = resilience({
      exporters: [exporter],
      spool: { maxBytes: 5_000 },
      degradation: { enabled: false }, // it would do what it can for the spool not to overflow
      clock,
    });
    const end = (spans: number, attributes = {}) => {
      for (const span of fakeSpans(spans, { attributes })) sdk.spanProcessors[0]!.onEnd(span);
    };
    end(1, { blob: 'x'.repeat(6_000) }); // more than the spool can ever hold
    await clock.advance(20_000);
    for (let i = 0; i < 10; i++) {
      end(4);
      await clock.advance(10_000);
    }
    const { balanced, totals, processor, tiered } = status();
    expect(processor.ledger.dropped.spool_full).toBe(1);
    expect(tiered.spool.dropped.full).toBeGreaterThan(0);
    expect(totals.dropped).toEqual({ spool_full: 1 + tiered.spool.dropped.full! });
    expect(balanced).toBe(true);
    expect(totals.waiting + totals.dropped.spool_full!).toBe(totals.ended);
    await clock.run(shutdown());
  });
});
