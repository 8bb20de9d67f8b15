import type { SpanContext } from '@opentelemetry/api';
import type { ReadableSpan } from '@otel-resilience/core';

/**
 * A span with another context. Not `Object.create(span)`: to have been made a prototype costs a span 2 µs, and every
 * walk over its members 4 µs more (of Node 20, where this costs 0.1 in all); and there are most of these when things
 * are going wrong.
 */
export class SpanWithContext implements ReadableSpan {
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
