import type { Clock } from '@otel-resilience/core';
import { VirtualClock } from '@otel-resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Load, SPANS_PER_TRACE, TARGET, type Traffic } from '../../../test/support/rate-load.js';
import { RateTarget } from './rate-target.js';

/** The window, and one slot of it that began before the step. */
const SETTLED = 22;

describe('a target of sampled spans per second', () => {
  const clocks = fc.constantFrom(0, 15, 1_000);
  const seeds = fc.integer({ min: 1, max: 2 ** 31 - 1 });

  it('is held within 10 % after a step of the load × 10 up or down, on any clock', () => {
    fc.assert(
      fc.property(clocks, seeds, fc.boolean(), fc.integer({ min: 200, max: 400 }), (tickMillis, seed, up, low) => {
        const load = new Load({ tickMillis, seed });
        const [before, after] = up ? [low, 10 * low] : [10 * low, low];
        load.run(40, { rootsPerSecond: before });
        load.run(SETTLED, { rootsPerSecond: after });
        expectHeld(load, 30, { rootsPerSecond: after });
      }),
      { numRuns: 24 },
    );
  });

  it('is approached from one side: the ratio does not swing over, nor back', () => {
    fc.assert(
      fc.property(clocks, seeds, fc.boolean(), (tickMillis, seed, up) => {
        const load = new Load({ tickMillis, seed });
        const [before, after] = up ? [300, 3_000] : [3_000, 300];
        load.run(40, { rootsPerSecond: before });
        const path: number[] = [];
        for (let second = 0; second < 60; second++) path.push(load.run(1, { rootsPerSecond: after }).ratio);
        const goal = TARGET / (after * SPANS_PER_TRACE);
        for (const [index, ratio] of path.entries()) {
          const previous = path[index - 1] ?? ratio;
          // Noise of the arrivals, of trace sizes, and one step of the ratio.
          if (up) expect(ratio).toBeLessThan(previous * 1.1);
          else expect(ratio).toBeGreaterThan(previous / 1.1);
          if (up) expect(ratio).toBeGreaterThan(goal * 0.85);
          else expect(ratio).toBeLessThan(goal / 0.85);
        }
      }),
      { numRuns: 24 },
    );
  });

  it('is held when traces become ten times as large', () => {
    const load = new Load();
    load.run(40, { rootsPerSecond: 300, spansPerTrace: 2 });
    load.run(SETTLED, { rootsPerSecond: 300, spansPerTrace: 20 });
    expectHeld(load, 30, { rootsPerSecond: 300, spansPerTrace: 20 });
  });

  it('is held when children start long after their root', () => {
    const load = new Load();
    load.run(60, { rootsPerSecond: 300, childDelayMillis: 3_000 });
    const during = load.run(60, { rootsPerSecond: 3_000, childDelayMillis: 3_000 });
    expect(during.ratio).toBeGreaterThan((TARGET / (3_000 * SPANS_PER_TRACE)) * 0.8);
    load.run(60, { rootsPerSecond: 3_000, childDelayMillis: 3_000 });
    expectHeld(load, 30, { rootsPerSecond: 3_000, childDelayMillis: 3_000 });
  });

  it.each([
    ['bursts of 100 within a millisecond', { batch: 100, rootsPerSecond: 400 }],
    ['bursts of 2,000, every 5 s', { batch: 2_000, rootsPerSecond: 400 }],
    ['bursts of 4,000, every 10 s', { batch: 4_000, rootsPerSecond: 400 }],
    ['regular arrivals', { regular: true, rootsPerSecond: 400 }],
  ] as const)('is held on average under %s', (_, traffic) => {
    for (const tickMillis of [0, 15, 1_000]) {
      const load = new Load({ tickMillis });
      load.run(60, traffic);
      expectHeld(load, 120, traffic);
    }
  });

  it('is reached within seconds after the first span', () => {
    const load = new Load();
    load.run(3, { rootsPerSecond: 4_000 });
    expectHeld(load, 20, { rootsPerSecond: 4_000 });
  });

  it('is exceeded twofold at most after an idle hour, for the length of the window', () => {
    const load = new Load();
    load.run(40, { rootsPerSecond: 2_000 });
    load.idle(3_600);
    expect(load.run(SETTLED, { rootsPerSecond: 2_000 }).sampledPerSecond).toBeLessThan(2.2 * TARGET);
    load.run(SETTLED, { rootsPerSecond: 2_000 });
    expectHeld(load, 20, { rootsPerSecond: 2_000 });
  });

  it('goes back to everything when little is left of the load', () => {
    const load = new Load();
    load.run(40, { rootsPerSecond: 5_000 });
    expect(load.run(60, { rootsPerSecond: 2 }).ratio).toBe(1);
  });

  it('bears clocks that jump', () => {
    fc.assert(
      fc.property(seeds, fc.array(fc.integer({ min: -1e7, max: 1e7 }), { maxLength: 8 }), (seed, jumps) => {
        const load = new Load({ seed });
        load.run(30, { rootsPerSecond: 2_000 });
        for (const jump of jumps) {
          load.jump(jump);
          load.run(1.5, { rootsPerSecond: 2_000 });
          expect(load.ratio).toBeGreaterThanOrEqual(0.01);
          expect(load.ratio).toBeLessThanOrEqual(1);
        }
        load.run(2 * SETTLED, { rootsPerSecond: 2_000 });
        expectHeld(load, 20, { rootsPerSecond: 2_000 });
      }),
      { numRuns: 10 },
    );
  });

  it('does not sample more after the clock has jumped back', () => {
    const load = new Load();
    const before = load.run(40, { rootsPerSecond: 2_000 }).ratio;
    load.jump(-3_600_000);
    expect(load.run(5, { rootsPerSecond: 2_000 }).ratio).toBeCloseTo(before, 2);
  });

  it('stays within [0.01, 1]', () => {
    const load = new Load();
    expect(load.run(5, { rootsPerSecond: 1 }).ratio).toBe(1);
    expect(load.run(60, { rootsPerSecond: 30_000 }).ratio).toBe(0.01);
  });
});

describe('what the cap does not decide', () => {
  it('traces that a rule holds lower leave their share to the others', () => {
    const load = new Load();
    const traffic = { rootsPerSecond: 2_000, bound: (i: number) => (i % 2 ? 1 : 0.02) };
    load.run(SETTLED, traffic);
    expectHeld(load, 30, traffic);
  });

  it('of parents that sampled at 0.05 already, all are kept until the cap is lower than that', () => {
    const load = new Load();
    const traffic = { rootsPerSecond: 500, parentRatio: 0.05, remoteSampledPerSecond: 100 };
    load.run(SETTLED, traffic);
    expectHeld(load, 30, traffic);
    expect(load.ratio).toBeLessThan(0.05);
    load.run(SETTLED, { ...traffic, remoteSampledPerSecond: 10 });
    expectHeld(load, 60, { ...traffic, remoteSampledPerSecond: 10 });
    expect(load.ratio).toBeGreaterThan(0.05);
  });

  it('parents that decide for us leave the roots the rest, at least 0.01', () => {
    const load = new Load();
    const traffic = { rootsPerSecond: 1_000, fixedPerSecond: 20 };
    load.run(SETTLED, traffic);
    expectHeld(load, 30, traffic);
    expect(load.run(40, { rootsPerSecond: 1_000, fixedPerSecond: 200 }).ratio).toBe(0.01);
  });

  it('traces of parents that did not sample cost nothing, however large they are', () => {
    const load = new Load();
    const traffic = { rootsPerSecond: 1_000, spansPerTrace: 2, unsampledPerSecond: 200, unsampledSpans: 30 };
    load.run(120, traffic);
    expectHeld(load, 60, traffic);
  });
});

describe('a target per operation', () => {
  it('gives every operation its own ratio, by the size of its traces', () => {
    const load = new Load({ targetPer: 'operation' });
    load.run(90, { rootsPerSecond: 2_000, operations: ['small', 'large'], spansPerTrace: [1, 12] });
    for (const [operation, spans] of [['small', 1] as const, ['large', 12] as const]) {
      expect(load.target.ratioFor!(operation) / (TARGET / (1_000 * spans))).toBeGreaterThan(0.88);
      expect(load.target.ratioFor!(operation) / (TARGET / (1_000 * spans))).toBeLessThan(1.12);
    }
  });

  it('is bounded in operations: the others share a ratio, and take the place of idle ones', async () => {
    const clock = new VirtualClock();
    const target = new RateTarget({ targetSpansPerSecond: 1, targetPer: 'operation', maxOperations: 2, clock });
    const offer = async (operation: string) => {
      for (let second = 0; second < 90; second++) {
        for (let i = 0; i < 40; i++) target.onRoot(operation);
        await clock.advance(1_000);
      }
    };
    target.onRoot('a');
    target.onRoot('b');
    for (let i = 0; i < 500; i++) target.onRoot(`path ${i}`);
    expect(size(target)).toBe(2);
    await offer('c');
    expect(size(target)).toBe(2);
    expect(target.ratioFor!('c')).toBeLessThan(0.05);
    expect(target.ratioFor!('never seen')).toBe(target.ratio);
  });
});

describe('the cost', () => {
  it('is a read of the clock per 16 decisions under load', () => {
    let reads = 0;
    const clock: Clock = {
      now: () => {
        reads++;
        return 1_000;
      },
      wallTime: () => 0,
      setTimeout: () => ({}),
      clearTimeout: () => {},
    };
    const target = new RateTarget({ targetSpansPerSecond: 1, targetPer: 'service', clock });
    for (let i = 0; i < 16_000; i++) target.onRoot('a');
    expect(reads).toBeLessThan(1_010);
  });

  it('is few distinct ratios, however the load moves', () => {
    const load = new Load();
    const ratios = new Set<number>();
    for (let i = 0; i < 600; i++) {
      ratios.add(load.run(1, { rootsPerSecond: 20 + 1_500 * (1 + Math.sin(i / 40)), spansPerTrace: 2 }).ratio);
    }
    expect(ratios.size).toBeGreaterThan(20);
    expect(ratios.size).toBeLessThan(110);
  });
});

function expectHeld(load: Load, seconds: number, traffic: Traffic): void {
  const { sampledPerSecond } = load.run(seconds, traffic);
  expect(Math.abs(sampledPerSecond / TARGET - 1)).toBeLessThan(0.1);
}

function size(target: RateTarget): number {
  return (target as unknown as { flows: Map<string, unknown> }).flows.size;
}
