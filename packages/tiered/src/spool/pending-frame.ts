import type { SpanBatch } from '@otel-resilience/core';
import { FRAME_HEADER_BYTES } from './frame.js';
import { ACK_BYTES } from './segment.js';

/** A frame on its way to disk. */
export interface PendingFrame {
  readonly batch: SpanBatch;
  readonly id: number;
  readonly wallMillis: number;
  readonly bodyBytes: number;
  readonly bodyCrc: number;
  readonly body: readonly Uint8Array[];
  /** It stands in for what somebody holds until then: acknowledged only after a sync. */
  readonly needsSync: boolean;
  /** The promise of `append` has been resolved. */
  acknowledged: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Rejects an append that does not fit. */
export const NO_ROOM = new Error('the spool is full');
/** Rejects one that comes after the end. */
export const CLOSED = new Error('the spool is shut down');

export const frameBytes = ({ bodyBytes }: { readonly bodyBytes: number }): number => FRAME_HEADER_BYTES + bodyBytes;

/** What frames are charged with: the note that they are settled too. */
export const chargeOf = (frames: ReadonlyArray<{ readonly bodyBytes: number }>): number =>
  frames.reduce((sum, frame) => sum + frameBytes(frame) + ACK_BYTES, 0);

/** Written in one go, and synced together: what waits when the disk is ready. */
const MAX_GROUP_BYTES = 4 * 1024 * 1024;
const MAX_GROUP_FRAMES = 256;

/** Takes as many off the queue as fit into so many bytes, at least one. */
export function takeGroup(queue: PendingFrame[], room: number): PendingFrame[] {
  let bytes = 0;
  let count = 0;
  while (count < queue.length && count < MAX_GROUP_FRAMES) {
    bytes += frameBytes(queue[count]!);
    if (count > 0 && (bytes > MAX_GROUP_BYTES || bytes > room)) break;
    count++;
  }
  return queue.splice(0, count);
}

export function acknowledge(frame: PendingFrame): void {
  if (frame.acknowledged) return;
  frame.acknowledged = true;
  frame.resolve();
}
