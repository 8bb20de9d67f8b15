import { describe, expect, it } from 'vitest';
import { JumpingClock } from '../../../test/support/degradation.js';
import { EvaluationTimer } from './evaluation-timer.js';

/** An evaluation timer with a recovery due at the times given, and when it went off. */
function setUp(intervalMillis: number, recoveriesDueAt: number[] = []) {
  const clock = new JumpingClock({ now: 0 });
  const due: number[] = [];
  const timer = new EvaluationTimer(clock, intervalMillis, () => {
    due.push(clock.now());
    while (recoveriesDueAt.length > 0 && recoveriesDueAt[0]! <= clock.now()) recoveriesDueAt.shift();
    timer.arm(recoveriesDueAt[0] ?? Number.POSITIVE_INFINITY);
  });
  timer.start();
  return { clock, due, timer };
}

describe('the evaluation timer', () => {
  it('goes off at every interval, and where a recovery is due without losing its pace', async () => {
    const { clock, due } = setUp(1_000, [1_300, 1_600]);
    await clock.advance(4_000);
    expect(due).toEqual([1_000, 1_300, 1_600, 2_000, 3_000, 4_000]);
  });

  it('makes one of two that are due almost together, whichever is first, and never too early for the recovery', async () => {
    const { clock, due } = setUp(30_000, [60_001, 90_019, 119_990]);
    await clock.advance(150_000); // and never farther away than an interval
    expect(due).toEqual([30_000, 60_001, 90_019, 119_990, 149_990]);
  });

  it('does not make up for evaluations that were missed', async () => {
    const { clock, due } = setUp(1_000);
    clock.jump(10_500);
    await clock.advance(2_000);
    expect(due).toEqual([11_500, 12_500]);
  });

  it('is never farther away than an interval, even when the clock goes back', async () => {
    const { clock, due, timer } = setUp(1_000);
    await clock.advance(500);
    clock.jump(-1e9);
    timer.arm(Number.POSITIVE_INFINITY);
    await clock.advance(1_000);
    expect(due).toHaveLength(1);
  });

  it('leaves no timer when it is stopped', () => {
    const { clock, timer } = setUp(1_000);
    timer.stop();
    expect(clock.pendingTimers).toBe(0);
  });
});
