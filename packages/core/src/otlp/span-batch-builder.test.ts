import { fakeSpan } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import type { InstrumentationScope, ReadableSpan, Resource } from '../sdk-types.js';
import { SpanBatch } from '../span-batch.js';
import { SpanBatchBuilder } from './span-batch-builder.js';

const { MAX_GROUPS } = SpanBatchBuilder;
const resource = (name: string): Resource => ({ attributes: { 'service.name': name }, schemaUrl: 'https://a.example' });
const scope = (name: string): InstrumentationScope => ({ name, version: '1.2.3', schemaUrl: 'https://b.example' });
const named = (name: string, overrides: Partial<ReadableSpan> = {}) => fakeSpan({ name, ...overrides });

const { traceId, spanId } = fakeSpan().spanContext();
const unreadable = (overrides: Partial<ReadableSpan> = {}): ReadableSpan => ({
  ...named('unreadable', overrides),
  spanContext: () => ({ traceId: `not ${traceId}`, spanId, traceFlags: 1 }),
});

describe('SpanBatchBuilder', () => {
  it('knows what resources and scopes will take, whatever is added, refused and taken back', () => {
    const resources = [resource('a'), resource('of a service with a rather long name')];
    const scopes = [scope('x'), scope('y'.repeat(200))];
    const builder = new SpanBatchBuilder();
    for (let round = 0; round < 3; round++) {
      expect(builder.envelopeBytes).toBe(0);
      for (let i = 0; i < 10; i++) {
        const of = { resource: resources[i % 2], instrumentationScope: scopes[(i >> 1) % 2] };
        builder.add(named('stays', of));
        const other = { resource: resource(`${i}`), instrumentationScope: scopes[0] };
        expect(() => builder.add(unreadable(other))).toThrow();
        const { byteLength, envelopeBytes, spanCount } = builder;
        builder.add(named('goes', other));
        expect(builder.envelopeBytes).toBeGreaterThan(envelopeBytes);
        builder.undo();
        expect([builder.byteLength, builder.envelopeBytes, builder.spanCount]).toEqual([
          byteLength,
          envelopeBytes,
          spanCount,
        ]);
      }
      const { byteLength, envelopeBytes } = builder;
      const actual = SpanBatch.fromEncoded(builder.seal()).byteLength - byteLength;
      expect(envelopeBytes).toBeGreaterThanOrEqual(actual);
      expect(envelopeBytes).toBeLessThan(2 * actual);
    }
  });

  it('keeps no memory for large spans that were refused or taken back', () => {
    const builder = new SpanBatchBuilder();
    const blob = 'x'.repeat(1_000_000);
    for (let i = 0; i < 100; i++) {
      const large = { attributes: { blob }, instrumentationScope: scope(`${i}`) };
      builder.add(named('goes', large));
      builder.undo();
      const { buffer } = (builder as unknown as { groups: Array<{ buffer: { bytes: Uint8Array } }> }).groups[i]!;
      expect(buffer.bytes.length).toBeLessThan(100_000);
      builder.add(named(`${i}`, { instrumentationScope: large.instrumentationScope }));
    }
    const names = SpanBatch.fromEncoded(builder.seal())
      .spans()
      .map(({ name }) => name);
    expect(names).toEqual(Array.from({ length: 100 }, (_, i) => `${i}`));
  });

  it('keeps room for attributes that are being detected, and does not read them', () => {
    const pending = {
      get attributes(): never {
        throw new Error('read too early');
      },
      asyncAttributesPending: true,
    };
    const builder = new SpanBatchBuilder();
    builder.add(named('a', { resource: pending }));
    expect(builder.envelopeBytes).toBeGreaterThan(10_000);
  });

  it('takes so many resources and scopes and no more, of the present batch', () => {
    const builder = new SpanBatchBuilder();
    const scopes = Array.from({ length: 2 * MAX_GROUPS }, (_, i) => scope(`${i}`));
    const of = (index: number) => named(`${index}`, { instrumentationScope: scopes[index] });
    for (let i = 0; i < MAX_GROUPS; i++) builder.add(of(i));
    expect([builder.hasRoomFor(of(0)), builder.hasRoomFor(of(MAX_GROUPS))]).toEqual([true, false]);
    expect(() => builder.add(of(MAX_GROUPS))).toThrow(RangeError);
    expect(builder.seal().spanCount).toBe(MAX_GROUPS);
    for (let i = 0; i < 20; i++) builder.add(of(i));
    for (let i = MAX_GROUPS; i < 2 * MAX_GROUPS - 20; i++) builder.add(of(i));
    expect(builder.hasRoomFor(of(2 * MAX_GROUPS - 1))).toBe(false);
    const names = [...Array(20).keys(), ...Array.from({ length: MAX_GROUPS - 20 }, (_, i) => i + MAX_GROUPS)];
    const spans = SpanBatch.fromEncoded(builder.seal()).spans();
    expect(new Set(spans.map(({ name }) => name))).toEqual(new Set(names.map(String)));
    for (const span of spans) expect(span.instrumentationScope.name).toBe(span.name);
  });
});

describe('EncodedSpans', () => {
  it('gives away its oldest spans, within a count and within bytes, and keeps the rest', () => {
    const builder = new SpanBatchBuilder();
    const scopes = [scope('x'), scope('y')];
    const names = [...'abcdefgh'];
    const of = (name: string) => named(name, { instrumentationScope: scopes[name.charCodeAt(0) % 2] });
    let bytes = 0;
    for (const name of names) bytes = builder.add(of(name));
    const encoded = builder.seal();
    const namesOf = (taken: typeof encoded) =>
      SpanBatch.fromEncoded(taken)
        .spans()
        .map(({ name }) => name)
        .sort();
    expect(namesOf(encoded.takeFirst(3))).toEqual(['a', 'b', 'c']);
    expect(encoded.takeFirst(3, bytes - 1).spanCount).toBe(0);
    const two = encoded.takeFirst(3, 3 * bytes - 1);
    expect([two.byteLength, namesOf(two)]).toEqual([2 * bytes, ['d', 'e']]);
    expect([encoded.byteLength, namesOf(encoded)]).toEqual([3 * bytes, ['f', 'g', 'h']]);
    expect(namesOf(encoded.takeFirst(10))).toEqual(['f', 'g', 'h']);
    expect([encoded.byteLength, encoded.spanCount, SpanBatch.fromEncoded(encoded).spanCount]).toEqual([0, 0, 0]);
  });
});

describe('a span whose getter uses the builder that is reading it', () => {
  it.each([
    ['adds', (builder: SpanBatchBuilder) => builder.add(fakeSpan())],
    ['seals', (builder: SpanBatchBuilder) => builder.seal()],
  ])('%s nothing, and is encoded without that attribute', (_, use) => {
    const builder = new SpanBatchBuilder();
    const attributes = {
      before: 1,
      get inner() {
        return use(builder);
      },
      after: 2,
    };
    builder.add(fakeSpan({ attributes }));
    const [span, ...others] = SpanBatch.fromEncoded(builder.seal()).spans();
    expect(others).toEqual([]);
    expect(span).toMatchObject({ attributes: { before: 1, after: 2 }, droppedAttributesCount: 1 });
  });
});

it('events and links that are said to be thousands of millions are cut, and counted', () => {
  const builder = new SpanBatchBuilder();
  const endless: never[] = [];
  endless.length = 2 ** 32 - 1;
  builder.add(fakeSpan({ events: endless, links: endless }));
  const [span] = SpanBatch.fromEncoded(builder.seal()).spans();
  expect(span!.events.length).toBe(10_000);
  expect(span).toMatchObject({ droppedEventsCount: 2 ** 32 - 1 - 10_000, droppedLinksCount: 2 ** 32 - 1, links: [] });
});
