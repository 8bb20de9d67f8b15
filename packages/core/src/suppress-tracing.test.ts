import { AsyncLocalStorage } from 'node:async_hooks';
import { context, createContextKey, trace } from '@opentelemetry/api';
import { isTracingSuppressed } from '@opentelemetry/core';
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { installAsyncContext } from '../../../test/support/async-context.js';
import { suppressTracing } from './suppress-tracing.js';

describe('suppressTracing', () => {
  beforeEach(() => {
    installAsyncContext();
  });
  afterEach(() => context.disable());

  it('is understood by the SDK: a span started inside records nothing, across awaits too', async () => {
    const tracer = new BasicTracerProvider().getTracer('test');
    expect(tracer.startSpan('outside').isRecording()).toBe(true);
    const recording = await suppressTracing(async () => {
      await Promise.resolve();
      expect(isTracingSuppressed(context.active())).toBe(true);
      return tracer.startSpan('inside').isRecording();
    });
    expect(recording).toBe(false);
  });

  it('retains nothing of the request it was called from', () => {
    const key = createContextKey('request');
    const tracer = new BasicTracerProvider().getTracer('test');
    const active = trace.setSpan(context.active().setValue(key, {}), tracer.startSpan('request'));
    context.with(active, () =>
      suppressTracing(() => {
        expect(context.active().getValue(key)).toBeUndefined();
        expect(trace.getActiveSpan()).toBeUndefined();
      }),
    );
  });

  it('shows none of the stores of an AsyncLocalStorage of the application, across timers and awaits too', async () => {
    const request = new AsyncLocalStorage<string>();
    const seen = await request.run('a request', () =>
      suppressTracing(async () => {
        await new Promise((resolve) => setTimeout(resolve, 1));
        return request.getStore();
      }),
    );
    expect(seen).toBeUndefined();
    expect(request.run('a request', () => request.getStore())).toBe('a request');
  });

  it('hands on what is returned and what is thrown', () => {
    expect(suppressTracing(() => 5)).toBe(5);
    expect(() =>
      suppressTracing(() => {
        throw new Error('no');
      }),
    ).toThrow('no');
  });
});
