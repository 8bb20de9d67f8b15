import { ConfigurationError, type Failure } from '@otel-resilience/core';
import { VirtualClock } from '@otel-resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RetryBudget } from './retry-budget.js';

describe('RetryBudget', () => {
  it('allows a burst of capacity / cost retries, then one whenever time has brought its cost', async () => {
    const clock = new VirtualClock();
    const budget = new RetryBudget({ clock });
    let burst = 0;
    while (budget.tryAcquire('retryable') !== undefined) burst++;
    expect(burst).toBe(35);
    await clock.advance(3_999);
    expect(budget.tryAcquire('retryable')).toBeUndefined(); // 10 left over + 3.999
    await clock.advance(1);
    expect(budget.tryAcquire('retryable')).toBe(14);
    expect(budget.tryAcquire('retryable')).toBeUndefined();
  });

  it('takes less after a throttle, and nothing after a refusal that asked nobody', () => {
    const budget = new RetryBudget({ capacity: 5, retryCost: 5, clock: new VirtualClock() });
    expect(budget.tryAcquire('refused')).toBe(0);
    expect(budget.tryAcquire('throttled')).toBe(5);
    expect(budget.tryAcquire('throttled')).toBeUndefined();
    expect(budget.tryAcquire('refused')).toBe(0);
  });

  it('comes back with successes, never above its capacity', () => {
    const budget = new RetryBudget({ capacity: 20, clock: new VirtualClock(), refillPerSecond: 0 });
    expect(budget.tryAcquire('retryable')).toBe(14);
    for (let success = 0; success < 8; success++) budget.recordSuccess();
    expect(budget.tokens).toBe(14);
    budget.release(14);
    expect(budget.tokens).toBe(20);
  });

  it('keeps its tokens between 0 and its capacity whatever happens', async () => {
    const step = fc.oneof(
      fc.record({ acquire: fc.constantFrom<Failure>('retryable', 'throttled', 'refused') }),
      fc.record({ advance: fc.nat(30_000) }),
      fc.constant('success' as const),
      fc.constant('release' as const),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 60 }),
        fc.integer({ min: 14, max: 100 }),
        async (steps, capacity) => {
          const clock = new VirtualClock();
          const budget = new RetryBudget({ capacity, clock });
          for (const next of steps) {
            if (next === 'success') budget.recordSuccess();
            else if (next === 'release') budget.release(14);
            else if ('acquire' in next) budget.tryAcquire(next.acquire);
            else await clock.advance(next.advance);
            expect(budget.tokens).toBeGreaterThanOrEqual(0);
            expect(budget.tokens).toBeLessThanOrEqual(capacity);
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  it.each([
    [{ capacity: 0 }, 'RetryBudget.capacity'],
    [{ capacity: 1.5 }, 'RetryBudget.capacity'],
    [{ retryCost: -1 }, 'RetryBudget.retryCost'],
    [{ capacity: 10 }, 'RetryBudget.retryCost'],
    [{ capacity: 20, throttledRetryCost: 21 }, 'RetryBudget.throttledRetryCost'],
    [{ refillPerSecond: Number.NaN }, 'RetryBudget.refillPerSecond'],
    [{ tokens: 3 }, 'RetryBudget.tokens'],
  ])('rejects %j, naming %s', (options, path) => {
    const construct = () => new RetryBudget(options as object);
    expect(construct).toThrow(ConfigurationError);
    expect(construct).toThrow(expect.objectContaining({ path }));
  });
});
