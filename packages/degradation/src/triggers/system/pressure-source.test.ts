import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePressure } from './pressure-source.js';

const TEXT =
  'some avg10=12.34 avg60=0.70 avg300=1.07 total=3389426641\nfull avg10=1.00 avg60=0.00 avg300=0.00 total=0\n';

describe('pressure stall information', () => {
  it('is the share of the last 10 s', () => {
    expect(parsePressure(TEXT, 'some', 'f')).toBe(12.34);
    expect(parsePressure(TEXT, 'full', 'f')).toBe(1);
  });

  it('fails on a kind that is not there: before Linux 5.13 the CPU has no full', () => {
    expect(() => parsePressure(TEXT.split('\n')[0]!, 'full', '/proc/pressure/cpu')).toThrow(/full avg10/);
  });

  it('is a percentage or an error, whatever the file says', () => {
    const text = fc.oneof(
      fc.string(),
      fc.tuple(fc.string(), fc.double()).map(([s, d]) => `some ${s} avg10=${d} `),
    );
    fc.assert(
      fc.property(text, (garbage) => {
        try {
          const percent = parsePressure(garbage, 'some', 'f');
          expect(percent >= 0 && percent <= 100).toBe(true);
        } catch (error) {
          expect(String(error)).toMatch(/expected some avg10/);
        }
      }),
    );
  });
});
