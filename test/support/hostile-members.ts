/** What members of a span, an event or a link may be when nobody has checked them; `Throws` are getters that do. */

export const THROWS: unique symbol = Symbol('throws');

type Members = Readonly<Record<string, readonly unknown[]>>;

const thrower = (): never => {
  throw new Error('no');
};
const revoked = (of: object): object => {
  const { proxy, revoke } = Proxy.revocable(of, {});
  revoke();
  return proxy;
};

const TEXTS = [
  THROWS,
  undefined,
  null,
  42,
  0,
  -0,
  false,
  10n,
  0n,
  Symbol('text'),
  {},
  ['a'],
  '\ud800',
  '',
  new String('boxed'),
];
const COUNTS = [
  THROWS,
  undefined,
  null,
  -1,
  -0,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  1.9,
  0.9,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 53,
  '5',
  5n,
  {},
];
const TIMES = [
  THROWS,
  undefined,
  null,
  5,
  'yesterday',
  new Date(),
  {},
  [],
  [1],
  [undefined, 5],
  [Number.NaN, 0],
  [1, Number.NaN],
  [1.5, 0],
  [1.1, 0.9],
  [-1, 0],
  [-1, 2e9],
  [0, -1],
  [1, -1],
  [1, 1e9],
  [1, 5e9 + 7],
  [1, 0.7],
  [4, 294_967_295],
  [4, 294_967_296],
  [4, 294_967_297],
  [2 ** 32, 5],
  [2 ** 53, 999_999_999],
  [1e300, 0],
  [0, 1e300],
  [Number.POSITIVE_INFINITY, 0],
  [Number.NEGATIVE_INFINITY, 0],
  [0, Number.POSITIVE_INFINITY],
  [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  [18_446_744_073, 709_551_614],
  [18_446_744_073, 709_551_615],
  [18_446_744_073, 709_551_616],
  [18_446_744_074, 0],
  ['1', '5'],
  [1, '5'],
  ['1', 5],
  [1n, 2n],
  [1, 2n],
  [null, null],
  [{ valueOf: () => 1 }, 5],
  [Symbol('time'), 0],
  Object.defineProperty([1, 2], 1, { get: thrower }),
  [1, 2, 3],
];
const ATTRIBUTES = [
  THROWS,
  undefined,
  null,
  5,
  'text',
  ['a', 'b'],
  new Map([['a', 1]]),
  () => 1,
  Object.assign(() => 1, { member: 1 }),
  revoked({}),
  new Proxy({}, { ownKeys: thrower }),
  Object.assign(Object.create({ inherited: 1 }), { own: 2 }),
  Object.assign(Object.create(null), { bare: 1 }),
  { good: 1, bad: { [Symbol.toPrimitive]: thrower } },
  Object.defineProperty({ before: 1, after: 'text' }, 'bad', { get: thrower, enumerable: true }),
  Object.defineProperties({}, { bad: { get: thrower, enumerable: true }, worse: { get: thrower, enumerable: true } }),
];
const TRACE_STATES = [
  THROWS,
  null,
  'a=b',
  {},
  { serialize: thrower },
  { serialize: () => 5 },
  { serialize: () => '' },
  { serialize: () => undefined },
  { serialize: () => 'lone=\ud800' },
  { serialize: () => ` spaces , a=b,${'long'.repeat(200)}` },
];
const TRACE_FLAGS = [THROWS, undefined, null, 257, -1, Number.NaN, '1', 1n, 1.5, {}];
const REMOTE = [THROWS, null, 1, 0, '', 'yes', {}];
const ODD_IDS = [THROWS, undefined, null, '', 5, {}, [], 'x', '0x1f', '0 1', 'é', '\ud800', '-1', 'g'.repeat(16)];
const TRACE_IDS = [
  ...ODD_IDS,
  'ABCDEF0123456789abcdef0123456789',
  'abc',
  '0',
  '0'.repeat(32),
  '1'.repeat(33),
  'é'.repeat(32),
  new String('1'.repeat(32)),
];
const SPAN_IDS = [
  ...ODD_IDS,
  'ABCDEF0123456789',
  'abc',
  '0',
  '0'.repeat(16),
  '1'.repeat(17),
  `${'1'.repeat(15)}G`,
  new String('1'.repeat(16)),
];
const OBJECTS = [THROWS, undefined, null, 5, 'text', [], revoked({})];

export const CONTEXT_MEMBERS: Members = {
  traceId: TRACE_IDS,
  spanId: SPAN_IDS,
  traceState: TRACE_STATES,
  traceFlags: TRACE_FLAGS,
  isRemote: REMOTE,
};
export const EVENT_MEMBERS: Members = {
  time: TIMES,
  name: TEXTS,
  attributes: ATTRIBUTES,
  droppedAttributesCount: COUNTS,
};
export const LINK_MEMBERS: Members = { context: OBJECTS, attributes: ATTRIBUTES, droppedAttributesCount: COUNTS };
export const STATUS_MEMBERS: Members = { code: [THROWS, undefined, 3, -1, 1.5, '2', 2n, Number.NaN], message: TEXTS };
export const RESOURCE_MEMBERS: Members = { attributes: ATTRIBUTES, schemaUrl: TEXTS };
export const SCOPE_MEMBERS: Members = {
  name: TEXTS,
  version: TEXTS,
  schemaUrl: TEXTS,
  attributes: [...ATTRIBUTES, { key: 'value', list: [1, 'two'] }],
  droppedAttributesCount: COUNTS,
};
export const SPAN_MEMBERS: Members = {
  name: TEXTS,
  kind: [THROWS, undefined, null, -1, 5, 1.5, '2', 2n, Number.NaN, -0],
  parentSpanContext: [...OBJECTS, { isRemote: true }, { spanId: '', isRemote: true }],
  startTime: TIMES,
  endTime: TIMES,
  status: OBJECTS,
  attributes: ATTRIBUTES,
  events: [
    ...OBJECTS,
    {},
    { length: 2 },
    'events',
    new Set([1]),
    [undefined, null, 5, {}],
    new Array(3),
    [revoked({})],
  ],
  links: [...OBJECTS, {}, { length: 2 }, 'links', new Set([1]), [undefined, null, 5, {}], new Array(3), [revoked({})]],
  droppedAttributesCount: COUNTS,
  droppedEventsCount: COUNTS,
  droppedLinksCount: COUNTS,
  resource: [...OBJECTS, {}],
  instrumentationScope: [...OBJECTS, {}],
  duration: TIMES,
  ended: [THROWS, false, undefined],
  spanContext: [THROWS, undefined, 5, () => undefined, () => null, () => 5, thrower, () => revoked({})],
};

/** A copy of `object` whose member is this. */
export function withMember<T extends object>(object: T, name: string, value: unknown): T {
  const descriptor = value === THROWS ? { get: thrower } : { value };
  return Object.create(Object.prototype, {
    ...Object.getOwnPropertyDescriptors(object),
    [name]: { ...descriptor, enumerable: true, configurable: true },
  });
}
