import { type Context, createTraceState, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { BasicTracerProvider, type SpanProcessor } from '@opentelemetry/sdk-trace-base';
import type { ReadableSpan } from '@otel-resilience/core';
import { resilience } from '@otel-resilience/node';
import { CountingReceiver, type ScriptedExporter } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { UNPRINTABLE } from '../support/hostile-spans.js';
import { application, endTrace, NO_HOST, under } from './application.js';

const MEMBERS = [
  'spanContext',
  'parentSpanContext',
  'name',
  'kind',
  'status',
  'attributes',
  'events',
  'links',
  'duration',
  'startTime',
  'endTime',
  'resource',
  'instrumentationScope',
  'ended',
  'droppedAttributesCount',
] as const satisfies ReadonlyArray<keyof ReadableSpan>;

const thrower = () => {
  throw UNPRINTABLE;
};

const spoil = (span: object, member: string) => Object.defineProperty(span, member, { get: thrower, set: () => {} });

/** Those that nobody has spoilt. */
const rootsOf = ({ deliveredSpans }: ScriptedExporter) =>
  deliveredSpans.filter((span) => {
    try {
      return span.name === 'request';
    } catch {
      return false;
    }
  });

describe.each(MEMBERS)('a span whose %s throws', (member) => {
  it.each(['heavy', 'emergency'] as const)('at %s while it is held, costs no other one', async (level) => {
    const { r, tracer, exporter, close } = application();
    r.degradation.force(level);
    let failed = 0;
    for (let i = 0; i < 100; i++) {
      const root = tracer.startSpan('request');
      const child = tracer.startSpan('query', {}, under(root));
      child.end();
      if (i % 2 === 0) spoil(child, member);
      if (i % 4 < 2) root.setStatus({ code: 2 });
      if (i % 4 < 2) failed++;
      root.end();
    }
    const { totals } = await close();
    expect(rootsOf(exporter).filter(({ status }) => status.code === 2)).toHaveLength(failed);
    // Children at emergency are not recorded, unless the head has kept them.
    if (level === 'heavy') expect(totals.ended).toBe(200);
  });

  it('when it ends, costs no other one', async () => {
    const spoiling: SpanProcessor = {
      onStart() {},
      onEnd: (span) => void (span.name === 'query' && spoil(span, member)),
      forceFlush: async () => {},
      shutdown: async () => {},
    };
    const { r, tracer, exporter, close } = application({}, { before: [spoiling] });
    r.degradation.force('heavy');
    for (let i = 0; i < 50; i++) {
      const root = tracer.startSpan('request');
      tracer.startSpan('query', {}, under(root)).end();
      root.setStatus({ code: 2 });
      root.end();
    }
    const { totals } = await close();
    expect(totals.ended).toBe(100);
    expect(rootsOf(exporter)).toHaveLength(50);
  });

  it('when it starts, neither', async () => {
    const spoiling: SpanProcessor = {
      onStart: (span) => void spoil(span, member),
      onEnd() {},
      forceFlush: async () => {},
      shutdown: async () => {},
    };
    const { r, tracer, close } = application({}, { before: [spoiling] });
    r.degradation.force('heavy');
    const attempt = (run: () => void) => {
      try {
        run();
      } catch (thrown) {
        expect(thrown).toBe(UNPRINTABLE); // by the SDK, which reads it too
      }
    };
    for (let i = 0; i < 20; i++) attempt(() => tracer.startSpan('request').end());
    await close();
  });
});

describe.each(['otlp', 'stock'] as const)('a remote parent with a tracestate that throws, by %s', (transport) => {
  const parent = (): Context => {
    const traceState = { ...createTraceState(), get: thrower, set: thrower, unset: thrower, serialize: thrower };
    const context = { traceId: `${'1'.repeat(18)}${'f'.repeat(14)}`, spanId: '2'.repeat(16), traceFlags: 1 };
    return trace.setSpanContext(ROOT_CONTEXT, { ...context, isRemote: true, traceState });
  };

  // At normal it is handed on unread, as the SDK does. Our encoder leaves it out, with the stock one such spans cannot be sent.
  it.each(['normal', 'heavy', 'emergency'] as const)('at %s: its spans spoil no request', async (level) => {
    const receiver = new CountingReceiver({ keepOutlines: true });
    await receiver.start();
    const r = resilience({ transport, endpoints: [receiver.url], degradation: { triggers: NO_HOST } });
    r.degradation.force(level);
    const spanProcessors = r.sdk.spanProcessors as SpanProcessor[];
    const tracer = new BasicTracerProvider({ sampler: r.sdk.sampler, spanProcessors }).getTracer('test');
    for (let i = 0; i < 20; i++) {
      endTrace(tracer, { parent: parent() });
      const root = tracer.startSpan('request');
      root.setStatus({ code: 2 });
      root.end();
    }
    await r.shutdown();
    expect(receiver.outlines.filter(({ statusCode }) => statusCode === 2)).toHaveLength(20);
    const { balanced, totals } = r.status();
    expect({ balanced, totals }).toMatchObject({ balanced: true, totals: { ended: 60, waiting: 0, dropped: {} } });
    expect(totals.rejected).toBe(transport === 'stock' && level === 'normal' ? 40 : 0);
    await receiver.stop();
  });
});
