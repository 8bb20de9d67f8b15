import fc from 'fast-check';

/** Attribute values that no serializer expects, and edge cases of those that each does. */

const circularMap: Record<string, unknown> = { name: 'loop' };
circularMap.self = circularMap;
const circularArray: unknown[] = [1];
circularArray.push(circularArray, { again: circularArray });
const ping: Record<string, unknown> = {};
const pong: Record<string, unknown> = { ping, list: [ping, ping] };
ping.pong = pong;

/** No circle, yet 2^8 paths. */
function manyPaths(): unknown {
  let value: unknown = 'end';
  for (let i = 0; i < 8; i++) value = i % 2 ? [value, value] : { left: value, right: value };
  return value;
}

const thrower = () => {
  throw new Error('no');
};
const throwsWithin = {
  before: 1,
  get within(): unknown {
    return thrower();
  },
};
const revoked = (of: object): object => {
  const { proxy, revoke } = Proxy.revocable(of, {});
  revoke();
  return proxy;
};

class Point {
  x = 1;
  private readonly y = 2;
  get sum(): number {
    return this.x + this.y;
  }
}

const sparse: unknown[] = [];
sparse[3] = 'fourth';
const withProtoKey = JSON.parse('{"__proto__":{"polluted":true},"constructor":1,"toString":"text"}') as object;
const inheriting: object = Object.assign(Object.create({ inherited: 'no' }), { own: 'yes' });
const hidden = Object.defineProperty({ shown: 1, [Symbol('key')]: 2 }, 'hidden', { value: 3, enumerable: false });

const exotic: readonly unknown[] = [
  circularMap,
  circularArray,
  ping,
  [pong, pong],
  manyPaths(),
  throwsWithin,
  [1, [throwsWithin]],
  revoked({}),
  revoked([]),
  new Proxy({}, { ownKeys: thrower }),
  new Proxy({ a: 1, b: [2] }, {}),
  new Date(0),
  new Date(Number.NaN),
  new Map([[1, 2]]),
  new Set([1]),
  /x/g,
  new Error('boom'),
  new Point(),
  Symbol('value'),
  () => 1,
  Point,
  new String('boxed'),
  new Number(5),
  Object(5n),
  Object.create(null),
  Object.assign(Object.create(null), { bare: true }),
  sparse,
  new Array(5),
  new Float64Array([1.5, -0]),
  new ArrayBuffer(4),
  new DataView(new ArrayBuffer(4)),
  Buffer.from('buffer'),
  Buffer.alloc(20_000, 1),
  new Uint8Array(0),
  new Uint8Array(Buffer.from('within a larger one').buffer, 3, 5),
  withProtoKey,
  { nested: withProtoKey },
  inheriting,
  hidden,
  { '\ud800': 1, '\ud801': 2, '\udfff': 3 },
  { 10: 'ten', 9: 'nine', b: 1, a: 2 },
  { '': '' },
  [[], {}, null, undefined, [null], Symbol.iterator],
];

const BOUNDARIES = [7, 14, 21, 28, 31, 32, 35, 42, 49, 53, 56, 62, 63, 64];
const around = (value: bigint): bigint[] => [value - 1n, value, value + 1n, -value - 1n, -value, -value + 1n];
const bigints = BOUNDARIES.flatMap((bits) => around(2n ** BigInt(bits)));

const oddNumber = fc.oneof(
  fc.constantFrom(-0, 0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0.1, -1.5, 1e308, 5e-324),
  fc.constantFrom(...bigints.map(Number)),
  fc.constantFrom(2 ** 63 - 1024, -(2 ** 63) - 2048, 2 ** 53 + 2),
);

/** Of so many levels, lists and maps in turns, of which `MAX_DEPTH` are allowed. */
const nested = fc.integer({ min: 1, max: 45 }).map((levels) => {
  let value: unknown = 'bottom';
  for (let i = 0; i < levels; i++) value = i % 3 ? [value, i] : { [`level ${i}`]: value, beside: i };
  return value;
});

const LONE = ['\ud800', '\udbff', '\udc00', '\udfff', 'a\ud800b', '\udc00\ud800', '😀\ud83d', '\ude00😀'];
/** With its surrogates alone, or with a character of several bytes at every place where an encoder may take a turn. */
export const arbitraryOddText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...LONE, '', '\0', '\ufeffBOM', '\uffff', '\u007f\u0080', '\u07ff\u0800'),
  fc
    .tuple(fc.constantFrom(...LONE, '😀', 'é', '€', 'x'), fc.integer({ min: 0, max: 140 }), fc.nat(140))
    .map(([odd, before, after]) => 'a'.repeat(before) + odd + 'b'.repeat(after)),
  fc
    .tuple(fc.constantFrom('x', 'é', '€', '😀', '\ud800'), fc.integer({ min: 1, max: 300 }))
    .map(([s, n]) => s.repeat(n)),
);

/** In a box, since fast-check looks into what it makes, which a revoked proxy does not bear. */
export interface Boxed {
  readonly value: unknown;
}

const boxed = (arbitrary: fc.Arbitrary<unknown>): fc.Arbitrary<Boxed> => arbitrary.map((value) => ({ value }));
const boxedExotic: fc.Arbitrary<Boxed> = fc.constantFrom(...exotic.map((value) => ({ value })));

export const arbitraryHostileValue: fc.Arbitrary<Boxed> = fc.oneof(
  { weight: 4, arbitrary: boxedExotic },
  { weight: 2, arbitrary: boxed(oddNumber) },
  { weight: 2, arbitrary: boxed(fc.constantFrom(...bigints, 10n ** 40n, -(10n ** 40n))) },
  { weight: 2, arbitrary: boxed(arbitraryOddText) },
  { weight: 2, arbitrary: boxed(nested) },
  fc
    .array(fc.oneof(boxed(oddNumber), boxed(arbitraryOddText), boxedExotic), { maxLength: 6 })
    .map((boxes) => ({ value: boxes.map(({ value }) => value) })),
);
