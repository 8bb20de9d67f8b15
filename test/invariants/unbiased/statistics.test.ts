import { expect, it } from 'vitest';
import { chiSquareTail, gTestOfFit, gTestOfIndependence } from './statistics.js';
import { Total } from './total.js';

it.each([
  [3.8415, 1, 0.05],
  [10.8276, 1, 0.001],
  [1.3863, 2, 0.5],
  [11.0705, 5, 0.05],
  [18.307, 10, 0.05],
  [2.5582, 10, 0.99],
  [30.5779, 15, 0.01],
  [23.9281, 1, 1e-6],
])('the tail of chi-square at %d with %i degrees of freedom is that of the tables', (x, degrees, p) => {
  expect(chiSquareTail(x, degrees) / p).toBeCloseTo(1, 3);
});

it('the G-tests are those of the textbook', () => {
  // McDonald, Handbook of Biological Statistics: 770 and 230 where 3 : 1 is expected; G = 2.17.
  const mendel = gTestOfFit(
    [
      [770, 750],
      [230, 250],
    ],
    1,
  );
  expect(mendel).toBeCloseTo(chiSquareTail(2.17, 1), 2);
  const even = Array.from({ length: 5 }, () => ({ yes: 20, no: 80 }));
  expect(gTestOfIndependence(even)).toBe(1);
  expect(gTestOfIndependence([...even, { yes: 60, no: 40 }])).toBeLessThan(1e-9);
});

it('the variance of a total is that of all values its one random number can give it', () => {
  const total = new Total();
  total.add(5, 0, [
    { count: 3, probability: 0.5 },
    { count: 2, probability: 0.1 },
  ]);
  // R in the top tenth: 3/0.5 + 2/0.1 − 5 = 21; up to the half: 1; below: −5.
  const variance = 0.1 * 21 ** 2 + 0.4 * 1 ** 2 + 0.5 * 5 ** 2;
  expect(total.z).toBeCloseTo(-5 / Math.sqrt(variance), 9);
  expect(total.skewness).toBeCloseTo((0.1 * 21 ** 3 + 0.4 - 0.5 * 5 ** 3) / variance ** 1.5, 9);
});
