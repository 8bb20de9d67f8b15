import { LANES, type Lane, type ReadableSpan } from '@otel-resilience/core';
import type { ChunkKind, QueuedChunk } from './chunk.js';
import { type ChunkTracker, LaneQueue } from './lane-queue.js';
import { Turns } from './turns.js';

export interface QueueBounds {
  readonly maxSpans: number;
  readonly maxBytes: number;
}

export interface SpanQueueOptions {
  /** Spans in the first chunks; may be changed at any time. */
  readonly chunkSize: number;
  readonly chunks: ChunkKind;
  /** Whether spans are kept apart by lane. */
  readonly lanes: boolean;
  readonly tracker: ChunkTracker;
}

/**
 * The spans that wait for an export, as a queue of chunks that are batches already. It has no bounds of its own: its
 * owner keeps it within some, by policy. Whoever adds a span, and makes room for it, does so in a turn; the rest waits
 * for nobody, and does nothing when it is somebody else's turn.
 */
export class SpanQueue {
  spanCount = 0;
  /** At least as much as the spans take, encoded. */
  maxBytes = 0;
  readonly turns: Turns = new Turns();
  private size: number;
  private generation = 0;
  /** What `addQuickly` may still add. */
  private quickSpans = 0;
  private quickBytes = 0;
  private readonly lanes: readonly LaneQueue[];

  constructor({ chunkSize, chunks, lanes, tracker }: SpanQueueOptions) {
    this.size = chunkSize;
    this.lanes = Array.from({ length: lanes ? LANES.length : 1 }, () => new LaneQueue(chunks(), tracker));
  }

  get chunkSize(): number {
    return this.size;
  }

  set chunkSize(spans: number) {
    if (spans === this.size) return;
    this.size = spans;
    this.revoke();
  }

  /** What the spans take: exactly if they are encoded, otherwise estimated within 20 %. */
  get bytes(): number {
    this.inTurn(() => this.measure());
    return this.maxBytes;
  }

  /** Replaces upper bounds by what spans take. In a turn. */
  measure(): void {
    this.revoke(); // a span may not be what it was
    for (const lane of this.lanes) lane.measure();
    this.sum();
  }

  /** What resources and scopes take on top of the spans: those of every chunk, since each will be a request. */
  get envelopeBytes(): number {
    let bytes = 0;
    for (let i = 0; i < this.lanes.length; i++) bytes += this.lanes[i]!.envelopeBytes;
    return bytes;
  }

  /** `bytes`, resources and scopes included: what the bound is for. */
  get totalBytes(): number {
    return this.bytes + this.envelopeBytes;
  }

  /** At least `totalBytes`, for less. */
  get maxTotalBytes(): number {
    return this.maxBytes + this.envelopeBytes;
  }

  isWithin({ maxSpans, maxBytes }: QueueBounds): boolean {
    return this.spanCount <= maxSpans && this.maxTotalBytes <= maxBytes;
  }

  /** Whether a span of a lane up to this one is queued. */
  hasUpTo(lane: number): boolean {
    for (let i = 0; i <= lane; i++) if (this.lanes[i]!.spanCount > 0) return true;
    return false;
  }

  /** Whether it would be within these bounds if of the lanes up to this one only the span were left that was added last. */
  canShrinkTo(bounds: QueueBounds, lane: number): boolean {
    if (lane < 0) return this.isWithin(bounds);
    let spans = 1;
    let bytes = this.lanes[lane]!.lastBytes;
    for (let i = lane + 1; i < this.lanes.length; i++) {
      spans += this.lanes[i]!.spanCount;
      bytes += this.lanes[i]!.bytes + this.lanes[i]!.envelopeBytes;
    }
    return spans <= bounds.maxSpans && bytes <= bounds.maxBytes;
  }

  /**
   * Adds a span, or throws, and adds nothing, if it cannot be read. Then either `undo` takes it back, or `settle` is
   * called, after `evictOldest` has made room if need be. All in one turn. `lane` is an index into {@link LANES}, 0
   * without lanes.
   */
  add(span: ReadableSpan, lane: number): void {
    this.revoke();
    const queue = this.lanes[lane]!;
    const { bytes } = queue;
    try {
      queue.add(span, this.generation);
      this.spanCount++;
    } finally {
      this.maxBytes += queue.bytes - bytes; // also if the span had no room, and the others were measured for it
    }
  }

  /**
   * Says that nothing has to be done for the next spans, `most` of them, but adding them: while they fill the open chunk,
   * and stay within the bounds. Whatever else happens to the queue revokes that.
   */
  grant(most: number, { maxSpans, maxBytes }: QueueBounds): void {
    const open = this.lanes[0]!.openCount;
    if (this.lanes.length > 1 || open === 0) return;
    this.quickSpans = Math.min(most, this.size - 1 - open, maxSpans - this.spanCount);
    this.quickBytes = maxBytes - this.maxTotalBytes;
  }

  revoke(): void {
    this.quickSpans = 0;
  }

  /**
   * Adds a span if that is all there is to do; `false`, and nothing is added, if it is not. Throws, and adds nothing, if
   * the span cannot be read. In a turn.
   */
  addQuickly(span: ReadableSpan): boolean {
    if (this.quickSpans <= 0) return false;
    const lane = this.lanes[0]!;
    const { bytes } = lane;
    const added = lane.addToOpen(span);
    if (added < 0 || added > this.quickBytes) {
      if (added >= 0) lane.undo();
      this.revoke();
      this.sum();
      return false;
    }
    this.quickSpans--;
    this.quickBytes -= added;
    this.spanCount++;
    this.maxBytes += lane.bytes - bytes;
    return true;
  }

  undo(lane: number): void {
    this.revoke();
    this.lanes[lane]!.undo();
    this.sum();
  }

  /** The span that was added stays. If its chunk is full now, it is ready to leave. */
  settle(lane: number): void {
    this.lanes[lane]!.sealAt(this.size);
  }

  /** Drops the oldest span of the least valuable lane; one of a lane up to this must be queued. */
  evictOldest(lane: number): void {
    this.revoke();
    for (let i = 0; i <= lane; i++) {
      const candidate = this.lanes[i]!;
      if (candidate.spanCount === 0) continue;
      candidate.dropFirst();
      this.sum();
      return;
    }
  }

  /** Chunks sealed so far. */
  get sealCount(): number {
    let count = 0;
    for (const lane of this.lanes) count += lane.sealCount;
    return count;
  }

  /** Whether a full chunk, or one sealed by a flush, is waiting. */
  get hasSealed(): boolean {
    for (const lane of this.lanes) if (lane.hasSealed) return true;
    return false;
  }

  /** Seals what is open, so that `take` returns it. */
  sealOpen(): void {
    this.inTurn(() => this.sealLanes());
  }

  /** Starts a new generation and returns the one that has ended: everything queued so far is of it or older. */
  endGeneration(): number {
    const { generation } = this;
    this.inTurn(() => {
      this.sealLanes();
      this.generation++;
    });
    return generation;
  }

  /** The oldest sealed chunk of the most valuable lane that has one. */
  take(): QueuedChunk | undefined {
    if (this.turns.isTaken) return undefined;
    this.revoke();
    for (let i = this.lanes.length - 1; i >= 0; i--) {
      const chunk = this.lanes[i]!.take(this.size);
      if (!chunk) continue;
      this.sum();
      return chunk;
    }
    return undefined;
  }

  private sealLanes(): void {
    this.revoke();
    for (const lane of this.lanes) lane.seal(false);
  }

  private inTurn(work: () => void): void {
    const { turns } = this;
    if (turns.isTaken) return;
    turns.isTaken = true;
    try {
      work();
    } finally {
      turns.isTaken = false;
    }
    turns.ended();
  }

  private sum(): void {
    let spans = 0;
    let bytes = 0;
    for (let i = 0; i < this.lanes.length; i++) {
      const lane = this.lanes[i]!;
      spans += lane.spanCount;
      bytes += lane.bytes;
    }
    this.spanCount = spans;
    this.maxBytes = bytes;
  }
}

export const laneIndex = (lane: Lane): number => LANES.indexOf(lane);
