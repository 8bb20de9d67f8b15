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

  it.each([
    [['--only', 'presure'], 'pressure'],
    [['--scale', '0'], '--scale'],
    [['--fast'], '--fast'],
  ])('says what is wrong with %j', (args, complaint) => {
    expect(() => readArguments(args)).toThrow(complaint);
  });
});
