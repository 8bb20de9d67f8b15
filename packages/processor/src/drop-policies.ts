import { laneOf, type ReadableSpan } from '@otel-resilience/core';
import { laneIndex, type QueueBounds, type SpanQueue } from './span-queue.js';

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

/** No lane: nothing queued goes for a span that has just ended. */
const NONE = -1;
/** The span was not admitted. */
export const REFUSED = -1;

/**
 * A queue with less than this share of its bytes free is full for a span that makes no room: whether it would just fit
 * is not worth encoding every span that ends while the queue is full.
 */
const LEAST_ROOM = 1 / 128;

/** Adds a span within the bounds, making room by the policy: returns how many had to go for it, or {@link REFUSED}. In a turn. */
export function admit(queue: SpanQueue, policy: DropPolicy, bounds: QueueBounds, span: ReadableSpan): number {
  const lane = policy === 'priority' ? laneIndex(laneOf(span)) : 0;
  const droppable = policy === 'newest' ? NONE : lane;
  if (!queue.hasUpTo(droppable) && isFull(queue, bounds)) return REFUSED;
  queue.add(span, lane);
  const dropped = queue.isWithin(bounds) ? 0 : makeRoom(queue, droppable, bounds);
  if (dropped === REFUSED) queue.undo(lane);
  else queue.settle(lane);
  return dropped;
}

/** There may be no room for the span that was added. */
function makeRoom(queue: SpanQueue, droppable: number, bounds: QueueBounds): number {
  // Only now it matters how large the spans really are.
  if (queue.maxTotalBytes > bounds.maxBytes) queue.measure();
  if (!queue.canShrinkTo(bounds, droppable)) return REFUSED;
  let dropped = 0;
  for (; !queue.isWithin(bounds); dropped++) queue.evictOldest(droppable);
  return dropped;
}

function isFull(queue: SpanQueue, { maxSpans, maxBytes }: QueueBounds): boolean {
  if (queue.spanCount >= maxSpans) return true;
  const most = maxBytes * (1 - LEAST_ROOM);
  if (queue.maxTotalBytes <= most) return false;
  queue.measure();
  return queue.maxTotalBytes > most;
}
