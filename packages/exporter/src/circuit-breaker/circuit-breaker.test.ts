import { VirtualClock } from '@otel-resilience/testing';
import { expect, it } from 'vitest';
import { CircuitBreaker } from './circuit-breaker.js';

it('opens after five failures in a row, probes after 30 s and closes after three successes', async () => {
  const clock = new VirtualClock();
  const breaker = new CircuitBreaker({ clock });
  for (let i = 0; i < 5; i++) breaker.tryAcquire()?.failure();
  expect(breaker.state).toBe('open');
  expect(breaker.tryAcquire()).toBeUndefined();
  await clock.advance(30_000);
  expect(breaker.isCallPermitted).toBe(true);
  for (let i = 0; i < 3; i++) breaker.tryAcquire()?.success();
  expect(breaker.state).toBe('closed');
  expect(breaker.metrics()).toMatchObject({ total: 9, ok: 3, failed: 5, rejected: 1, inFlight: 0, stateChanges: 3 });
});
