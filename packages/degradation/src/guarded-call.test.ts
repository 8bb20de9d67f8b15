import type { DegradationLevel } from '@otel-resilience/core';
import { describe, expect, it } from 'vitest';
import { refusal, started } from '../../../test/support/degradation.js';

function at(level: DegradationLevel) {
  const all = started();
  all.controller.force(level);
  return all;
}
const broken = () => {
  throw new Error('broken');
};
const brokenLater = async (): Promise<string> => broken();

describe.each(['normal', 'light'] as const)('guard at %s', (level) => {
  it('runs the primary and lets its error through', async () => {
    const { controller, load } = at(level);
    expect(
      controller.guard(
        () => 1,
        () => 2,
      ),
    ).toBe(1);
    expect(
      await controller.guard(
        async () => 1,
        async () => 2,
      ),
    ).toBe(1);
    expect(() => controller.guard(broken, () => 2)).toThrow('broken');
    await expect(controller.guard(brokenLater, async () => 'no')).rejects.toThrow('broken');
    expect(load.outcomes).toEqual([true, true, false, false]);
  });
});

describe('guard at moderate', () => {
  it('runs the primary, and the fallback with the error when it fails', async () => {
    const { controller, load } = at('moderate');
    const fallback = (error: unknown) => `not ${(error as Error).message}`;
    expect(controller.guard(() => 'primary', fallback)).toBe('primary');
    expect(controller.guard(broken, fallback)).toBe('not broken');
    expect(await controller.guard(brokenLater, async (error) => fallback(error))).toBe('not broken');
    expect(load.outcomes).toEqual([true, false, false]);
    expect(() =>
      controller.guard(broken, () => {
        throw new Error('this too');
      }),
    ).toThrow('this too');
  });
});

describe.each(['heavy', 'emergency'] as const)('guard at %s', (level) => {
  it('goes straight to the fallback, which is no outcome', () => {
    const { controller, load } = at(level);
    const primary = () => expect.unreachable();
    expect(controller.guard<unknown>(primary, (...args) => args)).toEqual([]);
    expect(load.outcomes).toEqual([]);
  });
});

describe('guard', () => {
  it('goes by the level at the call', async () => {
    const { controller } = at('light');
    let fail: (error: Error) => void = () => {};
    const answer = controller.guard(
      () =>
        new Promise<string>((_, reject) => {
          fail = reject;
        }),
      async () => 'fallback',
    );
    controller.force('emergency');
    fail(new Error('late'));
    await expect(answer).rejects.toThrow('late');
  });

  it('refuses what is no function', () => {
    const { controller } = at('normal');
    expect(refusal(() => controller.guard(5 as never, () => 2)).path).toBe('DegradationController.guard.primary');
    expect(refusal(() => controller.guard(() => 1, 5 as never)).path).toBe('DegradationController.guard.fallback');
  });

  it('is not harmed by a trigger that cannot take outcomes', () => {
    const { controller, load } = at('normal');
    load.recordOutcome = broken;
    expect(
      controller.guard(
        () => 1,
        () => 2,
      ),
    ).toBe(1);
  });
});
