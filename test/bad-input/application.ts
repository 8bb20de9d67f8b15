import {
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { BasicTracerProvider, type SpanProcessor } from '@opentelemetry/sdk-trace-base';
import { totalDropped } from '@otel-resilience/core';
import { type ResilienceOptions, resilience } from '@otel-resilience/node';
import { ScriptedExporter } from '@otel-resilience/testing';
import { expect } from 'vitest';
import { JumpingClock } from '../support/degradation.js';

/** Nothing of the machine that the test runs on. */
export const NO_HOST = { cpu: false, memory: false, heap: false, eventLoop: false } as const;

/** A real tracer provider over the whole preset, in virtual time; nothing is watched unless the options say so. */
export function application(
  options: ResilienceOptions = {},
  { before = [] }: { readonly before?: readonly SpanProcessor[] } = {},
) {
  const clock = new JumpingClock();
  const exporter = new ScriptedExporter({ clock });
  const r = resilience({
    exporters: [exporter],
    clock,
    ...options,
    degradation: { triggers: NO_HOST, ...options.degradation },
  });
  const provider = new BasicTracerProvider({
    sampler: r.sdk.sampler,
    spanProcessors: [...before, ...(r.sdk.spanProcessors as SpanProcessor[])],
  });
  return {
    clock,
    exporter,
    r,
    tracer: provider.getTracer('test'),
    /** Everything is accounted for, and nothing is left behind. */
    async close() {
      await clock.run(provider.shutdown());
      const status = r.status();
      expect(status).toMatchObject({ balanced: true, tailSampling: { balanced: true }, totals: { waiting: 0 } });
      const { ended, delivered, rejected, unsampled, dropped } = status.totals;
      expect(delivered + rejected + unsampled + totalDropped(dropped)).toBe(ended);
      expect(clock.pendingTimers).toBe(0);
      return status;
    },
  };
}

/** Ends a local trace of a root and a child, which fails if it is said to. */
export function endTrace(tracer: Tracer, { failed = false, parent = ROOT_CONTEXT, name = 'request' } = {}): Span[] {
  const root = tracer.startSpan(name, { kind: SpanKind.SERVER }, parent);
  const child = tracer.startSpan('query', {}, under(root));
  if (failed) child.setStatus({ code: SpanStatusCode.ERROR });
  child.end();
  root.end();
  return [root, child];
}

export const under = (span: Span): Context => trace.setSpan(ROOT_CONTEXT, span);

/** What the tracestate of a span says of its threshold. */
export function thresholdOf(span: { spanContext(): { traceState?: { get(key: string): string | undefined } } }) {
  return /(?:^|;)th:([^;]*)/.exec(span.spanContext().traceState?.get('ot') ?? '')?.[1];
}
