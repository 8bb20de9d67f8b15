import { DEGRADATION_LEVELS, type DegradationLevel, PipelineSignals } from '@otel-resilience/core';
import { DegradationController, type DegradationTransition } from '@otel-resilience/degradation';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JumpingClock, type Saying, ScriptedTrigger } from '../support/degradation.js';

const rank = (level: DegradationLevel) => DEGRADATION_LEVELS.indexOf(level);
const asked = (value: number) => [50, 70, 85, 95].filter((threshold) => value >= threshold).length;
const FAILURES: readonly Saying[] = ['throws', 'rejects', 'hangs', Number.NaN, Number.POSITIVE_INFINITY, { is: '99' }];

interface Step {
  readonly says: readonly Saying[];
  readonly waitMillis: number;
  readonly jumpMillis: number;
  readonly change: boolean;
}

const value = fc.oneof(
  fc.integer({ min: 0, max: 100 }),
  fc.constantFrom(0, 39, 40, 49, 50, 70, 85, 95),
  fc.constant(undefined),
);
const failing = fc.constantFrom(...FAILURES);
const steps = (says: fc.Arbitrary<Saying>, jump: fc.Arbitrary<number>) =>
  fc.array(
    fc.record<Step>({
      says: fc.tuple(says, says, says),
      waitMillis: fc.integer({ min: 0, max: 40_000 }),
      jumpMillis: jump,
      change: fc.boolean(),
    }),
    { minLength: 1, maxLength: 40 },
  );
const noJump = fc.constant(0);
const jumps = fc.oneof(
  { weight: 3, arbitrary: noJump },
  { weight: 1, arbitrary: fc.integer({ min: -100_000, max: 100_000 }) },
  { weight: 1, arbitrary: fc.constantFrom(-1e12, 1e12) },
);
const intervals = fc.record({
  evaluationIntervalMillis: fc.constantFrom(1_000, 7_000, 30_000),
  recoveryIntervalMillis: fc.constantFrom(1_000, 10_000, 30_000, 45_000),
});

/** A controller over three triggers, the first of them immediate. */
class World {
  readonly clock = new JumpingClock();
  readonly triggers = ['queue', 'load', 'other'].map((name, i) => new ScriptedTrigger({ name, immediate: i === 0 }));
  readonly controller: DegradationController;
  /** Each transition and the monotonic time at which it came. */
  readonly seen: Array<DegradationTransition & { readonly at: number }> = [];
  private readonly signals = new PipelineSignals();

  constructor(intervals: { evaluationIntervalMillis: number; recoveryIntervalMillis: number }) {
    const { clock, triggers, signals } = this;
    this.controller = new DegradationController({ triggers, signals, clock, metrics: false, ...intervals });
    this.controller.on('transition', (transition) => this.seen.push({ ...transition, at: clock.now() }));
    this.controller.start();
  }

  async run({ says, waitMillis, jumpMillis, change }: Step): Promise<void> {
    this.triggers.forEach((trigger, index) => {
      if (trigger.says === 'hangs') trigger.answer(99);
      trigger.says = says[index];
    });
    this.clock.jump(jumpMillis);
    if (change) this.signals.changed();
    await this.clock.advance(waitMillis);
  }
}

describe('degradation never flaps', () => {
  it('each step down is one level, a recovery interval after the move before, whatever the signals do', async () => {
    await fc.assert(
      fc.asyncProperty(intervals, steps(fc.oneof(value, failing), noJump), async (options, script) => {
        const world = new World(options);
        for (const step of script) await world.run(step);
        world.seen.forEach(({ from, to, at, cause }, index) => {
          expect(from).toBe(world.seen[index - 1]?.to ?? 'normal');
          if (rank(to) > rank(from)) return;
          expect([rank(from) - rank(to), cause]).toEqual([1, 'recovery']);
          expect(at - world.seen[index - 1]!.at).toBeGreaterThanOrEqual(options.recoveryIntervalMillis);
        });
      }),
      { numRuns: 150 },
    );
  });

  it('nor when the clock jumps: one step per jump forward, and recovery within two intervals of a jump back', async () => {
    await fc.assert(
      fc.asyncProperty(intervals, steps(fc.oneof(value, failing), jumps), async (options, script) => {
        const world = new World(options);
        for (const step of script) {
          const before = world.seen.length;
          await world.run(step);
          const down = world.seen.slice(before).filter(({ from, to }) => rank(to) < rank(from));
          const forward = step.jumpMillis > 0 ? 1 : 0;
          // One more, since the interval may have begun in an earlier step.
          expect(down.length).toBeLessThanOrEqual(step.waitMillis / options.recoveryIntervalMillis + 1 + forward);
          for (const { from, to } of down) expect(rank(from) - rank(to)).toBe(1);
        }
        const calm: Step = { says: [0, 0, 0], waitMillis: 0, jumpMillis: 0, change: false };
        const { evaluationIntervalMillis, recoveryIntervalMillis } = options;
        await world.run({ ...calm, waitMillis: 2_000 + evaluationIntervalMillis + 5 * recoveryIntervalMillis });
        expect(world.controller.level).toBe('normal');
        world.controller.stop();
        expect(world.clock.pendingTimers).toBe(0);
      }),
      { numRuns: 150 },
    );
  });
});

describe('a failing trigger', () => {
  it('neither raises nor lowers: the level moves as if it went on saying what it said last', async () => {
    // Late answers would differ between the two, so hanging is left to the tests above and the unit tests.
    const prompt = fc.constantFrom<Saying>('throws', Number.NaN, Number.NEGATIVE_INFINITY, { is: null });
    await fc.assert(
      fc.asyncProperty(intervals, steps(fc.oneof(value, prompt), noJump), async (options, script) => {
        const failing = new World(options);
        const repeating = new World(options);
        const last: Saying[] = [undefined, undefined, undefined];
        for (const step of script) {
          // Read for certain while it holds, so that `last` is what it said last.
          const waitMillis = options.evaluationIntervalMillis * Math.ceil((step.waitMillis + 1) / 10_000);
          step.says.forEach((says, index) => {
            const good = says === undefined || (typeof says === 'number' && Number.isFinite(says));
            if (good) last[index] = says;
          });
          await failing.run({ ...step, change: false, waitMillis });
          await repeating.run({ ...step, change: false, waitMillis, says: [...last] });
          expect(failing.controller.level).toBe(repeating.controller.level);
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe('a raised level', () => {
  it('is the highest that any trigger asks for', async () => {
    await fc.assert(
      fc.asyncProperty(intervals, steps(fc.integer({ min: 0, max: 100 }), noJump), async (options, script) => {
        const world = new World(options);
        for (const step of script) {
          const before = world.controller.level;
          await world.run({ ...step, waitMillis: options.evaluationIntervalMillis });
          const highest = Math.max(...(step.says as number[]).map(asked));
          const level = rank(world.controller.level);
          expect(level).toBeGreaterThanOrEqual(highest);
          if (level > rank(before)) expect(level).toBe(highest);
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe('the level in force', () => {
  const action = fc.oneof(
    fc.record({
      force: fc.constantFrom(...DEGRADATION_LEVELS),
      ttlMillis: fc.option(fc.integer({ min: 1, max: 60_000 }), { nil: undefined }),
    }),
    fc.constant('release' as const),
    fc.integer({ min: 0, max: 100 }),
  );

  it('is the forced one until it is released or its time is over, and then the automatic one', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        fc.array(fc.tuple(action, fc.integer({ min: 0, max: 45_000 })), { maxLength: 40 }),
        async (monitorOnly, script) => {
          const clock = new JumpingClock();
          const load = new ScriptedTrigger();
          const controller = new DegradationController({ triggers: [load], clock, monitorOnly, metrics: false });
          controller.start();
          let forced: { readonly level: DegradationLevel; readonly until: number } | undefined;
          for (const [act, waitMillis] of script) {
            if (act === 'release') {
              controller.release();
              forced = undefined;
            } else if (typeof act === 'number') load.says = act;
            else {
              controller.force(act.force, { ttlMillis: act.ttlMillis });
              forced = { level: act.force, until: clock.now() + (act.ttlMillis ?? Number.POSITIVE_INFINITY) };
            }
            await clock.advance(waitMillis);
            if (forced && clock.now() >= forced.until) forced = undefined;
            const { level, automaticLevel } = controller.status();
            expect(controller.level).toBe(level);
            expect(level).toBe(forced?.level ?? (monitorOnly ? 'normal' : automaticLevel));
          }
          // What moved the level is a chain without gaps.
          controller
            .history()
            .filter(({ inForce }) => inForce)
            .reduce((before, { from, to }) => {
              expect(from).toBe(before);
              return to;
            }, 'normal' as DegradationLevel);
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe('recovery', () => {
  it('takes exactly one interval per level, for all intervals', async () => {
    const any = fc.integer({ min: 1, max: 60_000 });
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.tuple(any, any),
          any.map((n) => [n, n] as const),
        ),
        async ([evaluation, recovery]) => {
          const clock = new JumpingClock();
          const load = new ScriptedTrigger();
          const controller = new DegradationController({
            triggers: [load],
            clock,
            evaluationIntervalMillis: evaluation,
            recoveryIntervalMillis: recovery,
            metrics: false,
          });
          const times: number[] = [];
          controller.on('transition', () => times.push(clock.now()));
          controller.start();
          load.says = 99;
          await clock.advance(evaluation);
          load.says = 0;
          // Not from timer to timer of the evaluations alone: there could be very many.
          while (controller.level !== 'normal') await clock.advance(Math.max(recovery, evaluation));
          expect(times.slice(1).map((time, index) => time - times[index]!)).toEqual(Array(4).fill(recovery));
          controller.stop();
        },
      ),
      { numRuns: 60, examples: [[[30_000, 30_000]], [[30_000, 45_000]], [[45_000, 30_000]]] },
    );
  }, 30_000);
});
