import { type Context, createContextKey, ROOT_CONTEXT, type Span, type SpanContext, trace } from '@opentelemetry/api';
import { TraceState } from '@opentelemetry/core';
import type { ReadableSpan } from '@otel-resilience/core';
import type { SpanRun } from './workload.js';

const RESOURCE = { attributes: { 'service.name': 'simulated' } };
const SCOPE = { name: 'simulation' };
const START: [number, number] = [0, 0];
const NONE: never[] = [];
const UNSET = { code: 0 };
const ERROR = { code: 2 };

/** A recorded span, with what the sampler and the tail look at, and the real estimate of its size. */
export class SimSpan implements ReadableSpan {
  private readonly run: SpanRun;
  readonly parentSpanContext: SpanContext | undefined;
  readonly attributes: Readonly<Record<string, unknown>>;
  duration: [number, number] = START;
  status = UNSET;
  ended = false;
  private readonly context: SpanContext;

  constructor(run: SpanRun, context: SpanContext, parent: SpanContext | undefined) {
    this.run = run;
    this.context = context;
    this.parentSpanContext = parent;
    this.attributes = run.operation.attributes;
  }

  spanContext(): SpanContext {
    return this.context;
  }

  isRecording(): boolean {
    return !this.ended;
  }

  get name() {
    return this.run.operation.name;
  }
  get kind() {
    return this.run.operation.kind;
  }
  get startTime() {
    return START;
  }
  get endTime() {
    return this.duration;
  }
  get resource() {
    return RESOURCE;
  }
  get instrumentationScope() {
    return SCOPE;
  }
  get links() {
    return NONE;
  }
  get events() {
    return NONE;
  }
  get droppedAttributesCount() {
    return 0;
  }
  get droppedEventsCount() {
    return 0;
  }
  get droppedLinksCount() {
    return 0;
  }

  end(durationMillis: number, failed: boolean): void {
    this.duration = [Math.floor(durationMillis / 1_000), (durationMillis % 1_000) * 1e6];
    if (failed) this.status = ERROR;
    this.ended = true;
  }
}

/** A span that is not recorded, or one of another process. */
export class PropagatedSpan {
  private readonly context: SpanContext;

  constructor(context: SpanContext) {
    this.context = context;
  }

  spanContext(): SpanContext {
    return this.context;
  }

  isRecording(): boolean {
    return false;
  }
}

/** The API's key of the active span is not exported; `trace.setSpan` tells. */
let spanKey = createContextKey('none');
trace.setSpan(
  {
    getValue: () => undefined,
    setValue(key: symbol) {
      spanKey = key;
      return ROOT_CONTEXT;
    },
    deleteValue: () => ROOT_CONTEXT,
  },
  {} as Span,
);

/** A context that holds a span and nothing else; the API's own copies a map each time. */
export class SpanHolder implements Context {
  private readonly span: unknown;

  constructor(span: SimSpan | PropagatedSpan) {
    this.span = span;
  }

  getValue(key: symbol): unknown {
    return key === spanKey ? this.span : undefined;
  }

  setValue(key: symbol, value: unknown): Context {
    return trace.setSpan(ROOT_CONTEXT, this.span as Span).setValue(key, value);
  }

  deleteValue(): Context {
    return ROOT_CONTEXT;
  }
}

/** The parent as the next process sees it, through the W3C headers. */
export function propagated({ traceId, spanId, traceFlags, traceState }: SpanContext): PropagatedSpan {
  const header = traceState?.serialize();
  return new PropagatedSpan({
    traceId,
    spanId,
    traceFlags,
    isRemote: true,
    traceState: header ? new TraceState(header) : undefined,
  });
}
