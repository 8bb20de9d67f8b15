import { ConfigurationError } from '@otel-resilience/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { COMPONENTS, type NumberRule } from './components.js';

function errorOf(make: () => unknown): ConfigurationError {
  try {
    make();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigurationError);
    return error as ConfigurationError;
  }
  throw new Error('nothing was thrown');
}

/** The error says where, what was expected, and what came. */
function expectBlame(make: () => unknown, path: string, got?: string): void {
  const error = errorOf(make);
  expect(error.path).toBe(path);
  expect(error.expected).not.toBe('');
  if (got !== undefined) expect(error.got).toBe(got);
  expect(error.message).toBe(`${path}: expected ${error.expected}, got ${error.got}`);
  expect(error.name).toBe('ConfigurationError');
}

function wrongNumbers({ min = 0, max, fractions }: NumberRule): Array<[unknown, string]> {
  return [
    [min > 0 && min < 1 ? 0 : min - 1, String(min > 0 && min < 1 ? 0 : min - 1)],
    [-1, '-1'],
    ...(max === undefined ? [] : [[max + 1, String(max + 1)] as [unknown, string]]),
    ...(fractions ? [] : [[min + 0.5, String(min + 0.5)] as [unknown, string]]),
    [Number.NaN, 'NaN'],
    [Number.POSITIVE_INFINITY, 'Infinity'],
    [Number.NEGATIVE_INFINITY, '-Infinity'],
    ['5', "'5'"],
    [null, 'null'],
    [true, 'true'],
    [5n, '5'],
    [{ valueOf: () => 5 }, 'an object with valueOf'],
    [[5], 'a list of 1'],
    [() => 5, 'a function'],
  ];
}

describe.each(COMPONENTS)('$owner', ({ owner, make, valid, numbers, words, contradictions }) => {
  it('takes its smallest options, frozen or without a prototype', () => {
    make(Object.freeze(valid()));
    make(Object.assign(Object.create(null), valid()));
  });

  it.each(Object.entries(numbers))('refuses a wrong %s', (option, rule) => {
    for (const [value, got] of wrongNumbers(rule)) {
      expectBlame(() => make({ ...valid(), [option]: value }), `${owner}.${option}`, got);
    }
    make({ ...valid(), [option]: undefined });
  });

  it('refuses words it does not know', () => {
    for (const option of words) {
      for (const value of ['hope', '', 'constructor', 'toString', 5, null, ['priority']]) {
        expectBlame(() => make({ ...valid(), [option]: value }), `${owner}.${option}`);
      }
    }
  });

  it('refuses keys it does not know, and says which it does', () => {
    for (const key of ['maxQueueSizes', 'constructor', 'toString', '']) {
      const error = errorOf(() => make({ ...valid(), [key]: undefined }));
      expect(error.path).toBe(`${owner}.${key}`);
      for (const known of [...Object.keys(numbers), ...words]) expect(error.expected).toContain(known);
    }
  });

  it('has no number among its options that is not tried here', () => {
    const { expected } = errorOf(() => make({ ...valid(), misspelt: 1 }));
    const keys = expected.replace('one of ', '').split(', ');
    expect(keys).toEqual(expect.arrayContaining([...Object.keys(numbers), ...words]));
    for (const key of keys) {
      if (!(key in numbers)) expect(errorOf(() => make({ ...valid(), [key]: 5 })).path).toContain(owner);
    }
  });

  it('refuses options that contradict each other, and names the one to change', () => {
    for (const [option, options] of contradictions) {
      expectBlame(() => make({ ...valid(), ...options }), `${owner}.${option}`);
    }
  });

  it('refuses what is no options object', () => {
    const noOptions = [null, 5, 'text', true, () => {}, [valid()], Symbol('options')];
    for (const value of noOptions) errorOf(() => make(value));
    const required = Object.keys(valid()).length > 0;
    if (required) errorOf(() => make({}));
    if (required && owner !== 'adaptSpanExporter') errorOf(() => make(undefined));
  });

  it('throws nothing but a ConfigurationError, whatever the options are', () => {
    const keys = [...Object.keys(valid()), ...Object.keys(numbers), ...words, 'name', 'misspelt'];
    const anything = fc.dictionary(
      fc.constantFrom(...keys),
      fc.anything({ withBigInt: true, withNullPrototype: true }),
    );
    fc.assert(
      fc.property(anything, fc.boolean(), (options, complete) => {
        try {
          make(complete ? { ...valid(), ...options } : options);
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigurationError);
        }
      }),
      { numRuns: 200 },
    );
  });
});
