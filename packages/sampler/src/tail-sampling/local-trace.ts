import type { ReadableSpan } from '@otel-resilience/core';
import type { KeepReason } from './keep-predicate.js';

/**
 * What becomes of the spans of a local trace.
 *
 *     held → kept | notKept     at the end of its local root, or early when a limit is met
 *     judgedAlone               only its local root is judged, by itself; the others go as the head has decided
 *     uncertain                 nothing is held, nothing can be promoted: the head's decision is all there is
 */
export type LocalTraceState = 'held' | 'kept' | 'notKept' | 'judgedAlone' | 'uncertain';

/** A local root (without a parent, or with a remote one) and its descendants in this process. */
export class LocalTrace {
  readonly traceId: string;
  readonly rootSpanId: string;
  state: LocalTraceState;
  /** Why it will be kept, as far as is known; never depends on a sampled flag. */
  reason: KeepReason | undefined;
  /** The spans that have ended while it is held, and their bytes. */
  spans: ReadableSpan[] = [];
  bytes = 0;
  /** By the monotonic clock. */
  heldSince = 0;
  /** Neighbours in the one list that it is in: of those held, or of those remembered. */
  previous: LocalTrace | undefined;
  next: LocalTrace | undefined;
  /** Where there are several local traces with this trace id; and, of all but the first, its span ids. */
  shared: SharedTraceId | undefined;
  spanIds: Set<string> | undefined;

  constructor(traceId: string, rootSpanId: string, state: LocalTraceState) {
    this.traceId = traceId;
    this.rootSpanId = rootSpanId;
    this.state = state;
  }
}

/** What tells several local traces with one trace id apart: the spans of all but the first. */
export interface SharedTraceId {
  readonly bySpanId: Map<string, LocalTrace>;
  /** Local traces besides the first. */
  others: number;
  /** Whether the first is here only because the others are. */
  isFirstForgotten: boolean;
}

/** From the oldest to the newest; everything in constant time. A trace is in one list at most. */
export class LocalTraceList {
  size = 0;
  oldest: LocalTrace | undefined;
  private newest: LocalTrace | undefined;

  push(trace: LocalTrace): void {
    trace.previous = this.newest;
    if (this.newest) this.newest.next = trace;
    else this.oldest = trace;
    this.newest = trace;
    this.size++;
  }

  remove(trace: LocalTrace): void {
    const { previous, next } = trace;
    if (previous) previous.next = next;
    else this.oldest = next;
    if (next) next.previous = previous;
    else this.newest = previous;
    trace.previous = undefined;
    trace.next = undefined;
    this.size--;
  }
}
