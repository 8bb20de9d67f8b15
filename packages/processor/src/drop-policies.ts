import { estimateSpanBytes, laneOf, maxSpanBytes, type ReadableSpan } from '@otel-resilience/core';
import { laneIndex, type SpanQueue } from './span-queue.js';

/**
 * Which span goes when the queue is full:
 *
 * - `oldest` (default): the one that has waited longest, so that the traces of the last minutes are there.
 * - `newest`: the one that has just ended, as the stock processor does.
 * - `priority`: of the least valuable lane the oldest; lanes from first to go to last: the rest, local roots, errors.
 *   A span is dropped itself when everything queued is worth more. Batches then hold one lane each, and leave in the
 *   opposite order.
 */
export type DropPolicy = 'oldest' | 'newest' | 'priority';

export const DROP_POLICIES: readonly DropPolicy[] = ['oldest', 'newest', 'priority'];

/** Whether there was room, and how many spans had to go for it. */
export interface Admission {
  readonly admitted: boolean;
  readonly evicted: number;
}

export interface QueueBounds {
  readonly maxSpans: number;
  readonly maxBytes: number;
}

const ADMITTED: Admission = Object.freeze({ admitted: true, evicted: 0 });
const REFUSED: Admission = Object.freeze({ admitted: false, evicted: 0 });

export function laneFor(policy: DropPolicy, span: ReadableSpan): number {
  return policy === 'priority' ? laneIndex(laneOf(span)) : 0;
}

/** Adds the span to the queue within its bounds, making room by the policy. Allocates only when something must go. */
export function admit(queue: SpanQueue, policy: DropPolicy, bounds: QueueBounds, span: ReadableSpan): Admission {
  const lane = laneFor(policy, span);
  const bound = maxSpanBytes(span);
  if (queue.spanCount < bounds.maxSpans && queue.maxBytes + bound <= bounds.maxBytes) {
    queue.push(span, bound, lane, false);
    return ADMITTED;
  }
  return admitMeasured(queue, policy, bounds, span, lane);
}

/** There may be no room: now it matters how large the spans really are. */
function admitMeasured(
  queue: SpanQueue,
  policy: DropPolicy,
  bounds: QueueBounds,
  span: ReadableSpan,
  lane: number,
): Admission {
  const bytes = estimateSpanBytes(span);
  if (bytes > bounds.maxBytes) return REFUSED;
  let evicted = 0;
  while (queue.spanCount >= bounds.maxSpans || queue.bytes + bytes > bounds.maxBytes) {
    if (policy === 'newest' || !queue.evictOldest(lane)) return evicted === 0 ? REFUSED : { admitted: false, evicted };
    evicted++;
  }
  queue.push(span, bytes, lane, true);
  return evicted === 0 ? ADMITTED : { admitted: true, evicted };
}
