import { TraceFlags } from '@opentelemetry/api';
import type { SpanProcessor } from '@otel-resilience/core';
import type { TailSamplingSpanProcessor } from '@otel-resilience/sampler';
import type { TailWrapper } from './process.js';
import type { SimSpan } from './sim-span.js';

/*
 * Tails that are biased in the two ways a tail naturally would be. They are made from the real one, which has no hook
 * for it: the first takes the sampler's word away from traces that are sampled; the second puts itself in the place of
 * one private field, the head of the list of held traces.
 */

/** What is sampled already need not be held: it passes with its threshold, and errors among it count many times. */
export const holdOnlyUnsampled: TailWrapper = (tail) =>
  before(tail, (span) => {
    if (isSampled(span) && isLocalRoot(span)) handover().holds = false;
  });

/** Where there is no room, what is sampled stays: errors among the others are lost, and nobody stands for them. */
export const evictOnlyUnsampled: TailWrapper = (tail) => {
  const sampled = new Set<string>();
  const list = (tail as unknown as { held: { list: HeldList } }).held.list;
  let head = list.oldest;
  Object.defineProperty(list, 'oldest', {
    get: () => {
      let trace = head;
      while (trace && sampled.has(trace.rootSpanId)) trace = trace.next;
      return trace ?? head;
    },
    set: (trace) => {
      head = trace;
    },
  });
  return before(tail, (span) => {
    if (isSampled(span) && isLocalRoot(span)) sampled.add(span.spanContext().spanId);
  });
};

interface HeldTrace {
  readonly rootSpanId: string;
  readonly next: HeldTrace | undefined;
}

interface HeldList {
  oldest: HeldTrace | undefined;
}

function before(tail: TailSamplingSpanProcessor, onStart: (span: SimSpan) => void): SpanProcessor {
  return {
    onStart(span, context) {
      onStart(span as SimSpan);
      tail.onStart(span, context);
    },
    onEnd: (span) => tail.onEnd(span),
    forceFlush: () => tail.forceFlush(),
    shutdown: () => tail.shutdown(),
  };
}

const isSampled = (span: SimSpan) => (span.spanContext().traceFlags & TraceFlags.SAMPLED) !== 0;
const isLocalRoot = ({ parentSpanContext: parent }: SimSpan) => parent === undefined || parent.isRemote === true;
/** Where the sampler leaves word for the tail. */
const handover = () =>
  (globalThis as never as Record<symbol, { holds: boolean }>)[Symbol.for('otel-resilience.sampling-handover')]!;
