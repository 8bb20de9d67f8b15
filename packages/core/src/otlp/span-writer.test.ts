import { fakeSpan } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { decodeSpans } from './decoder.js';
import { SpanBatchBuilder } from './span-batch-builder.js';

const parentsOf = (ids: readonly string[]) => {
  const builder = new SpanBatchBuilder();
  for (const parentSpanId of ids) builder.add(fakeSpan({ parentSpanId }));
  return decodeSpans(builder.seal().write()).map((span) => span.parentSpanContext?.spanId);
};

describe('the parent of a span', () => {
  it('is never that of another one, however many there are', () => {
    const ids = Array.from({ length: 1_000 }, (_, i) =>
      (0x1234_5678_9abcn * BigInt(i + 1)).toString(16).padStart(16, '0'),
    );
    const inTurn = ids.flatMap((id, i) => [id, ids[(i * 7) % 50]!, id]);
    expect(parentsOf(inTurn)).toEqual(inTurn);
  });

  it('is never that of another one that could not be read', () => {
    expect(parentsOf(['1111111111111111', 'x111111111111111', '2111111111111111', '1111111111111111'])).toEqual([
      '1111111111111111',
      undefined,
      '2111111111111111',
      '1111111111111111',
    ]);
  });
});
