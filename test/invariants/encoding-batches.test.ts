import {
  type EncodedSpans,
  encodeSpans,
  type ReadableSpan,
  type Resource,
  SpanBatch,
  SpanBatchBuilder,
} from '@otel-resilience/core';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { normalise, resourceOf } from '../support/normalise.js';
import { decodeWireContent, spansBytes, type WireSpan } from '../support/otlp-proto.js';
import { arbitrarySpanMix } from '../support/span-mixes.js';

// A fifth of what the properties of encoding.test.ts see; ENCODING_FUZZ_SPANS=10000000 is a campaign.
const SPANS = Number(process.env.ENCODING_FUZZ_SPANS ?? 100_000) / 5;
vi.setConfig({ testTimeout: 30_000 + SPANS });

const mix = fc.oneof(arbitrarySpanMix(), arbitrarySpanMix({ hostile: true }));

/** A batch of bytes, and what it says by an independent decoder. */
const batchOfBytes = mix.map((spans) => {
  const bytes = encodeSpans(spans);
  const content = decodeWireContent([bytes]);
  return { batch: SpanBatch.fromBytes([bytes]), content };
});

describe('a batch of bytes', () => {
  const runs = { numRuns: Math.ceil(SPANS / 2 / 60) };
  const index = fc.option(fc.integer({ min: -160, max: 160 }), { nil: undefined });

  it('is sliced without losing or changing anything, and each slice knows its size', () => {
    fc.assert(
      fc.property(batchOfBytes, index, index, index, ({ batch, content }, start = 0, end, cut = 0) => {
        const slice = batch.slice(start, end);
        expectContent(slice, content.slice(start, end));
        expectContent(slice.slice(cut), content.slice(start, end).slice(cut));
        const parts = [batch.slice(0, cut), batch.slice(cut)];
        expectContent(SpanBatch.join(parts), content);
      }),
      runs,
    );
  });

  it('is parted without losing or changing anything, each span in one part, in order', () => {
    fc.assert(
      fc.property(batchOfBytes, fc.integer({ min: 1, max: 5 }), ({ batch, content }, ways) => {
        const keyOf = ({ traceId }: { traceId: string }, i: number) => (Number.parseInt(traceId[0]!, 16) + i) % ways;
        const parts = batch.partition(keyOf);
        const keys = content.map(({ span }, i) =>
          keyOf({ traceId: Buffer.from(span.traceId as string, 'base64').toString('hex') }, i),
        );
        expect([...parts.keys()]).toEqual([...new Set(keys)]);
        for (const [key, part] of parts)
          expectContent(
            part,
            content.filter((_, i) => keys[i] === key),
          );
      }),
      runs,
    );
  });
});

describe('SpanBatchBuilder and EncodedSpans', () => {
  it('hold what is left of what was added, whatever is refused, taken back, sealed, dropped and taken', () => {
    fc.assert(
      fc.property(mix, fc.array(command, { maxLength: 80 }), (spans, commands) => {
        const world = new World(spans);
        for (const one of commands) world.run(one);
        world.finish();
      }),
      { numRuns: Math.ceil(SPANS / 40) },
    );
  });
});

type Command =
  | { readonly kind: 'add'; readonly span: number }
  | { readonly kind: 'undo' | 'seal' | 'settle' }
  | { readonly kind: 'dropFirst' | 'toBatch'; readonly of: number }
  | { readonly kind: 'takeFirst'; readonly of: number; readonly spans: number; readonly share: number };

const of = fc.nat(5);
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('add' as const), span: fc.nat(160) }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'undo' as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'seal' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'settle' as const }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('dropFirst' as const), of }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('toBatch' as const), of }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('takeFirst' as const),
      of,
      spans: fc.nat(20),
      share: fc.constantFrom(0, 0.3, 0.7, 1),
    }),
  },
);

/** What is sealed, and by the model: the spans that are left of those that once were together. */
interface Sealed {
  readonly encoded: EncodedSpans;
  readonly together: readonly ReadableSpan[];
  left: ReadableSpan[];
}

class World {
  private readonly builder = new SpanBatchBuilder();
  private readonly pool: readonly ReadableSpan[];
  private readonly pending = new PendingResource();
  private readonly sealed: Sealed[] = [];
  private added: ReadableSpan[] = [];
  private canUndo = false;

  constructor(spans: readonly ReadableSpan[]) {
    const own = spans.map((span, i) =>
      i % 3 === 0 ? Object.create(span, { resource: { value: this.pending } }) : span,
    );
    this.pool = own.length > 0 ? own : [{} as never];
  }

  run(command: Command): void {
    switch (command.kind) {
      case 'add':
        this.add(this.pool[command.span % this.pool.length]!);
        break;
      case 'undo':
        if (this.canUndo) this.undo();
        break;
      case 'seal':
        this.sealed.push({ encoded: this.builder.seal(), together: this.added, left: this.added });
        this.added = [];
        this.canUndo = false;
        break;
      case 'settle':
        this.pending.asyncAttributesPending = false;
        break;
      default:
        this.runOn(command, this.sealed.at(command.of % (this.sealed.length || 1)));
    }
    this.check();
  }

  finish(): void {
    this.run({ kind: 'seal' });
    for (const sealed of this.sealed) this.expectBatch(sealed);
    // And again, with the attributes that have been found since.
    this.run({ kind: 'settle' });
    for (const sealed of this.sealed) this.expectBatch(sealed);
  }

  private expectBatch(sealed: Sealed): void {
    this.pending.isBatching = true;
    expectLeft(sealed);
    this.pending.isBatching = false;
  }

  private add(span: ReadableSpan): void {
    const bytes = bytesOf(span);
    this.canUndo = bytes > 0;
    if (bytes === 0) {
      expect(() => this.builder.add(span)).toThrow();
      return;
    }
    expect(this.builder.add(span)).toBe(bytes);
    this.added = [...this.added, span];
  }

  private undo(): void {
    this.builder.undo();
    this.added = this.added.slice(0, -1);
    this.canUndo = false;
  }

  private runOn(command: Command & { of: number }, sealed: Sealed | undefined): void {
    if (!sealed) return;
    const { encoded, left } = sealed;
    if (command.kind === 'dropFirst') {
      encoded.dropFirst();
      sealed.left = left.slice(1);
    } else if (command.kind === 'toBatch') this.expectBatch(sealed);
    else if (command.kind === 'takeFirst') {
      const maxBytes = encoded.byteLength * command.share;
      const taken = encoded.takeFirst(command.spans, maxBytes);
      const count = countWithin(left, command.spans, maxBytes);
      this.sealed.push({ ...sealed, encoded: taken, left: left.slice(0, count) });
      sealed.left = left.slice(count);
    }
  }

  private check(): void {
    expect([this.builder.spanCount, this.builder.byteLength]).toEqual([this.added.length, totalBytes(this.added)]);
    for (const { encoded, left } of this.sealed) {
      expect([encoded.spanCount, encoded.byteLength, encoded.firstBytes]).toEqual([
        left.length,
        totalBytes(left),
        totalBytes(left.slice(0, 1)),
      ]);
    }
    expect(this.pending.readTooEarly).toBe(false);
  }
}

/** Bytes that a span takes in a request, with tag and length; 0 when it cannot be read. */
function bytesOf(span: ReadableSpan): number {
  const known = sizes.get(span) ?? spansBytes(encodeSpans([onItsOwn(span)]));
  sizes.set(span, known);
  return known;
}
const sizes = new WeakMap<ReadableSpan, number>();

const onItsOwn = (span: ReadableSpan): ReadableSpan => Object.create(span, { resource: { value: { attributes: {} } } });

const totalBytes = (spans: readonly ReadableSpan[]): number => spans.reduce((sum, span) => sum + bytesOf(span), 0);

/** How many of the oldest there are within a count and within bytes. */
function countWithin(spans: readonly ReadableSpan[], maxSpans: number, maxBytes: number): number {
  let count = 0;
  while (count < Math.min(maxSpans, spans.length) && totalBytes(spans.slice(0, count + 1)) <= maxBytes) count++;
  return count;
}

/** Attributes that nobody may read before the batch is asked for, and that change once they are found. */
class PendingResource implements Resource {
  asyncAttributesPending = true;
  isBatching = false;
  readTooEarly = false;

  get attributes() {
    if (this.asyncAttributesPending && !this.isBatching) this.readTooEarly = true;
    return this.asyncAttributesPending ? { 'service.name': 'early' } : { 'service.name': 'late', 'host.id': 'found' };
  }
}

function expectLeft({ encoded, left, together }: Sealed): void {
  expect(encoded.resources()).toEqual(new Set(left.map(resourceOf)));
  const batch = SpanBatch.fromEncoded(encoded);
  expectContent(batch, normalise(left, { groupedLike: together }));
  const bytes = Buffer.concat(batch.otlp());
  expect(spansBytes(bytes)).toBe(encoded.byteLength);
  // What was noted of the spans is what their bytes say.
  expect(batch.summary).toEqual(SpanBatch.fromBytes([bytes]).summary);
}

function expectContent(batch: SpanBatch, content: readonly WireSpan[]): void {
  expect(batch.spanCount).toBe(content.length);
  const chunks = batch.otlp();
  expect(batch.byteLength).toBe(chunks.reduce((bytes, { byteLength }) => bytes + byteLength, 0));
  expect(decodeWireContent(chunks)).toStrictEqual(content);
}
