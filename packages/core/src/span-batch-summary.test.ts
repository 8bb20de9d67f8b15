import { describe, expect, it } from 'vitest';
import type { Lane } from './lane.js';
import type { ReadableSpan, Resource } from './sdk-types.js';
import { type SpanHead, spanHead, summarize, summaryCount } from './span-batch-summary.js';

const head = (lane: Lane, service: string, startMillis: number, endMillis: number): SpanHead => ({
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  lane,
  service,
  startMillis,
  endMillis,
});

describe('summarize', () => {
  it('counts lanes and services and spans the whole time', () => {
    const summary = summarize([
      head('rest', 'shop', 20, 90),
      head('localRoots', 'shop', 10, 50),
      head('rest', 'billing', 30, 40),
    ]);
    expect(summary).toEqual({
      lane: 'localRoots',
      lanes: { errors: 0, localRoots: 1, rest: 2 },
      services: new Map([
        ['shop', 2],
        ['billing', 1],
      ]),
      startMillis: 10,
      endMillis: 90,
    });
    expect(summaryCount(summary)).toBe(3);
  });

  it.each<[readonly Lane[], Lane]>([
    [['rest', 'errors', 'localRoots'], 'errors'],
    [['rest', 'localRoots'], 'localRoots'],
    [['rest'], 'rest'],
    [[], 'rest'],
  ])('puts a batch of %j into the most valuable lane', (lanes, expected) => {
    expect(summarize(lanes.map((lane) => head(lane, '', 0, 0))).lane).toBe(expected);
  });

  it('has no time when it has no span', () => {
    expect(summarize([])).toMatchObject({ startMillis: 0, endMillis: 0 });
  });
});

describe('spanHead', () => {
  const parent = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: 1 };
  const span = (part: Partial<ReadableSpan>) =>
    ({
      spanContext: () => parent,
      status: { code: 0 },
      startTime: [1_700_000_000, 250_000],
      endTime: [1_700_000_001, 0],
      resource: { attributes: {} },
      ...part,
    }) as ReadableSpan;

  it.each<[string, Partial<ReadableSpan>, Lane]>([
    ['an error, root or not', { status: { code: 2 } }, 'errors'],
    ['a span without a parent', {}, 'localRoots'],
    ['a span with a remote parent', { parentSpanContext: { ...parent, isRemote: true } }, 'localRoots'],
    ['a span with a local parent', { parentSpanContext: parent }, 'rest'],
  ])('finds the lane of %s', (_, part, lane) => {
    expect(spanHead(span(part)).lane).toBe(lane);
  });

  it('has milliseconds with their fraction', () => {
    expect(spanHead(span({}))).toMatchObject({ startMillis: 1_700_000_000_000.25, endMillis: 1_700_000_001_000 });
  });

  it('has no service where the resource has no name, another value, or one not known yet', () => {
    const pending: Resource = {
      asyncAttributesPending: true,
      get attributes(): never {
        throw new Error('read too early');
      },
    };
    for (const resource of [{ attributes: {} }, { attributes: { 'service.name': 7 } }, pending]) {
      expect(spanHead(span({ resource })).service).toBe('');
    }
    expect(spanHead(span({ resource: { attributes: { 'service.name': 'shop' } } })).service).toBe('shop');
  });
});
