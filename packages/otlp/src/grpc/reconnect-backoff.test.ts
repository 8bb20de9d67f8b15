import fc from 'fast-check';
import { expect, it } from 'vitest';
import { reconnectDelay } from './reconnect-backoff.js';

it('grows from 100 to 500 ms, less 10 to 50 %', () => {
  const most = [1, 2, 3, 4, 5, 1_000].map((failures) => reconnectDelay(failures, () => 0));
  expect(most).toEqual([90, 180, 360, 450, 450, 450]);
  const least = [1, 2, 3, 4].map((failures) => reconnectDelay(failures, () => 1 - Number.EPSILON));
  expect(least.map(Math.round)).toEqual([50, 100, 200, 250]);
});

it('is always over when a probe comes 500 ms after the last', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000 }), fc.double({ min: 0, max: 1, noNaN: true }), (failures, jitter) => {
      expect(reconnectDelay(failures, () => jitter)).toBeLessThanOrEqual(450);
      expect(reconnectDelay(failures, () => jitter)).toBeGreaterThanOrEqual(50);
    }),
  );
});
