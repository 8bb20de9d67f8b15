import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { arbitrarySpans, inWireOrder } from '../../../../test/support/arbitrary-spans.js';
import { decodeWireSpans } from '../../../../test/support/otlp-proto.js';
import type { ReadableSpan } from '../sdk-types.js';
import { spanHead } from '../span-batch-summary.js';
import { BytesForm } from './bytes-form.js';
import { MalformedOtlpError } from './wire.js';

const encode = (spans: readonly ReadableSpan[]): Uint8Array =>
  ProtobufTraceSerializer.serializeRequest(spans as never)!;

const orderedSpans = arbitrarySpans.map(inWireOrder);

/** Spans and which of them to pick. */
const spansAndPick = orderedSpans.chain((spans) =>
  fc.tuple(fc.constant(spans), fc.subarray([...spans.keys()], { minLength: 0 })),
);

function cut(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const at = [0, ...cuts.map((c) => c % (bytes.byteLength + 1)).sort((a, b) => a - b), bytes.byteLength];
  return at.slice(1).map((end, i) => bytes.slice(at[i], end));
}

/** A span without a single attribute, with the trace id `id`. */
function tinySpan(id: number): Uint8Array {
  const writer = protobuf.Writer.create();
  return writer
    .uint32((1 << 3) | 2)
    .bytes(new Uint8Array(16).fill(id))
    .finish();
}

describe('BytesForm.heads', () => {
  it('reads of bytes what spanHead reads of spans', () => {
    fc.assert(
      fc.property(orderedSpans, (spans) => {
        expect([...new BytesForm([encode(spans)]).heads()]).toEqual(spans.map(spanHead));
      }),
    );
  });

  it('reads the same however the bytes are cut into chunks', () => {
    fc.assert(
      fc.property(orderedSpans, fc.array(fc.nat(), { maxLength: 4 }), (spans, cuts) => {
        const chunks = cut(encode(spans), cuts);
        expect([...new BytesForm(chunks).heads()]).toEqual(spans.map(spanHead));
      }),
    );
  });

  it('reads chunks that are requests of their own one after the other', () => {
    fc.assert(
      fc.property(orderedSpans, orderedSpans, (first, second) => {
        const heads = [...new BytesForm([encode(first), new Uint8Array(), encode(second)]).heads()];
        expect(heads).toEqual([...first, ...second].map(spanHead));
      }),
    );
  });

  it.each([
    ['without a parent', undefined, 0x100, 'localRoots'],
    ['with a remote parent', 'b7ad6b7169203331', 0x300, 'localRoots'],
    ['with a local parent', 'b7ad6b7169203331', 0x100, 'rest'],
    ['with a parent of whom nobody said whether it is remote', 'b7ad6b7169203331', 0x201, 'rest'],
  ])('puts a span %s into its lane', (_, parent, flags, lane) => {
    const span = protobuf.Writer.create();
    if (parent) span.uint32((4 << 3) | 2).bytes(Buffer.from(parent, 'hex'));
    span.uint32((16 << 3) | 5).fixed32(flags);
    expect([...new BytesForm([request([[], [span.finish()]])]).heads()]).toMatchObject([{ lane }]);
  });
});

describe('BytesForm.pick', () => {
  it('is what encoding the picked spans alone would have given', () => {
    fc.assert(
      fc.property(spansAndPick, ([spans, indexes]) => {
        const picked = new BytesForm([encode(spans)]).pick(indexes);
        const expected = encode(indexes.map((i) => spans[i]!));
        expect(Buffer.concat(picked.chunks).equals(expected)).toBe(true);
        expect(picked.byteLength).toBe(expected.byteLength);
      }),
    );
  });

  it('keeps each span under its resource and scope, by an independent decoder, wherever the chunks were cut', () => {
    fc.assert(
      fc.property(spansAndPick, fc.array(fc.nat(), { maxLength: 4 }), ([spans, indexes], cuts) => {
        const bytes = encode(spans);
        const all = decodeWireSpans([bytes]);
        expect(decodeWireSpans(new BytesForm(cut(bytes, cuts)).pick(indexes).chunks)).toEqual(
          indexes.map((i) => all[i]),
        );
      }),
      { numRuns: 50 },
    );
  });

  it('keeps fields that it does not know, at every level', () => {
    const bytes = request(
      [unknown('of the resource spans'), ['a', 'b', 'c'].map((_, i) => tinySpan(i)), unknown('of the scope spans')],
      unknown('of the request'),
    );
    const picked = Buffer.concat(new BytesForm([bytes]).pick([1]).chunks).toString('latin1');
    expect(picked).toContain('of the resource spans');
    expect(picked).toContain('of the scope spans');
    expect(picked).toContain('of the request');
    expect([...new BytesForm([Buffer.from(picked, 'latin1')]).heads()]).toHaveLength(1);
  });

  it('owns its memory', () => {
    const bytes = request([[], [tinySpan(1), tinySpan(2)]]);
    const picked = new BytesForm([bytes]).pick([1]);
    bytes.fill(0);
    expect([...picked.heads()]).toMatchObject([{ traceId: '02'.repeat(16) }]);
    expect(picked.chunks[0]!.buffer.byteLength).toBe(picked.byteLength);
  });

  it('copies nothing when every span is picked', () => {
    const form = new BytesForm([request([[], [tinySpan(1), tinySpan(2)]])]);
    expect(form.pick([0, 1])).toBe(form);
  });

  it.each([[[2]], [[0, 5]], [[1, 0]], [[-1]], [[0.5]]])(
    'refuses indexes that are not there or do not ascend: %j',
    (indexes) => {
      const form = new BytesForm([request([[], [tinySpan(1), tinySpan(2)]])]);
      expect(() => form.pick(indexes)).toThrow(RangeError);
    },
  );
});

describe('BytesForm with bytes that are no request', () => {
  it('throws a MalformedOtlpError or reads something, and neither hangs nor reads elsewhere', () => {
    const damaged = fc
      .tuple(orderedSpans.map(encode), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 5 }), fc.nat())
      .map(([bytes, edits, cutAt]) => {
        const copy = bytes.slice(0, cutAt % (2 * bytes.byteLength + 1));
        for (const [at, byte] of edits) if (copy.byteLength > 0) copy[at % copy.byteLength] = byte;
        return copy;
      });
    fc.assert(
      fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 200 })), (bytes) => {
        const form = new BytesForm([bytes]);
        expectOnly([MalformedOtlpError], () => [...form.heads()]);
        expectOnly([MalformedOtlpError, RangeError], () => form.pick([0]));
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    ['cut off', [0x0a, 40, 0x12]],
    ['not protobuf at all', [...Buffer.from('<html>')]],
  ])('says so: %s', (_, bytes) => {
    expect(() => [...new BytesForm([Uint8Array.from(bytes)]).heads()]).toThrow(/malformed OTLP: .* at byte \d+/);
  });
});

function expectOnly(errors: ReadonlyArray<typeof Error | typeof MalformedOtlpError>, fn: () => unknown): void {
  try {
    fn();
  } catch (error) {
    if (!errors.some((type) => error instanceof type)) throw error;
  }
}

type Field = readonly number[];

/** `{ 99: text }`: a field from a later version of OTLP. */
function unknown(text: string): Field {
  return [
    ...protobuf.Writer.create()
      .uint32((99 << 3) | 2)
      .string(text)
      .finish(),
  ];
}

/** A request of one resource and scope: unknown fields of the first, spans, unknown fields of the second. */
function request(
  [ofResource, spans, ofScope = []]: readonly [Field, readonly Uint8Array[], Field?],
  ofRequest: Field = [],
): Uint8Array {
  const scopeSpans = protobuf.Writer.create();
  for (const span of spans) scopeSpans.uint32((2 << 3) | 2).bytes(span);
  const resourceSpans = protobuf.Writer.create();
  resourceSpans.uint32((2 << 3) | 2).bytes(Buffer.concat([scopeSpans.finish(), Uint8Array.from(ofScope)]));
  const whole = protobuf.Writer.create();
  whole.uint32((1 << 3) | 2).bytes(Buffer.concat([resourceSpans.finish(), Uint8Array.from(ofResource)]));
  return Buffer.concat([whole.finish(), Uint8Array.from(ofRequest)]);
}
