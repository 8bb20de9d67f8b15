import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import type { ReadableSpan as StockSpan } from '@opentelemetry/sdk-trace-base';
import { laneOf } from '@otel-resilience/core';
import { describe, expect, it } from 'vitest';
import { fakeSpan, fakeSpans } from './fake-span.js';

describe('fakeSpan', () => {
  it('is a span that the stock serializer takes, of a realistic size', () => {
    const bytes = ProtobufTraceSerializer.serializeRequest(fakeSpans(100) as unknown as StockSpan[])!;
    expect(bytes.byteLength / 100).toBeGreaterThan(400);
    expect(bytes.byteLength / 100).toBeLessThan(800);
  });

  it('has valid ids: random ones, or the same for the same index', () => {
    const ids = [fakeSpan(), fakeSpan(), ...fakeSpans(3)].map((span) => span.spanContext());
    expect(new Set(ids.map(({ traceId }) => traceId)).size).toBe(5);
    expect(new Set(ids.map(({ spanId }) => spanId)).size).toBe(5);
    for (const { traceId, spanId } of ids) {
      expect(traceId).toMatch(/^(?!0+$)[0-9a-f]{32}$/);
      expect(spanId).toMatch(/^(?!0+$)[0-9a-f]{16}$/);
    }
    expect(fakeSpan({ index: 2 }).spanContext()).toEqual(ids[4]);
  });

  it('is as it is told', () => {
    const child = fakeSpan({
      parentSpanId: 'b7ad6b7169203331',
      name: 'SELECT',
      serviceName: 'orders',
      durationMillis: 2_500,
    });
    expect(laneOf(child)).toBe('rest');
    expect(laneOf(fakeSpan())).toBe('localRoots');
    expect(laneOf(fakeSpan({ isError: true }))).toBe('errors');
    expect(child.name).toBe('SELECT');
    expect(child.resource.attributes['service.name']).toBe('orders');
    expect(child.duration).toEqual([2, 500_000_000]);
    expect(child.endTime[0] - child.startTime[0]).toBe(2);
    expect(fakeSpan({ attributes: { a: 1 } }).attributes).toEqual({ a: 1 });
  });
});
