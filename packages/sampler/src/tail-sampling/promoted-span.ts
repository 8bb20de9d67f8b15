import { createTraceState, type SpanContext, TraceFlags, type TraceState } from '@opentelemetry/api';
import type { ReadableSpan } from '@otel-resilience/core';
import { otOf, rewriteThreshold } from '../parent-tracestate.js';
import { ZERO } from '../threshold.js';
import { parseOt } from '../tracestate.js';

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
  return new PromotedSpan(span, { ...context, traceFlags: context.traceFlags | TraceFlags.SAMPLED, traceState });
}

/**
 * A span with another context. Not `Object.create(span)`: to have been made a prototype costs a span 2 µs, and every
 * walk over its members 4 µs more (of Node 20, where this costs 0.1 in all); and there are most of these when things
 * are going wrong.
 */
class PromotedSpan implements ReadableSpan {
  private readonly span: ReadableSpan;
  private readonly context: SpanContext;

  constructor(span: ReadableSpan, context: SpanContext) {
    this.span = span;
    this.context = context;
  }

  spanContext(): SpanContext {
    return this.context;
  }
  get parentSpanContext() {
    return this.span.parentSpanContext;
  }
  get name() {
    return this.span.name;
  }
  get kind() {
    return this.span.kind;
  }
  get status() {
    return this.span.status;
  }
  get attributes() {
    return this.span.attributes;
  }
  get links() {
    return this.span.links;
  }
  get events() {
    return this.span.events;
  }
  get startTime() {
    return this.span.startTime;
  }
  get endTime() {
    return this.span.endTime;
  }
  get duration() {
    return this.span.duration;
  }
  get ended() {
    return this.span.ended;
  }
  get resource() {
    return this.span.resource;
  }
  get instrumentationScope() {
    return this.span.instrumentationScope;
  }
  get droppedAttributesCount() {
    return this.span.droppedAttributesCount;
  }
  get droppedEventsCount() {
    return this.span.droppedEventsCount;
  }
  get droppedLinksCount() {
    return this.span.droppedLinksCount;
  }
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
