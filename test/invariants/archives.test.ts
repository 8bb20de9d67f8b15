import { totalDropped } from '@otel-resilience/core';
import type { VirtualClock } from '@otel-resilience/testing';
import { MemorySpool, type RoutingRule } from '@otel-resilience/tiered';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Backend, type Mood, mood } from '../support/moody-backend.js';
import { archivedAlone, play, scenario } from './tiered-world.js';

/** What an archive does, from some step on. */
const moods = fc.array(fc.record({ atStep: fc.nat({ max: 40 }), mood }), { maxLength: 6 });
const archive = fc.record({
  moods,
  slots: fc.constantFrom<number[]>(1, 2, 4),
  maxBytes: fc.integer({ min: 3_000, max: 200_000 }),
  maxBatchBytes: fc.constantFrom<number[]>(1, 2_000, 20_000),
  scheduledDelayMillis: fc.constantFrom<number[]>(0, 300, 5_000),
});
type Archive = typeof archive extends fc.Arbitrary<infer A> ? A : never;

const to = fc.uniqueArray(fc.constantFrom('hot' as const, 'warm' as const, 'cold' as const), { minLength: 1 });
const rules: fc.Arbitrary<RoutingRule[]> = fc
  .array(
    fc.record(
      { error: fc.boolean(), service: fc.constantFrom('a', 'b*', '*'), minAgeMillis: fc.constantFrom(0, 2_000), to },
      { requiredKeys: ['to'] },
    ),
    { maxLength: 3 },
  )
  // Nothing goes to cold without a rule.
  .map((all) => [...all, { service: 'to-cold', to: 'cold' }]);

const spanOf = (index: number) => ({
  serviceName: ['a', 'b', 'c'][index % 3]!,
  isError: index % 5 === 0,
  startMillis: 1_000,
});

/** A tier whose exporter has moods, and who is told when they change. */
function moody(clock: VirtualClock, { moods: changes, slots, maxBytes, ...settings }: Archive) {
  const backend = new Backend(clock, slots);
  const spool = new MemorySpool({ maxBytes });
  const onStep = (step: number) => {
    for (const change of changes) if (change.atStep === step) backend.mood = change.mood;
  };
  return { backend, onStep, options: { exporter: backend, spool, ...settings } };
}

async function playWith(
  script: Parameters<typeof play>[0],
  tiers: { warm: Archive; cold?: Archive },
  rules?: RoutingRule[],
) {
  const made: Array<ReturnType<typeof moody>> = [];
  const played = await play(script, {
    options: (clock) => {
      const [warm, cold] = [tiers.warm, tiers.cold].map((tier) => {
        if (!tier) return undefined;
        const one = moody(clock, tier);
        made.push(one);
        return one.options;
      });
      return { warm: warm!, ...(cold && { cold }), ...(rules && { rules }) };
    },
    onStep: (step) => {
      for (const { onStep } of made) onStep(step);
    },
    spanOf,
  });
  return { ...played, archives: made.map(({ backend }) => backend) };
}

describe('invariants of archives, whatever they do', () => {
  it('accounts for every span in every tier it goes to; keeps bounds and deadlines; leaves no timer', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, archive, archive, rules, async (script, warm, cold, given) => {
        const { clock, tiered, spool, ledger, sent, archives } = await playWith(script, { warm, cold }, given);
        const alone = archivedAlone(tiered);
        expect(ledger).toMatchObject({ ended: sent, inFlight: 0, handedToSpool: spool.stats().accepted + alone });
        const { warm: w, cold: c } = tiered.stats();
        for (const [index, tier] of [w!, c!].entries()) {
          const { received, ambiguous, shutdowns } = archives[index]!;
          expect(tier.spool).toMatchObject({ waiting: 0, balanced: true });
          expect(tier.spool.delivered).toBeLessThanOrEqual(
            [...received.values()].reduce((sum, times) => sum + times, 0),
          );
          for (const [name, times] of received) if (times > 1) expect(ambiguous).toContain(name);
          expect(tier.spool.accepted).toBe(tier.routedSpans + tier.divertedSpans + tier.copiedSpans);
          expect(shutdowns).toBe(1);
        }
        await clock.advance(70_000);
        expect(clock.pendingTimers).toBe(0);
      }),
      { numRuns: 250 },
    );
  });

  it('a mirror has everything, once it works, and less only by what its books say', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, archive, async (script, warm) => {
        const { tiered, sent, archives } = await playWith(script, { warm });
        const { spool, missedSpans, copiedSpans } = tiered.stats().warm!;
        const lost = spool.rejected + totalDropped(spool.dropped);
        expect(copiedSpans + missedSpans).toBe(sent);
        // Nothing that is said to be lost or late is certain not to have arrived.
        expect(archives[0]!.received.size).toBeGreaterThanOrEqual(sent - missedSpans - lost);
      }),
      { numRuns: 150 },
    );
  });

  it('is none of the trouble of hot: every span has the fate that it has without an archive', async () => {
    const unbothered = { ...fc.sample(archive, 1)[0]!, moods: [] };
    const fates = async ({ clock, ledger, spool, backend }: Awaited<ReturnType<typeof play>>) => {
      // What hot receives when nobody listens any more.
      await clock.advance(15_000);
      return { ledger, spool: spool.stats(), received: [...backend.received.keys()] };
    };
    const unhurried = scenario.map((script) => ({
      ...script,
      // A flush waits for archives, and with it whoever flushed.
      steps: script.steps.filter(({ kind }) => kind !== 'flush'),
      // What a shutdown cuts off depends on the order of things that happen at the same moment.
      shutdownMillis: Math.max(3_000, script.shutdownMillis),
    }));
    await fc.assert(
      fc.asyncProperty(unhurried, archive, async (script, warm) => {
        const alone = await fates(await play(script, { options: () => ({}), spanOf }));
        expect(await fates(await playWith(script, { warm }))).toEqual(alone);
        expect(await fates(await playWith(script, { warm: unbothered }))).toEqual(alone);
      }),
      { numRuns: 80 },
    );
  });

  it('never makes hot wait, not even one that swallows everything', async () => {
    const hanging: Mood = { does: 'hang', deaf: true };
    const script = {
      slots: 1,
      maxBytes: 20_000,
      poisonAttempts: 2,
      steps: [{ kind: 'send' as const, spans: 3, timeoutMillis: 400, burst: 7, abandonMillis: undefined }],
      shutdownMillis: 3_000,
    };
    const stuck = {
      moods: [{ atStep: 0, mood: hanging }],
      slots: 1,
      maxBytes: 9_000,
      maxBatchBytes: 1,
      scheduledDelayMillis: 0,
    };
    const { backend, tiered } = await playWith(script as never, { warm: stuck });
    expect(backend.received.size).toBe(21);
    expect(tiered.stats().warm!.spool.delivered).toBe(0);
  });
});
