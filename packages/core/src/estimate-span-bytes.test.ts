import { createTraceState } from '@opentelemetry/api';
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { fakeSpan } from '@otel-resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arbitrarySpan, arbitrarySpans } from '../../../test/support/arbitrary-spans.js';
import { arbitrarySpanMix } from '../../../test/support/span-mixes.js';
import { estimateEnvelopeBytes, estimateSpanBytes } from './estimate-span-bytes.js';
import { encodeSpans } from './otlp/encoder.js';
import { SpanBatchBuilder } from './otlp/span-batch-builder.js';
import type { ReadableSpan } from './sdk-types.js';

const stockLength = (spans: readonly ReadableSpan[]): number =>
  ProtobufTraceSerializer.serializeRequest(spans as never)!.byteLength;

/** What one more such span adds to a stock request: up to 2 bytes more where an outer length gains a digit. */
const marginalLength = (span: ReadableSpan): number =>
  stockLength([span, span, span, span]) - stockLength([span, span, span]);

/** What it adds to a request of ours; nothing when it cannot be read. */
function encodedLength(span: ReadableSpan): number {
  try {
    return new SpanBatchBuilder().add(span);
  } catch {
    return 0;
  }
}

const relativeError = (estimate: number, actual: number): number => Math.abs(estimate - actual) / actual;

const ordinarySpan: ReadableSpan = {
  name: 'GET /orders',
  kind: 1,
  spanContext: () => ({ traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: 1 }),
  startTime: [1_700_000_000, 1],
  endTime: [1_700_000_000, 2],
  duration: [0, 1],
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
};

const arbitraryStockSpan = arbitrarySpanMix({ maxSpans: 1 })
  .filter((spans) => spans.length > 0)
  .map((spans) => spans[0]!);

describe('estimateSpanBytes', () => {
  it('is within 20 % of what we encode, and of what the stock serializer writes, for a span of any shape', () => {
    fc.assert(
      fc.property(arbitraryStockSpan, (span) => {
        const estimate = estimateSpanBytes(span);
        expect(relativeError(estimate, encodedLength(span))).toBeLessThanOrEqual(0.2);
        expect(relativeError(estimate, marginalLength(span))).toBeLessThanOrEqual(0.2);
      }),
      { numRuns: 300 },
    );
  });

  it('is what we encode, but for zeros', () => {
    fc.assert(
      fc.property(arbitrarySpan(), (span) => {
        const dropped = { droppedAttributesCount: 1, droppedEventsCount: 1, droppedLinksCount: 1 };
        const full = { ...span, ...dropped, status: { ...span.status, code: 1 }, links: [], events: [] };
        expect(Math.abs(estimateSpanBytes(full) - encodedLength(full))).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('is within 20 % of what we encode, and 20 bytes for ids that are none, whatever a span holds', () => {
    fc.assert(
      fc.property(arbitrarySpanMix({ hostile: true }), (spans) => {
        for (const span of spans) {
          const actual = encodedLength(span);
          if (actual > 0) expect(Math.abs(estimateSpanBytes(span) - actual)).toBeLessThanOrEqual(0.2 * actual + 20);
        }
      }),
    );
  });

  it('is within 20 % for spans that a real tracer provider made', () => {
    const exporter = new InMemorySpanExporter();
    const provider = new BasicTracerProvider({
      resource: resourceFromAttributes({ 'service.name': 'shop' }),
      spanProcessors: [new SimpleSpanProcessor(exporter)],
    });
    const span = provider.getTracer('scope').startSpan('café', {
      attributes: { 'url.path': '/straße/日本', 'server.port': 443, ratio: 0.5, list: ['a', 'ü'] },
      links: [{ context: ordinarySpan.spanContext(), attributes: { why: 'batch' } }],
    });
    span.addEvent('retry', { attempt: 2 });
    span.recordException(new Error('boom'));
    span.end();
    const [ended] = exporter.getFinishedSpans();
    expect(relativeError(estimateSpanBytes(ended!), marginalLength(ended!))).toBeLessThanOrEqual(0.2);
  });

  it('counts each trace state, however they alternate', () => {
    const states = ['ot=th:c', 'ot=th:fd70a;rv:123456789abcde,vendor=abc'].map((state) => createTraceState(state));
    const spans = [0, 1, 1, 0].map((i) => ({
      ...ordinarySpan,
      spanContext: () => ({ ...ordinarySpan.spanContext(), traceState: states[i]! }),
    }));
    const zeros = 8; // three counts and a status code, which we do not write
    expect(spans.map(estimateSpanBytes)).toEqual(spans.map((span) => encodedLength(span) + zeros));
  });

  it('stays right when there are more keys than it remembers', () => {
    for (let i = 0; i < 5_000; i++) estimateSpanBytes({ ...ordinarySpan, attributes: { [`key ${i}`]: i } });
    const span = { ...ordinarySpan, attributes: { 'ключ, never seen': 'значение' } };
    expect(Math.abs(estimateSpanBytes(span) - marginalLength(span))).toBeLessThanOrEqual(2);
  });

  it('does not count what attributes inherit', () => {
    const attributes = Object.assign(Object.create({ inherited: 'x'.repeat(100) }), { own: 1 });
    const span = { ...ordinarySpan, attributes };
    expect(Math.abs(estimateSpanBytes(span) - marginalLength(span))).toBeLessThanOrEqual(2);
  });

  describe('with a span that cannot be encoded', () => {
    const cyclic: Record<string, unknown> = { name: 'loop' };
    for (let i = 0; i < 20; i++) cyclic[`again ${i}`] = cyclic;
    let deep: unknown = 'bottom';
    for (let i = 0; i < 100_000; i++) deep = [deep];
    const hostile: ReadonlyArray<readonly [string, object]> = [
      [
        'a getter that throws',
        {
          attributes: {
            get key(): never {
              throw new Error('no');
            },
          },
        },
      ],
      ['a cyclic map', { attributes: { cyclic } }],
      ['very deep nesting', { attributes: { deep } }],
      ['a revoked proxy', { attributes: revoked() }],
      ['a name that is no string', { name: 42 }],
      ['no context', { spanContext: () => undefined }],
      [
        'a context that throws',
        {
          spanContext: () => {
            throw new Error('no');
          },
        },
      ],
      [
        'counts that are no counts',
        {
          droppedAttributesCount: Number.NaN,
          droppedEventsCount: Number.POSITIVE_INFINITY,
          droppedLinksCount: undefined,
        },
      ],
      ['null everywhere', { attributes: null, events: null, links: null, status: null }],
    ];

    it.each(hostile)('answers with the size of what can be, and otherwise with one that is bounded: %s', (_, part) => {
      const span = { ...ordinarySpan, ...part } as ReadableSpan;
      const actual = encodedLength(span);
      if (actual > 0) expect(relativeError(estimateSpanBytes(span), actual)).toBeLessThanOrEqual(0.2);
      else expect(estimateSpanBytes(span)).toBe(1_024);
    });

    it('counts what stands beside an attribute that throws', () => {
      const attributes = Object.defineProperty({ text: 'x'.repeat(1e6) }, 'bad', {
        enumerable: true,
        get: () => {
          throw new Error('no');
        },
      });
      expect(estimateSpanBytes({ ...ordinarySpan, attributes })).toBeGreaterThan(1e6);
    });
  });
});

describe('estimateEnvelopeBytes', () => {
  it('completes the estimate of a whole request', () => {
    fc.assert(
      fc.property(arbitrarySpans, (spans) => {
        const sum = spans.reduce((bytes, span) => bytes + estimateSpanBytes(span), estimateEnvelopeBytes(spans));
        const actual = encodeSpans(spans).byteLength;
        if (actual === 0) expect(sum).toBe(0);
        else expect(relativeError(sum, actual)).toBeLessThanOrEqual(0.2);
      }),
    );
  });

  it('counts each resource once, and each scope once per resource', () => {
    const resources = [{ attributes: { 'service.name': 'shop' } }, { attributes: { 'service.name': 'billing' } }];
    const scopes = [{ name: 'http' }, { name: 'redis', version: '1.0.0' }];
    const each = resources.flatMap((resource) =>
      scopes.map((instrumentationScope) => ({ ...ordinarySpan, resource, instrumentationScope })),
    );
    const once = estimateEnvelopeBytes(each);
    expect(estimateEnvelopeBytes([...each, ...each, ...each.toReversed()])).toBe(once);
    expect(estimateEnvelopeBytes(each.slice(0, 2))).toBeLessThan(once);
  });

  it('does not read the attributes of a resource while they are pending', () => {
    const resource = {
      asyncAttributesPending: true,
      get attributes(): never {
        throw new Error('read too early');
      },
    };
    expect(estimateEnvelopeBytes([{ ...ordinarySpan, resource }])).toBeGreaterThan(0);
  });
});

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

it.each([
  ['has no resource', { resource: undefined }],
  ['has no scope', { instrumentationScope: undefined }],
  ['has neither', { resource: undefined, instrumentationScope: undefined }],
])('the envelope of a span that %s is measured, wherever it stands in its batch', (_, members) => {
  const odd = { ...fakeSpan(), ...members } as unknown as ReadableSpan;
  for (const spans of [[odd], [odd, fakeSpan()], [fakeSpan(), odd, odd]]) {
    expect(estimateEnvelopeBytes(spans)).toBeGreaterThan(0);
  }
});
