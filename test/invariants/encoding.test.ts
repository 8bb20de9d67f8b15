import { isDeepStrictEqual } from 'node:util';
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { decodeSpans, encodeSpans, type ReadableSpan } from '@otel-resilience/core';
import { fakeSpan } from '@otel-resilience/testing';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { RESOURCE_MEMBERS, SCOPE_MEMBERS, withMember } from '../support/hostile-members.js';
import { HOSTILE_SPANS } from '../support/hostile-spans.js';
import { normalise } from '../support/normalise.js';
import { decodeWireContent, lastKeyWins, RequestType, type WireSpan } from '../support/otlp-proto.js';
import { arbitrarySpanMix, ODDITIES, oddSpan } from '../support/span-mixes.js';

// How many spans the properties see together; ENCODING_FUZZ_SPANS=10000000 is a campaign. fast-check prints the seed.
const SPANS = Number(process.env.ENCODING_FUZZ_SPANS ?? 100_000);
vi.setConfig({ testTimeout: 30_000 + SPANS });
/** A mix has up to 150 spans, and at least 60 on average. */
const runsFor = (share: number) => ({ numRuns: Math.ceil((SPANS * share) / 60) });

const stockBytes = (spans: readonly ReadableSpan[]): Uint8Array =>
  ProtobufTraceSerializer.serializeRequest(spans as never)!;

const usual = arbitrarySpanMix();
const hostile = arbitrarySpanMix({ hostile: true });

describe('encodeSpans', () => {
  it('says what the stock serializer says, by an independent decoder', () => {
    fc.assert(
      fc.property(usual, (spans) => {
        expectSame(decodeWireContent([encodeSpans(spans)]), decodeWireContent([stockBytes(spans)]));
      }),
      runsFor(0.25),
    );
  });

  it('says what NORMALISE.md says, whatever the spans are, and never throws', () => {
    fc.assert(
      fc.property(hostile, (spans) => {
        expectSame(decodeWireContent([encodeSpans(spans)]), normalise(spans));
      }),
      runsFor(0.35),
    );
  });

  it('says so of each way in which a member can be odd, on its own', () => {
    const oddResources = membersOf(RESOURCE_MEMBERS).map((member) =>
      fakeSpan({ resource: withMember({ attributes: { 'service.name': 'shop' } }, ...member) }),
    );
    const oddScopes = membersOf(SCOPE_MEMBERS).map((member) =>
      fakeSpan({ instrumentationScope: withMember({ name: 'scope', version: '1' }, ...member) }),
    );
    const spans = [...ODDITIES.map(oddSpan), ...oddResources, ...oddScopes];
    for (const span of spans) expectSame(decodeWireContent([encodeSpans([span])]), normalise([span]));
    // And between others, of which none may be lost for its sake.
    for (const span of spans) {
      const between = [fakeSpan({ index: 1 }), span, fakeSpan({ index: 2 })];
      expectSame(decodeWireContent([encodeSpans(between)]), normalise(between));
    }
  });

  it.each(Object.keys(HOSTILE_SPANS))('says so of a span that %s', (shape) => {
    const spans = [fakeSpan(), HOSTILE_SPANS[shape]!(), fakeSpan()];
    expectSame(decodeWireContent([encodeSpans(spans)]), normalise(spans));
  });

  it('takes no byte more than an independent encoder does', () => {
    fc.assert(
      fc.property(fc.oneof(usual, hostile), (spans) => {
        const bytes = encodeSpans(spans);
        expectSameBytes(bytes, RequestType.encode(RequestType.decode(bytes)).finish());
      }),
      runsFor(0.15),
    );
  });

  it('says the same when it has nothing to remember yet, and when it has', async () => {
    for (let i = 0; i < 8; i++) {
      vi.resetModules();
      const fresh: typeof import('@otel-resilience/core') = await import('@otel-resilience/core');
      const say = (spans: readonly ReadableSpan[]) =>
        expectSame(decodeWireContent([fresh.encodeSpans(spans)]), normalise(spans));
      fc.assert(fc.property(i % 2 ? usual : hostile, say), { numRuns: 20 });
      if (i === 0) for (const oddity of ODDITIES) for (const span of Array(3).fill(oddSpan(oddity))) say([span]);
    }
  });

  it('gives the same bytes for the same spans, whatever was encoded before', () => {
    fc.assert(
      fc.property(usual, fc.array(fc.nat(149)), (spans, before) => {
        const bytes = encodeSpans(spans);
        encodeSpans(before.flatMap((index) => spans[index] ?? []));
        expectSameBytes(encodeSpans(spans), bytes);
      }),
      { numRuns: 50 },
    );
  });
});

describe('decodeSpans', () => {
  it('gives spans that say what the bytes say, and that are encoded to the same bytes', () => {
    fc.assert(
      fc.property(fc.oneof(usual, hostile), (spans) => {
        const bytes = encodeSpans(spans);
        const content = normalise(spans);
        const decoded = decodeSpans(bytes);
        const distinct = content.map(lastKeyWins);
        expectSame(normalise(decoded), distinct);
        const again = encodeSpans(decoded);
        // Keys that were different, and are not any more once U+FFFD stands in them for what UTF-8 cannot say.
        const keysRepeat = !isDeepStrictEqual(content, distinct);
        if (keysRepeat) expectSame(decodeWireContent([again]), distinct);
        else expectSameBytes(again, bytes);
      }),
      runsFor(0.25),
    );
  });

  it('reads the stock serializer as well', () => {
    fc.assert(
      fc.property(usual, (spans) => {
        const bytes = stockBytes(spans);
        expectSame(normalise(decodeSpans(bytes)), decodeWireContent([bytes]).map(lastKeyWins));
      }),
      { numRuns: 100 },
    );
  });

  it('gives spans that the stock serializer takes for what they are', () => {
    fc.assert(
      fc.property(usual, (spans) => {
        const bytes = encodeSpans(spans);
        const again = stockBytes(decodeSpans(bytes));
        expectSame(decodeWireContent([again]), decodeWireContent([bytes]).map(lastKeyWins));
      }),
      { numRuns: 100 },
    );
  });
});

function expectSame(actual: readonly WireSpan[], expected: readonly WireSpan[]): void {
  // The one is fast, the other says what differs.
  if (!isDeepStrictEqual(actual, expected)) expect(actual).toStrictEqual(expected);
}

function expectSameBytes(actual: Uint8Array, expected: Uint8Array): void {
  if (Buffer.compare(actual, expected) === 0) return;
  expect(decodeWireContent([actual])).toStrictEqual(decodeWireContent([expected]));
  expect(Buffer.from(actual).toString('hex')).toBe(Buffer.from(expected).toString('hex'));
}

function membersOf(members: Readonly<Record<string, readonly unknown[]>>): [name: string, value: unknown][] {
  return Object.entries(members).flatMap(([name, values]) => values.map((value) => [name, value] as [string, unknown]));
}
