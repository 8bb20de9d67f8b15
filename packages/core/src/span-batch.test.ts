import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arbitrarySpans, inWireOrder } from '../../../test/support/arbitrary-spans.js';
import { decodeWireSpans } from '../../../test/support/otlp-proto.js';
import { UnreadableSpansError } from './otlp/encoder.js';
import type { ReadableSpan } from './sdk-types.js';
import { SpanBatch } from './span-batch.js';
import { type SpanHead, spanHead, summarize } from './span-batch-summary.js';

const encode = (spans: readonly ReadableSpan[]): Uint8Array =>
  ProtobufTraceSerializer.serializeRequest(spans as never)!;

/** The same spans in both forms, in the order in which the encoder writes them. */
const bothForms = arbitrarySpans.map(inWireOrder).map((spans) => ({
  spans,
  ofSpans: SpanBatch.fromSpans(spans),
  ofBytes: SpanBatch.fromBytes([encode(spans)], summarize(spans.map(spanHead))),
}));

function expectSame(ofBytes: SpanBatch, ofSpans: SpanBatch): void {
  expect(ofBytes.spanCount).toBe(ofSpans.spanCount);
  expect(ofBytes.summary).toEqual(ofSpans.summary);
  expect(decodeWireSpans(ofBytes.otlp())).toEqual(decodeWireSpans([encode(ofSpans.spans())]));
  expect(ofBytes.byteLength).toBe(encode(ofSpans.spans()).byteLength);
}

const spanNamed = (name: string): ReadableSpan => ({
  name,
  kind: 0,
  spanContext: () => ({ traceId: '0'.repeat(31) + name.length, spanId: '0000000000000001', traceFlags: 1 }),
  startTime: [1, 500_000_000],
  endTime: [2, 0],
  duration: [0, 0],
  ended: true,
  status: { code: 0 },
  attributes: {},
  links: [],
  events: [],
  resource: { attributes: { 'service.name': 'shop' } },
  instrumentationScope: { name: 'scope' },
  droppedAttributesCount: 0,
  droppedEventsCount: 0,
  droppedLinksCount: 0,
});
const names = (batch: SpanBatch | undefined): string[] | undefined => batch?.spans().map(({ name }) => name);

describe('SpanBatch', () => {
  it('slices bytes to the same spans as it slices spans', () => {
    const index = fc.option(fc.integer({ min: -15, max: 15 }), { nil: undefined });
    fc.assert(
      fc.property(bothForms, index, index, ({ ofSpans, ofBytes }, start = 0, end) => {
        expectSame(ofBytes.slice(start, end), ofSpans.slice(start, end));
      }),
    );
  });

  it('joins batches of either form into what they were cut from', () => {
    const cuts = fc.array(fc.nat(15), { maxLength: 3 }).map((at) => [...at, 0, 15].sort((a, b) => a - b));
    fc.assert(
      fc.property(bothForms, cuts, ({ ofSpans, ofBytes }, at) => {
        for (const whole of [ofSpans, ofBytes]) {
          const joined = SpanBatch.join(at.slice(1).map((end, i) => whole.slice(at[i]!, end)));
          expect(joined.spanCount).toBe(whole.spanCount);
          expect(joined.summary).toEqual(whole.summary);
          expect(decodeWireSpans(whole === ofSpans ? [encode(joined.spans())] : joined.otlp())).toEqual(
            decodeWireSpans([encode(ofSpans.spans())]),
          );
        }
      }),
      { numRuns: 50 },
    );
    expect(SpanBatch.join([]).spanCount).toBe(0);
  });

  it('partitions bytes into the same batches as it partitions spans, each span in exactly one', () => {
    const keys: ReadonlyArray<(head: SpanHead, index: number) => unknown> = [
      ({ lane }) => lane,
      ({ service }) => service,
      ({ traceId }) => traceId.at(-1),
      ({ startMillis }) => startMillis > 2_000_000_000_000,
      (_, index) => index % 3,
    ];
    fc.assert(
      fc.property(bothForms, fc.constantFrom(...keys), ({ ofSpans, ofBytes }, keyOf) => {
        const expected = ofSpans.partition(keyOf);
        const parts = ofBytes.partition(keyOf);
        expect([...parts.keys()]).toEqual([...expected.keys()]);
        for (const [key, part] of parts) expectSame(part, expected.get(key)!);
        const total = [...parts.values()].reduce((sum, part) => sum + part.spanCount, 0);
        expect(total).toBe(ofSpans.spanCount);
      }),
      { numRuns: 50 },
    );
  });

  it('knows the encoded size of spans within 20 %, resource and scope included', () => {
    fc.assert(
      fc.property(arbitrarySpans, (spans) => {
        const batch = SpanBatch.fromSpans(spans);
        const written = batch.otlp().reduce((bytes, chunk) => bytes + chunk.byteLength, 0);
        expect(Math.abs(batch.byteLength - written)).toBeLessThanOrEqual(0.2 * written);
      }),
    );
  });

  it('takes the size that the caller has counted already', () => {
    expect(SpanBatch.fromSpans([spanNamed('a')], { byteLength: 4711 }).byteLength).toBe(4711);
  });

  it('is not changed by its maker or by its readers', () => {
    const source = [spanNamed('a'), spanNamed('b')];
    const batch = SpanBatch.fromSpans(source);
    source.pop();
    batch.spans().pop();
    expect(batch.spanCount).toBe(2);
    expect(names(batch)).toEqual(['a', 'b']);
  });

  it('keeps the order of spans and gives each key of a partition its own batch', () => {
    const batch = SpanBatch.fromSpans(['a', 'bb', 'c', 'dd'].map(spanNamed));
    const parts = batch.partition((_, index) => (index < 1 ? 'first' : 'others'));
    expect(names(parts.get('first'))).toEqual(['a']);
    expect(names(parts.get('others'))).toEqual(['bb', 'c', 'dd']);
    expect(names(batch.slice(-2))).toEqual(['c', 'dd']);
    expect(batch.slice(3, 1).spanCount).toBe(0);
  });

  it.each(['spans', 'bytes'])('of %s is not divided by keys that are not one for each span', (form) => {
    const spans = ['a', 'b'].map(spanNamed);
    const batch = form === 'spans' ? SpanBatch.fromSpans(spans) : SpanBatch.fromBytes([encode(spans)]);
    for (const keys of [[], ['x'], ['x', 'y', 'z']]) expect(() => batch.divide(keys)).toThrow(RangeError);
  });

  describe('when it must change its form', () => {
    it('gives the old form up, and says the same', () => {
      fc.assert(
        fc.property(arbitrarySpans.map(inWireOrder), (spans) => {
          const batch = SpanBatch.fromSpans(spans);
          const { summary } = batch;
          const chunks = batch.otlp();
          expect(batch.otlp()).toBe(chunks);
          expect(batch.byteLength).toBe(Buffer.concat(chunks).byteLength);
          expect(batch.summary).toEqual(summary);
          expect(batch.spans().map(spanHead)).toEqual(spans.map(spanHead));
          expect(batch.spanCount).toBe(spans.length);
        }),
      );
    });

    it('leaves its copies as they are, which cost nothing, not even where they cannot be read', () => {
      const batch = SpanBatch.fromSpans([spanNamed('a')], { byteLength: 77 });
      const copy = batch.copy();
      batch.otlp();
      expect([batch.isEncoded, copy.isEncoded, copy.byteLength]).toEqual([true, false, 77]);
      expect(copy.spans()).toEqual([spanNamed('a')].map((span) => expect.objectContaining({ name: span.name })));
      const summary = SpanBatch.fromSpans([spanNamed('a')]).summary;
      const malformed = SpanBatch.fromBytes([Uint8Array.of(255, 255)], summary);
      expect(malformed.copy()).toMatchObject({ spanCount: 1, byteLength: 2 });
      expect(malformed.copy().otlp()).toBe(malformed.otlp());
    });

    it('names the spans that cannot be encoded, and is left as it was', () => {
      const nameless = { ...spanNamed('b'), spanContext: () => ({ traceId: 'none', spanId: '', traceFlags: 1 }) };
      const batch = SpanBatch.fromSpans([spanNamed('a'), nameless, spanNamed('c')]);
      let thrown: unknown;
      try {
        batch.otlp();
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBeInstanceOf(UnreadableSpansError);
      expect((thrown as UnreadableSpansError).indexes).toEqual([1]);
      const readable = batch.partition((_, index) => index !== 1).get(true);
      expect(names(readable)).toEqual(['a', 'c']);
      expect(decodeWireSpans(readable!.otlp())).toHaveLength(2);
    });
  });
});
