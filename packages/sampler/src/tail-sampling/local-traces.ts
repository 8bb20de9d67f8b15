import type { ReadableSpan } from '@otel-resilience/core';
import { LocalTrace, LocalTraceList, type SharedTraceId } from './local-trace.js';

/**
 * Which local trace a span belongs to: those that are held, and the last `maxRemembered` of those that are not (any
 * more), for spans that end late.
 *
 * By trace id, which costs one look-up at the end of a span and nothing at its start. Where a trace comes through this
 * process more than once (A → B → A) its later local traces are told apart by their spans' ids.
 */
export class LocalTraces {
  private readonly byTraceId = new Map<string, LocalTrace>();
  private readonly remembered = new LocalTraceList();
  private readonly maxRemembered: number;
  private sharedTraceIds = 0;

  constructor(maxRemembered: number) {
    this.maxRemembered = maxRemembered;
  }

  get size(): number {
    return this.byTraceId.size;
  }

  /** A local root has started. */
  add(trace: LocalTrace): void {
    const first = this.byTraceId.get(trace.traceId);
    if (first === undefined) {
      this.byTraceId.set(trace.traceId, trace);
      return;
    }
    if (first.shared === undefined) {
      first.shared = { bySpanId: new Map(), others: 0, isFirstForgotten: false };
      this.sharedTraceIds++;
    }
    trace.shared = first.shared;
    trace.shared.others++;
    trace.spanIds = new Set();
    claim(trace, trace.rootSpanId);
  }

  /** Whether {@link addChild} may have something to do. */
  get needsChildren(): boolean {
    return this.sharedTraceIds > 0;
  }

  /** A local child has started. */
  addChild(traceId: string, spanId: string, parentSpanId: string): void {
    const trace = this.byTraceId.get(traceId)?.shared?.bySpanId.get(parentSpanId);
    if (trace !== undefined) claim(trace, spanId);
  }

  /**
   * A local child has started that this process need not record when its trace is not sampled: it must be no reason to
   * keep the one that is.
   */
  setApart(traceId: string, spanId: string): void {
    if (!this.byTraceId.has(traceId)) return;
    const trace = new LocalTrace(traceId, spanId, 'uncertain');
    this.add(trace);
    this.remember(trace);
  }

  /** The local trace of a span. One whose start nobody saw counts to the first local root with its trace id. */
  find(traceId: string, spanId: string): LocalTrace | undefined {
    if (this.byTraceId.size === 0) return undefined;
    const first = this.byTraceId.get(traceId);
    return first?.shared?.bySpanId.get(spanId) ?? first;
  }

  /** It is not held, or no longer. Forgets the oldest such trace when there are too many. */
  remember(trace: LocalTrace): void {
    this.remembered.push(trace);
    if (this.remembered.size > this.maxRemembered) this.forget(this.remembered.oldest!);
  }

  /** Nobody needs to know any more what became of it, or we cannot afford to. */
  forget(trace: LocalTrace): void {
    this.remembered.remove(trace);
    const { shared } = trace;
    if (shared === undefined) this.byTraceId.delete(trace.traceId);
    else if (trace.spanIds === undefined) this.forgetFirst(trace, shared);
    else this.forgetOther(trace, shared);
  }

  /** A span of a decided trace has ended. Its id is given up: only the local root is likely to get children yet. */
  spanEnded(trace: LocalTrace, spanId: string | undefined): void {
    if (trace.spanIds !== undefined && spanId !== undefined && spanId !== trace.rootSpanId) disclaim(trace, spanId);
  }

  /** The same of those that ended while it was held. */
  spansEnded(trace: LocalTrace, spans: readonly ReadableSpan[]): void {
    if (trace.spanIds === undefined) return;
    for (const span of spans) this.spanEnded(trace, spanIdOf(span));
  }

  /** The others are still told apart from it: it stays, as one of which nothing is known. */
  private forgetFirst(trace: LocalTrace, shared: SharedTraceId): void {
    trace.state = 'uncertain';
    shared.isFirstForgotten = true;
  }

  private forgetOther(trace: LocalTrace, shared: SharedTraceId): void {
    for (const spanId of trace.spanIds!) disclaim(trace, spanId);
    if (--shared.others > 0) return;
    this.sharedTraceIds--;
    if (shared.isFirstForgotten) this.byTraceId.delete(trace.traceId);
    else this.byTraceId.get(trace.traceId)!.shared = undefined;
  }
}

// More open spans than a request has; those of a leak need not be told apart.
const MAX_SPAN_IDS = 10_000;

function spanIdOf(span: ReadableSpan): string | undefined {
  try {
    return span.spanContext().spanId;
  } catch {
    return undefined;
  }
}

function claim(trace: LocalTrace, spanId: string): void {
  if (trace.spanIds!.size >= MAX_SPAN_IDS) return;
  trace.spanIds!.add(spanId);
  trace.shared!.bySpanId.set(spanId, trace);
}

function disclaim({ shared, spanIds }: LocalTrace, spanId: string): void {
  if (spanIds!.delete(spanId)) shared!.bySpanId.delete(spanId);
}
