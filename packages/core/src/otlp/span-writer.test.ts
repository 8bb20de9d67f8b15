import { fakeSpan } from '@otel-resilience/testing';
import { describe, expect, it, vi } from 'vitest';
import { decodeSpans } from './decoder.js';
import { SpanBatchBuilder } from './span-batch-builder.js';

describe('the parent of a span', () => {
  it('is never that of another one, wherever the stack was exhausted before', () => {
    const parents = ['1111111111111111', '2222222222222222'];
    const builder = new SpanBatchBuilder();
    builder.add(fakeSpan({ parentSpanId: parents[0] }));
    const spy = vi.spyOn(DataView.prototype, 'getUint32').mockImplementation(() => {
      throw new RangeError('Maximum call stack size exceeded');
    });
    builder.add(fakeSpan({ parentSpanId: parents[1] }));
    spy.mockRestore();
    builder.add(fakeSpan({ parentSpanId: parents[1] }));
    const found = decodeSpans(builder.seal().write()).map((span) => span.parentSpanContext?.spanId);
    expect(found).toEqual([parents[0], undefined, parents[1]]);
  });
});
