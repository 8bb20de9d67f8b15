import { DEGRADATION_LEVELS, type DegradationLevel, rankOf } from '@otel-resilience/core';
import type { DegradationTransition } from '@otel-resilience/degradation';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ScriptedTrigger } from '../support/degradation.js';
import { application, endTrace, under } from './application.js';

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const YEAR = 365 * 24 * HOUR;
const EVALUATION = 10 * SECOND;
const RECOVERY = 20 * SECOND;
const HOLD = 30 * SECOND;

function watching(sampler = {}) {
  const load = new ScriptedTrigger();
  const parts = application({
    sampler,
    degradation: {
      evaluationIntervalMillis: EVALUATION,
      recoveryIntervalMillis: RECOVERY,
      additionalTriggers: [load],
    },
  });
  return { ...parts, load };
}

const JUMPS = [-YEAR, -HOUR, -SECOND, SECOND, HOUR, YEAR];

describe.each(JUMPS)('a clock that jumps by %d ms', (byMillis) => {
  it('is worth one step down at most, and stops no recovery', async () => {
    const { clock, r, tracer, load, close } = watching();
    endTrace(tracer);
    load.says = 90;
    await clock.advance(EVALUATION);
    expect(r.degradation.level).toBe('heavy');
    load.says = 0;
    clock.jump(byMillis);
    await clock.advance(EVALUATION);
    expect(['heavy', 'moderate']).toContain(r.degradation.level);
    await clock.advance(3 * (RECOVERY + EVALUATION));
    expect(r.degradation.level).toBe('normal');
    expect(stepsDown(r.degradation.history())).toEqual([1, 1, 1]);
    await close();
  });

  it('does not raise what has not asked for long enough, for longer than its hold', async () => {
    const { clock, r, tracer, load, close } = watching();
    endTrace(tracer);
    load.says = 75;
    clock.jump(byMillis);
    await clock.advance(2 * EVALUATION);
    expect(r.degradation.level).toBe('moderate');
    await close();
  });

  it('ends a force at most when it would have ended, or at once', async () => {
    const { clock, r, tracer, close } = watching();
    endTrace(tracer);
    r.degradation.force('heavy', { ttlMillis: 60 * SECOND });
    clock.jump(byMillis);
    await clock.advance(61 * SECOND);
    expect(r.degradation.level).toBe('normal');
    await close();
  });

  it('holds no trace for longer than it may, and loses none', async () => {
    const { clock, r, tracer, exporter, close } = watching();
    r.degradation.force('heavy');
    const open = Array.from({ length: 20 }, () => {
      const root = tracer.startSpan('request');
      const child = tracer.startSpan('query', {}, under(root));
      child.setStatus({ code: 2 });
      child.end();
      return root;
    });
    clock.jump(byMillis);
    await clock.advance(2 * HOLD);
    expect(r.status().tailSampling.held).toMatchObject({ traces: 0, spans: 0 });
    for (const root of open) root.end();
    const { totals } = await close();
    expect(totals).toMatchObject({ ended: 40, delivered: 40 });
    expect(exporter.deliveredSpans).toHaveLength(40);
  });

  it('leaves the rate target at a ratio within its bounds, which settles again', async () => {
    const { clock, r, tracer, close } = watching({ targetSpansPerSecond: 50 });
    const live = async (seconds: number) => {
      for (let second = 0; second < seconds; second++) {
        for (let i = 0; i < 200; i++) tracer.startSpan('request').end();
        await clock.advance(SECOND);
        const { ratio } = r.status().sampling;
        expect(ratio >= 0.01 && ratio <= 1).toBe(true);
      }
      return r.status().sampling.ratio;
    };
    await live(60);
    clock.jump(byMillis);
    const ratio = await live(60);
    expect(ratio).toBeGreaterThan(0.15);
    expect(ratio).toBeLessThan(0.4);
    await close();
  });
});

describe('wall time that jumps', () => {
  it('moves nothing', async () => {
    const { clock, r, tracer, load, close } = watching();
    endTrace(tracer);
    load.says = 90;
    await clock.advance(EVALUATION);
    load.says = 0;
    for (const jump of JUMPS) clock.jumpWallTime(jump);
    await clock.advance(RECOVERY - 1);
    expect(r.degradation.level).toBe('heavy');
    await clock.advance(1);
    expect(r.degradation.level).toBe('moderate');
    await close();
  });
});

describe('any jumps at any time', () => {
  it('the level goes down step by step, spans are accounted for, and in the end all is normal and nothing is held', async () => {
    const act = fc.oneof(
      fc.record({ kind: fc.constant('jump' as const), by: fc.integer({ min: -YEAR, max: YEAR }) }),
      fc.record({ kind: fc.constant('jump' as const), by: fc.integer({ min: -RECOVERY, max: RECOVERY }) }),
      fc.record({ kind: fc.constant('advance' as const), by: fc.integer({ min: 0, max: 2 * RECOVERY }) }),
      fc.record({ kind: fc.constant('load' as const), by: fc.integer({ min: 0, max: 100 }) }),
      fc.record({ kind: fc.constant('trace' as const), by: fc.integer({ min: 0, max: 3 }) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 40 }), async (acts) => {
        const { clock, r, tracer, load, close } = watching({ targetSpansPerSecond: 1 });
        endTrace(tracer);
        const open = [];
        for (const { kind, by } of acts) {
          if (kind === 'jump') clock.jump(by);
          if (kind === 'advance') await clock.advance(by);
          if (kind === 'load') load.says = by;
          if (kind === 'trace') {
            const root = tracer.startSpan('request');
            if (by > 0) tracer.startSpan('query', {}, under(root)).end();
            if (by > 1) open.push(root);
            else root.end();
          }
          expect(r.status().balanced).toBe(true);
        }
        load.says = 0;
        await clock.advance((DEGRADATION_LEVELS.length - 1) * (RECOVERY + EVALUATION) + 2 * HOLD);
        expect(r.status()).toMatchObject({ degradation: { level: 'normal' }, tailSampling: { held: { traces: 0 } } });
        expect(stepsDown(r.degradation.history()).every((step) => step === 1)).toBe(true);
        for (const root of open) root.end();
        await close();
      }),
      { numRuns: 60 },
    );
  });
});

const rank = (level: DegradationLevel) => rankOf(level);

function stepsDown(history: readonly DegradationTransition[]): number[] {
  return history.filter(({ cause }) => cause === 'recovery').map(({ from, to }) => rank(from) - rank(to));
}
