import { describe, expect, it, vi } from 'vitest';
import {
  ALWAYS_NORMAL,
  DEGRADATION_LEVELS,
  isActive,
  type LevelSource,
  levelSource,
  perLevel,
  rankOf,
  startLevelSource,
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

describe('startLevelSource', () => {
  it.each<[string, () => unknown]>([
    ['throws', () => thrower()],
    ['rejects', () => Promise.reject(new Error('start'))],
    // biome-ignore lint/suspicious/noThenProperty: that is the point
    ['returns a thenable that throws', () => ({ then: thrower })],
  ])('tells when start %s', async (_, start) => {
    const failed = vi.fn();
    startLevelSource({ level: 'normal', start: start as () => void }, failed);
    await vi.waitFor(() => expect(failed).toHaveBeenCalledExactlyOnceWith(new Error('start')));
  });

  it('needs no start, and calls the one there is as a method', () => {
    const failed = vi.fn();
    startLevelSource(ALWAYS_NORMAL, failed);
    const source = { level: 'normal' as const, starts: 0, start: countStart };
    startLevelSource(source, failed);
    expect(source.starts).toBe(1);
    expect(failed).not.toHaveBeenCalled();
  });
});

function thrower(): never {
  throw new Error('start');
}

function countStart(this: { starts: number }): void {
  this.starts++;
}

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
