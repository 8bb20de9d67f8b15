import { describe, expect, it } from 'vitest';
import { readArguments } from './arguments.js';

describe('readArguments', () => {
  it('plays both acts unless told otherwise', () => {
    const both = {
      json: false,
      help: false,
      scale: 1,
      pipelines: ['stock', 'stockFailover', 'resilient'],
      pressure: true,
      crash: false,
    };
    expect(readArguments([])).toEqual(both);
    expect(readArguments(['--only', 'pressure', '--scale', '0.5'])).toMatchObject({
      scale: 0.5,
      pipelines: [],
      pressure: true,
    });
    expect(readArguments(['--only', 'resilient', '--only', 'stock'])).toMatchObject({
      pipelines: ['stock', 'resilient'],
      pressure: false,
    });
  });

  it('plays the third act when asked to', () => {
    expect(readArguments(['--disk'])).toMatchObject({ pressure: true, crash: true });
    expect(readArguments(['--only', 'crash'])).toMatchObject({ pipelines: [], pressure: false, crash: true });
  });

  it.each([
    [['--only', 'presure'], 'pressure'],
    [['--scale', '0'], '--scale'],
    [['--fast'], '--fast'],
  ])('says what is wrong with %j', (args, complaint) => {
    expect(() => readArguments(args)).toThrow(complaint);
  });
});
