import { createTraceState, type TraceState } from '@opentelemetry/api';
import { TraceState as SdkTraceState } from '@opentelemetry/core';
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { fakeSpan } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { decodeWireSpans } from '../../../../test/support/otlp-proto.js';
import { keptSpan, uncountedSpan } from './promoted-span.js';

const kept = (traceState?: TraceState, traceFlags = 0) => keptSpan(fakeSpan({ traceState, traceFlags })).spanContext();

describe('a kept span', () => {
  it.each([
    [undefined, 'ot=th:0'],
    ['a=1', 'ot=th:0,a=1'],
    ['a=1,ot=th:fd70a4,b=2', 'ot=th:0,a=1,b=2'],
    ['ot=rv:0123456789abcd;th:8;x:y', 'ot=th:0;rv:0123456789abcd;x:y'],
    ['ot=th:zz', 'ot=th:0'],
  ])('of the tracestate %s has %s', (before, after) => {
    const state = before === undefined ? undefined : createTraceState(before);
    expect(kept(state).traceState?.serialize()).toBe(after);
    expect(kept(before === undefined ? undefined : new SdkTraceState(before)).traceState?.serialize()).toBe(after);
  });

  it('is the span itself when it says so already', () => {
    const span = fakeSpan({ traceState: createTraceState('ot=th:0') });
    expect(keptSpan(span)).toBe(span);
    const unsampled = fakeSpan({ traceState: createTraceState('ot=th:0'), traceFlags: 0 });
    expect(keptSpan(unsampled).spanContext().traceFlags).toBe(1);
  });

  it('keeps the other flags', () => {
    expect(kept(undefined, 2).traceFlags).toBe(3);
  });

  it('counts even where other vendors leave no room', () => {
    const full = new SdkTraceState(`ot=rv:0123456789abcd,a=${'x'.repeat(250)},b=${'y'.repeat(234)}`);
    expect(kept(full).traceState?.serialize()).toBe('ot=th:0;rv:0123456789abcd');
  });

  it.each(['get', 'set', 'serialize'] as const)('survives a tracestate whose %s throws', (method) => {
    const hostile = Object.assign(createTraceState('ot=th:8'), {
      [method]: () => {
        throw new Error(method);
      },
    });
    expect(kept(hostile).traceState?.get('ot')).toBe('th:0');
  });

  it('has everything else of the span', () => {
    const span = fakeSpan({ parentSpanId: 'a'.repeat(16) });
    const view = keptSpan({ ...span, spanContext: () => ({ ...span.spanContext(), traceFlags: 0 }) });
    for (const member of Object.keys(span) as Array<keyof typeof span>) {
      if (member !== 'spanContext') expect(view[member]).toBe(span[member]);
    }
  });

  it('is written by the stock serializer with its flags and its tracestate', () => {
    const spans = [keptSpan(fakeSpan({ traceFlags: 0 })), uncountedSpan(fakeSpan({ traceFlags: 0 }))];
    const bytes = ProtobufTraceSerializer.serializeRequest(spans as never)!;
    const written = decodeWireSpans([bytes]).map(({ span }) => span);
    expect(written.map(({ flags }) => (flags as number) & 1)).toEqual([1, 1]);
    expect(written.map(({ traceState }) => traceState ?? '')).toEqual(['ot=th:0', '']);
  });
});

describe('a span that cannot be counted', () => {
  it.each([
    [undefined, undefined],
    ['a=1', 'a=1'],
    ['a=1,ot=th:8,b=2', 'a=1,b=2'],
    ['a=1,ot=th:8;x:y', 'ot=x:y,a=1'],
  ])('of the tracestate %s has %s', (before, after) => {
    const traceState = before === undefined ? undefined : createTraceState(before);
    const context = uncountedSpan(fakeSpan({ traceState, traceFlags: 0 })).spanContext();
    expect(context.traceState?.serialize()).toBe(after);
    expect(context.traceFlags).toBe(1);
  });
});
