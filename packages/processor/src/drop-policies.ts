import { laneOf, type ReadableSpan } from '@otel-resilience/core';
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

export function laneFor(policy: DropPolicy, span: ReadableSpan): number {
  return policy === 'priority' ? laneIndex(laneOf(span)) : 0;
}

/** Adds the span to the queue within its bounds, making room by the policy. Allocates only when something must go. */
export function admit(
  queue: SpanQueue,
  policy: DropPolicy,
  bounds: QueueBounds,
  span: ReadableSpan,
  bytes: number,
): Admission {
  const lane = laneFor(policy, span);
  if (fits(queue, bounds, bytes)) {
    queue.push(span, bytes, lane);
    return ADMITTED;
  }
  if (policy === 'newest' || bytes > bounds.maxBytes) return { admitted: false, evicted: 0 };
  let evicted = 0;
  while (!fits(queue, bounds, bytes)) {
    if (!queue.evictOldest(lane)) return { admitted: false, evicted };
    evicted++;
  }
  queue.push(span, bytes, lane);
  return { admitted: true, evicted };
}

function fits(queue: SpanQueue, bounds: QueueBounds, bytes: number): boolean {
  return queue.spanCount < bounds.maxSpans && queue.bytes + bytes <= bounds.maxBytes;
}
