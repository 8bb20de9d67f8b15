import { context } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { arbitraryCommand } from './commands.js';
import { arbitraryPreset, PresetWorld } from './preset-world.js';

// PROPERTY_RUNS=10000 is a campaign; the default is what every `npm test` can afford.
const RUNS = Number(process.env.PROPERTY_RUNS ?? 300);

describe('invariants 1, 6, 7 and 8, of the whole pipeline', () => {
  beforeAll(() => void context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable()));
  afterAll(() => context.disable());

  it('resilience() keeps its promises over arbitrary exporters', async () => {
    const commands = fc.array(arbitraryCommand, { maxLength: 25 });
    await fc.assert(
      fc.asyncProperty(arbitraryPreset, commands, async (preset, commands) => {
        const world = new PresetWorld(preset);
        expect(world.clock.pendingTimers).toBe(0);
        for (const command of commands) {
          await world.run(command);
          world.check();
        }
        await world.finish();
      }),
      { numRuns: RUNS },
    );
  });
});
