import { describe, expect, it } from 'vitest';
import {
  ALWAYS_NORMAL,
  DEGRADATION_LEVELS,
  isActive,
  type LevelSource,
  levelSource,
  perLevel,
  rankOf,
} from './degradation-level.js';
import { ratio } from './options.js';

describe('isActive', () => {
  it('goes by the default levels when the source does not say', () => {
    const active = DEGRADATION_LEVELS.map((level) => isActive({ level }, 'disableVerboseAttributes'));
    expect(active).toEqual([false, false, true, true, true]);
    expect(DEGRADATION_LEVELS.map((level) => isActive({ level }, 'errorsOnly'))).toEqual([
      false,
      false,
      false,
      false,
      true,
    ]);
    expect(isActive(ALWAYS_NORMAL, 'reduceSamplingRate')).toBe(false);
  });

  it('goes by what the source says', () => {
    const source: LevelSource = { level: 'normal', isActive: (strategy) => strategy === 'errorsOnly' };
    expect(isActive(source, 'errorsOnly')).toBe(true);
    expect(isActive(source, 'increaseBatchSize')).toBe(false);
  });
});

describe('rankOf', () => {
  it('orders the levels', () => {
    expect(DEGRADATION_LEVELS.map(rankOf)).toEqual([0, 1, 2, 3, 4]);
  });
});

describe('levelSource', () => {
  it('takes anything with a level, as the same object', () => {
    const source = { level: 'heavy' };
    expect(levelSource(source, 'X.controller')).toBe(source);
  });

  it.each([undefined, null, 'heavy', {}, { level: 'severe' }, { level: 3 }])('refuses %j', (value) => {
    expect(() => levelSource(value, 'X.controller')).toThrow(/X\.controller: expected an object with a level/);
  });
});

describe('perLevel', () => {
  const defaults = { normal: 1, light: 0.5, moderate: 0.1, heavy: 0.01, emergency: 0.001 };
  const read = perLevel(ratio({ default: 1 }), defaults);

  it('fills in the defaults', () => {
    expect(read(undefined, 'X.ratios')).toEqual(defaults);
    expect(read({ heavy: 0.2, light: undefined }, 'X.ratios')).toEqual({ ...defaults, heavy: 0.2 });
  });

  it.each([
    [{ heavy: 2 }, 'X.ratios.heavy'],
    [{ severe: 0.1 }, 'X.ratios.severe'],
    [[1], 'X.ratios'],
    [0.5, 'X.ratios'],
  ])('names what is wrong in %j', (value, path) => {
    expect(() => read(value, 'X.ratios')).toThrow(`${path}:`);
  });
});
