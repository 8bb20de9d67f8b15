import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemClock } from './clock.js';
import {
  aClock,
  anyExporter,
  boolean,
  ConfigurationError,
  callback,
  integer,
  list,
  millis,
  number,
  type OptionReader,
  oneOf,
  optional,
  positiveInteger,
  ratio,
  readOptions,
  shape,
  text,
} from './options.js';

function refusal(read: () => unknown): ConfigurationError {
  try {
    read();
  } catch (error) {
    if (error instanceof ConfigurationError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

const SCHEMA = {
  maxQueueSize: positiveInteger({ default: 10_000 }),
  delayMillis: millis({ default: 5_000, max: 60_000 }),
  dropPolicy: oneOf(['newest', 'oldest'], { default: 'oldest' }),
  names: list(text()),
};

describe('readOptions', () => {
  it('says what to write instead of an exporter in the place of the options', () => {
    const exporter = { url: 'http://a', export: () => {}, shutdown: async () => {} };
    const error = refusal(() => readOptions('Batcher', exporter, { exporter: anyExporter() }));
    expect(error.path).toBe('Batcher');
    expect(error.message).toContain('new Batcher({ exporter })');
  });

  it('takes what is given and the defaults for the rest', () => {
    expect(readOptions('Owner', { maxQueueSize: 5, names: ['a'], delayMillis: undefined }, SCHEMA)).toEqual({
      maxQueueSize: 5,
      delayMillis: 5_000,
      dropPolicy: 'oldest',
      names: ['a'],
    });
  });

  it('reads options once: what is changed afterwards changes nothing', () => {
    const options = { maxQueueSize: 5, names: ['a', 'b'], nested: { weights: [1] } };
    const schema = { ...SCHEMA, nested: shape({ weights: list(number({ default: 1 })) }) };
    const read = readOptions('Owner', options, schema);
    options.maxQueueSize = 1;
    options.names.push('c');
    options.nested.weights[0] = 9;
    expect(read).toMatchObject({ maxQueueSize: 5, names: ['a', 'b'], nested: { weights: [1] } });
    expect(() => {
      (read as { maxQueueSize: number }).maxQueueSize = 1;
    }).toThrow(TypeError);
    expect(() => (read.names as string[]).push('c')).toThrow(TypeError);
  });

  it('names the keys there are when it meets one there is not', () => {
    const error = refusal(() => readOptions('Owner', { maxQueueSice: 5, names: [] }, SCHEMA));
    expect(error.path).toBe('Owner.maxQueueSice');
    expect(error.expected).toBe('one of maxQueueSize, delayMillis, dropPolicy, names');
  });

  it('does not take what every object inherits for a known key', () => {
    expect(refusal(() => readOptions('Owner', { toString: 1, names: [] }, SCHEMA)).path).toBe('Owner.toString');
  });

  it.each([[undefined], [null], [[]], ['options'], [() => {}]])('refuses %j as an options object', (options) => {
    expect(refusal(() => readOptions('Owner', options, SCHEMA))).toMatchObject({
      path: 'Owner',
      expected: 'an options object',
    });
  });

  it('finds its way into nested options and lists', () => {
    const schema = { endpoints: list(shape({ name: text(), weight: ratio({ default: 1 }) }), { min: 1 }) };
    const options = { endpoints: [{ name: 'a' }, { name: 'b', weight: 2 }] };
    expect(refusal(() => readOptions('Failover', options, schema)).message).toBe(
      'Failover.endpoints[1].weight: expected a number from 0 to 1, got 2',
    );
  });
});

const EXPORTER = { export() {}, async shutdown() {} };

describe('every reader', () => {
  it.each<[string, OptionReader<unknown>, unknown, unknown]>([
    ['number', number({ default: 7 }), undefined, 7],
    ['number', number({ default: 7 }), -0.5, -0.5],
    ['number at its bounds', number({ default: 7, min: 1, max: 9 }), 9, 9],
    ['integer', integer({ default: 7, min: 0 }), 0, 0],
    ['positiveInteger', positiveInteger({ default: 7 }), 1, 1],
    ['millis', millis({ default: 7 }), 0, 0],
    ['ratio', ratio({ default: 0.5 }), 1, 1],
    ['boolean', boolean({ default: true }), undefined, true],
    ['boolean', boolean({ default: true }), false, false],
    ['oneOf', oneOf(['a', 'b'], { default: 'a' }), 'b', 'b'],
    ['text', text(), 'a', 'a'],
    ['optional', optional(text()), undefined, undefined],
    ['optional', optional(text()), 'a', 'a'],
    ['optional dependency', optional(aClock), systemClock, systemClock],
    ['list', list(text()), [], []],
    ['anyExporter', anyExporter(), EXPORTER, EXPORTER],
  ])('reads: %s', (_, read, value, expected) => {
    expect(read(value, 'Owner.option')).toEqual(expected);
  });

  it.each<[string, OptionReader<unknown>, unknown, string, string]>([
    ['number', number({ default: 1 }), Number.NaN, 'a number', 'NaN'],
    ['number', number({ default: 1 }), '5', 'a number', "'5'"],
    ['number', number({ default: 1 }), null, 'a number', 'null'],
    ['number', number({ default: 1, min: 0 }), -1, 'a number of at least 0', '-1'],
    ['number', number({ default: 1, max: 9 }), 10, 'a number of at most 9', '10'],
    ['number', number({ default: 1, min: 0, max: 9 }), Number.POSITIVE_INFINITY, 'a number from 0 to 9', 'Infinity'],
    ['integer', integer({ default: 1 }), 1.5, 'an integer', '1.5'],
    ['integer', integer({ default: 1 }), 2 ** 53, 'an integer', '9007199254740992'],
    ['integer', integer({ default: 1, max: 3 }), 5n, 'an integer of at most 3', '5'],
    ['positiveInteger', positiveInteger({ default: 1 }), 0, 'an integer of at least 1', '0'],
    ['positiveInteger', positiveInteger({ default: 1, max: 5 }), 6, 'an integer from 1 to 5', '6'],
    ['millis', millis({ default: 1 }), -1, 'a number of at least 0', '-1'],
    ['ratio', ratio({ default: 1 }), 1.01, 'a number from 0 to 1', '1.01'],
    ['boolean', boolean({ default: true }), 'true', 'true or false', "'true'"],
    ['oneOf', oneOf(['a', 'b'], { default: 'a' }), 'c', 'one of a, b', "'c'"],
    ['text', text(), '', 'a non-empty string', "''"],
    ['text', text(), undefined, 'a non-empty string', 'undefined'],
    ['optional', optional(text()), 5, 'a non-empty string', '5'],
    [
      'optional dependency',
      optional(aClock),
      'clock',
      'a Clock (an object with now, wallTime, setTimeout, clearTimeout)',
      "'clock'",
    ],
    [
      'dependency without its methods',
      aClock,
      { now: () => 0 },
      'a Clock (an object with now, wallTime, setTimeout, clearTimeout)',
      'an object with now',
    ],
    ['callback', callback(), {}, 'a function', 'an object with no keys'],
    ['list', list(text()), 'a', 'a list', "'a'"],
    ['list', list(text(), { min: 2 }), ['a'], 'a list of at least 2', 'a list of 1'],
    [
      'anyExporter',
      anyExporter(),
      { export() {} },
      'a SpanExporter (with export and shutdown) or a SpanBatchExporter',
      'an object with export',
    ],
    [
      'anyExporter',
      anyExporter(),
      () => {},
      'a SpanExporter (with export and shutdown) or a SpanBatchExporter',
      'a function',
    ],
    ['text', text(), Symbol('s'), 'a non-empty string', 'Symbol(s)'],
  ])('says where, what was expected and what came: %s', (_, read, value, expected, got) => {
    const error = refusal(() => read(value, 'Owner.option'));
    expect(error).toMatchObject({ name: 'ConfigurationError', path: 'Owner.option', expected, got });
    expect(error.message).toBe(`Owner.option: expected ${expected}, got ${got}`);
  });

  it('names the item of a list, holes included', () => {
    expect(refusal(() => list(text())(['a', 7], 'Owner.names')).path).toBe('Owner.names[1]');
    expect(refusal(() => list(text())(new Array(1), 'Owner.names')).path).toBe('Owner.names[0]');
  });

  it('shortens what came', () => {
    expect(refusal(() => oneOf(['a'], { default: 'a' })('x'.repeat(1_000), 'p')).got.length).toBeLessThan(70);
    expect(refusal(() => text()({ a: 1, b: 2, c: 3, d: 4, e: 5, f: 6 }, 'p')).got).toBe('an object with a, b, c, d, e');
  });

  it('either returns a value within its rule or throws a ConfigurationError, whatever comes', () => {
    const readers: ReadonlyArray<readonly [OptionReader<unknown>, (value: never) => boolean]> = [
      [number({ default: 1, min: -3, max: 3 }), (v: number) => v >= -3 && v <= 3],
      [integer({ default: 1, min: 0 }), (v: number) => Number.isSafeInteger(v) && v >= 0],
      [ratio({ default: 1 }), (v: number) => v >= 0 && v <= 1],
      [boolean({ default: true }), (v: boolean) => v === true || v === false],
      [oneOf(['a', 'b'], { default: 'a' }), (v: string) => v === 'a' || v === 'b'],
      [text(), (v: string) => typeof v === 'string' && v !== ''],
      [list(text()), (v: string[]) => v.every((item) => typeof item === 'string')],
      [callback(), (v: unknown) => typeof v === 'function'],
    ];
    fc.assert(
      fc.property(
        fc.constantFrom(...readers),
        fc.oneof(fc.anything(), fc.double(), fc.string()),
        ([read, holds], value) => {
          let got: unknown;
          try {
            got = read(value, 'Owner.option');
          } catch (error) {
            expect(error).toBeInstanceOf(ConfigurationError);
            return;
          }
          expect(holds(got as never)).toBe(true);
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
