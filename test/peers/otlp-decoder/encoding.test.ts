import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { decodeSpans, encodeSpans, type ReadableSpan, SpanBatch } from '@otel-resilience/core';
import { fakeSpan } from '@otel-resilience/testing';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { arbitrarySpans } from '../../support/arbitrary-spans.js';
import { HOSTILE_SPANS } from '../../support/hostile-spans.js';
import { describeWithPeer } from '../peer.js';
import { DecoderProcess, decodedSpans } from './decoder-process.js';
import { oddSpans } from './odd-spans.js';

/** Spans that are compared with the stock serializer's, at least, of each kind; a fifth of it in the other properties. */
const SPANS = Number(process.env.PEERS_SPANS ?? 2_500);
vi.setConfig({ testTimeout: 60_000 + SPANS * 50 });

describeWithPeer('otlpDecoder', 'what we write, read by the protobuf library of another language', (binary) => {
  let decoder: DecoderProcess;
  beforeAll(() => {
    decoder = new DecoderProcess(binary);
  });
  afterAll(() => decoder.close());
  const read = async (request: Uint8Array) => decodedSpans(await decoder.decode(request));

  it.each([
    ['spans of every shape', arbitrarySpans.map((spans) => spans.map(withoutBigInts))],
    ['spans that no API allows', oddSpans.map((spans) => spans.map(withoutBigInts))],
  ])('says what the stock serializer says: %s', async (_, arbitrary) => {
    await forSpans(
      arbitrary,
      async (spans) => {
        const [ours, stock] = await Promise.all([read(encodeSpans(spans)), read(stockEncode(spans))]);
        expect(ours).toEqual(stock);
        expect(ours).toHaveLength(spans.length);
      },
      SPANS,
    );
  });

  it('says the same after it was decoded and encoded anew', async () => {
    await forSpans(fc.oneof(arbitrarySpans, oddSpans), async (spans) => {
      const once = encodeSpans(spans);
      const twice = encodeSpans(decodeSpans(once));
      expect(await read(twice)).toEqual(await read(once));
    });
  });

  it('reads what stock exporters write, and passes it on as it was', async () => {
    await forSpans(
      arbitrarySpans.map((spans) => spans.map(withoutBigInts)),
      async (spans) => {
        const theirs = stockEncode(spans);
        expect(await read(encodeSpans(decodeSpans(theirs)))).toEqual(await read(theirs));
      },
    );
  });

  it('loses and changes nothing when a batch of bytes is cut and joined', async () => {
    await forSpans(arbitrarySpans, async (spans) => {
      const batch = SpanBatch.fromSpans(spans);
      const whole = Buffer.concat(batch.otlp());
      const middle = Math.ceil(spans.length / 2);
      const cut = [batch.slice(middle), batch.slice(0, middle)];
      const parts = [...batch.partition(({ lane }, index) => `${lane} ${index % 2}`).values()];
      const expected = await read(whole);
      for (const batches of [cut, parts]) {
        if (batches.length === 0) continue;
        expect(await read(Buffer.concat(SpanBatch.join(batches).otlp()))).toEqual(expected);
        const apart = await Promise.all(batches.map((one) => decoder.decode(Buffer.concat(one.otlp()))));
        const resourceSpans = apart.flatMap((one) => one.resourceSpans ?? []);
        expect(decodedSpans({ resourceSpans })).toEqual(expected);
      }
    });
  });

  it('is accepted, whatever attributes hold', async () => {
    const anything = fc.anything({
      maxDepth: 4,
      withBigInt: true,
      withBoxedValues: true,
      withDate: true,
      withMap: true,
      withNullPrototype: true,
      withObjectString: true,
      withSet: true,
      withSparseArray: true,
      withTypedArray: true,
    });
    const spans = fc.dictionary(fc.string(), anything).map((attributes) => [
      fakeSpan({
        attributes: attributes as never,
        links: [{ context: fakeSpan().spanContext(), attributes: attributes as never }],
      }),
    ]);
    await forSpans(spans, async (one) => expect(await read(encodeSpans(one))).toHaveLength(1));
  });

  it.each(Object.keys(HOSTILE_SPANS))('is accepted with a span beside it that %s', async (name) => {
    const spans = await read(encodeSpans([fakeSpan({ index: 1 }), HOSTILE_SPANS[name]!(), fakeSpan({ index: 2 })]));
    expect(spans.length).toBeGreaterThanOrEqual(2);
    expect(spans.length).toBeLessThanOrEqual(3);
  });

  it.each<[string, () => unknown, unknown]>([
    ['a bigint', () => -(2n ** 63n), { intValue: '-9223372036854775808' }],
    ['a bigint beyond 64 bits', () => 2n ** 63n, { stringValue: '9223372036854775808' }],
    ['a value that contains itself', circular, { kvlistValue: { values: [{ key: 'self', value: {} }] } }],
    ['30 arrays, one in the other', () => nested(30), inArrays(30, { stringValue: 'core' })],
    ['31 arrays, one in the other', () => nested(31), inArrays(30, {})],
    ['a megabyte', () => 'é'.repeat(2 ** 19), { stringValue: 'é'.repeat(2 ** 19) }],
    ['half a character', () => 'a\ud83d', { stringValue: 'a\ufffd' }],
  ])('says what can be said of %s', async (_, makeValue, expected) => {
    const attributes = { value: makeValue() } as never;
    const [span] = await read(
      encodeSpans([fakeSpan({ attributes, events: [{ name: 'e', time: [1, 0], attributes }] })]),
    );
    const { attributes: ofSpan, events } = span as { attributes: unknown; events: Array<{ attributes: unknown }> };
    expect([ofSpan, events[0]!.attributes]).toEqual(Array(2).fill([{ key: 'value', value: expected }]));
  });

  it('is no deeper than any protobuf library reads', async () => {
    let value: unknown = 'core';
    for (let i = 0; i < 200; i++) value = { map: value };
    const attributes = { value } as never;
    const link = { context: fakeSpan().spanContext(), attributes };
    const resource = { attributes };
    const event = { name: 'event', time: [1, 0] as [number, number], attributes };
    const [span] = await read(encodeSpans([fakeSpan({ attributes, events: [event], links: [link], resource })]));
    expect(span).toMatchObject({
      droppedAttributesCount: 1,
      events: [{ droppedAttributesCount: 1 }],
      links: [{ droppedAttributesCount: 1 }],
    });
  });

  it('has ten thousand attributes', async () => {
    const attributes = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`key.${i}`, i]));
    const spans = [fakeSpan({ attributes })];
    expect(await read(encodeSpans(spans))).toEqual(await read(stockEncode(spans)));
  });
});

describeWithPeer('otlpDecoder', 'the independent decoder', (binary) => {
  it.each<[string, Uint8Array, RegExp]>([
    ['a string that is not UTF-8', request(span(field(5, [0xff]))), /invalid UTF-8/],
    ['a field that OTLP does not know', request(span(field(100, [1]))), /spans\[0\]: .*unknown fields/],
    ['an id of another size', request(field(1, Array(15).fill(1))), /spans\[0\]\.trace_id: 15 bytes/],
    ['a span without an id', request(field(1, Array(16).fill(1))), /spans\[0\]\.span_id: 0 bytes/],
    ['half a request', request(span()).subarray(0, 20), /unexpected EOF|invalid/],
    ['what is too deep', request(span(attribute(50))), /recursion/],
  ])('refuses %s', async (_, bytes, error) => {
    const decoder = new DecoderProcess(binary);
    await expect(decoder.decode(bytes)).rejects.toThrow(error);
    expect(decodedSpans(await decoder.decode(request(span(attribute(40)))))).toHaveLength(1);
    decoder.close();
  });
});

/** Runs a property over spans, as often as it takes; fast-check prints the seed of one that fails. */
async function forSpans(
  arbitrary: fc.Arbitrary<ReadableSpan[]>,
  check: (spans: ReadableSpan[]) => Promise<void>,
  atLeast = SPANS / 5,
) {
  let seen = 0;
  while (seen < atLeast) {
    await fc.assert(
      fc.asyncProperty(arbitrary, async (spans) => {
        seen += spans.length;
        await check(spans);
      }),
      { numRuns: RUNS },
    );
  }
}

const RUNS = 50;

function stockEncode(spans: readonly ReadableSpan[]): Uint8Array {
  return ProtobufTraceSerializer.serializeRequest(spans as never)!;
}

/** The stock serializer knows no bigint. Resources and scopes stay the same objects. */
function withoutBigInts(span: ReadableSpan): ReadableSpan {
  const { attributes, events, links } = span;
  return { ...span, ...numbersFor({ attributes, events, links }) };
}

function numbersFor<T>(value: T): T {
  if (typeof value === 'bigint') return Number(value) as T;
  if (Array.isArray(value)) return value.map(numbersFor) as T;
  if (typeof value !== 'object' || value === null || ![Object.prototype, null].includes(Object.getPrototypeOf(value))) {
    return value;
  }
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, numbersFor(member)])) as T;
}

function circular() {
  const value: Record<string, unknown> = {};
  value.self = value;
  return value;
}

function nested(levels: number): unknown {
  let value: unknown = 'core';
  for (let i = 0; i < levels; i++) value = [value];
  return value;
}

function inArrays(levels: number, core: unknown): unknown {
  let value = core;
  for (let i = 0; i < levels; i++) value = { arrayValue: { values: [value] } };
  return value;
}

/** A length-delimited field, by hand. */
function field(number: number, content: ArrayLike<number>): number[] {
  return [...varint(number * 8 + 2), ...varint(content.length), ...Array.from(content)];
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}

const request = (content: number[]) => Uint8Array.from(field(1, field(2, field(2, content))));
const span = (more: number[] = []) => [...field(1, Array(16).fill(1)), ...field(2, Array(8).fill(2)), ...more];

function attribute(levels: number): number[] {
  let value = field(1, [0x78]);
  for (let i = 0; i < levels; i++) value = field(5, field(1, value));
  return field(9, [...field(1, [0x6b]), ...field(2, value)]);
}
