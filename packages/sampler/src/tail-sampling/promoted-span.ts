import { createTraceState, type SpanContext, TraceFlags, type TraceState } from '@opentelemetry/api';
import type { ReadableSpan } from '@otel-resilience/core';
import { otOf, rewriteThreshold } from '../parent-tracestate.js';
import { ZERO } from '../threshold.js';
import { parseOt } from '../tracestate.js';
import { SpanWithContext } from './span-with-context.js';

/**
 * A span of a local trace that is kept: sampled with threshold 0, since it would have been exported whatever the head
 * had decided. A view: other processors hold the same object. The span itself when it says so already.
 */
export function keptSpan(span: ReadableSpan): ReadableSpan {
  const context = span.spanContext();
  const traceState = zeroThreshold.of(context.traceState);
  if (traceState === context.traceState && isSampled(context)) return span;
  return sampledAs(span, context, traceState);
}

/** A span that is exported although nobody knows for how many it stands: sampled, without a threshold. */
export function uncountedSpan(span: ReadableSpan): ReadableSpan {
  const context = span.spanContext();
  return sampledAs(span, context, noThreshold.of(context.traceState));
}

export function isSampled({ traceFlags }: SpanContext): boolean {
  return (traceFlags & TraceFlags.SAMPLED) !== 0;
}

function sampledAs(span: ReadableSpan, context: SpanContext, traceState: TraceState | undefined): ReadableSpan {
  return new SpanWithContext(span, { ...context, traceFlags: context.traceFlags | TraceFlags.SAMPLED, traceState });
}

/** Rewrites tracestates. The spans of a local trace share one object, so the last one is remembered. */
class Rewriting {
  private readonly rewrite: (traceState: TraceState | undefined) => TraceState | undefined;
  private input: TraceState | undefined;
  private output: TraceState | undefined;

  constructor(rewrite: (traceState: TraceState | undefined) => TraceState | undefined) {
    this.rewrite = rewrite;
    this.output = rewrite(undefined);
  }

  of(traceState: TraceState | undefined): TraceState | undefined {
    if (traceState !== this.input) {
      this.output = this.rewrite(traceState);
      this.input = traceState;
    }
    return this.output;
  }
}

const zeroThreshold = new Rewriting((traceState) => {
  const { traceState: changed, written } = rewriteThreshold(traceState, ZERO);
  if (written) return changed ?? traceState;
  // No room for it beside other vendors' members. This one goes to the exporter only, and there the count matters more.
  const { rv } = parseOt(otOf(traceState));
  return createTraceState(rv === undefined ? 'ot=th:0' : `ot=th:0;rv:${rv}`);
});

const noThreshold = new Rewriting((traceState) => rewriteThreshold(traceState, undefined).traceState ?? traceState);
