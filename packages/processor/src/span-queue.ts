import { estimateSpanBytes, LANES, type Lane, type ReadableSpan } from '@otel-resilience/core';

/** A batch in the making: spans are added at the end, evicted from the front, and taken as a whole. */
export interface QueuedChunk {
  readonly spanCount: number;
  readonly spans: readonly ReadableSpan[];
  /** Rises with every flush; a chunk never holds spans from before and after one. */
  readonly generation: number;
  /** Whether it was sealed because it was full. */
  readonly full: boolean;
}

export interface SpanQueueOptions {
  /** Spans in the first chunks; may be changed at any time. */
  readonly chunkSize: number;
  /** A chunk is sealed before its estimated size exceeds this; a single span may. */
  readonly maxChunkBytes: number;
  /** Whether spans are kept apart by lane. */
  readonly lanes: boolean;
  /** Told of every chunk that begins, of every span evicted, and of every chunk evicted to its last span. */
  readonly tracker: {
    opened(generation: number): void;
    lost(generation: number, spans: number): void;
    closed(generation: number): void;
  };
}

/**
 * The spans that wait for an export, as a queue of chunks that are batches already: taking one copies nothing, and
 * adding a span is two array pushes. It has no bound of its own, its owner evicts by policy.
 *
 * The size of a span is a cheap upper bound (`maxSpanBytes`) until somebody needs to know better: when the bounds add
 * up to more than there is room for, {@link measure} replaces them by estimates, once per span. Spans that leave
 * before, nearly all of them in a healthy pipeline, are never measured.
 */
export class SpanQueue {
  chunkSize: number;
  spanCount = 0;
  /** Chunks sealed so far. */
  sealCount = 0;
  private byteBound = 0;
  private unmeasured = 0;
  private sealedChunks = 0;
  private generation = 0;
  private readonly lanes: readonly LaneQueue[];
  private readonly options: SpanQueueOptions;

  constructor(options: SpanQueueOptions) {
    this.options = options;
    this.chunkSize = options.chunkSize;
    this.lanes = Array.from({ length: options.lanes ? LANES.length : 1 }, () => ({ sealed: [], open: undefined }));
  }

  /** At least as much as the spans take, encoded. */
  get maxBytes(): number {
    return this.byteBound;
  }

  /** What they take, estimated within 20 %. */
  get bytes(): number {
    this.measure();
    return this.byteBound;
  }

  /** Replaces upper bounds by estimates. */
  measure(): void {
    if (this.unmeasured === 0) return;
    for (const { sealed, open } of this.lanes) {
      for (const chunk of sealed) this.measureChunk(chunk);
      if (open) this.measureChunk(open);
    }
  }

  /** `lane` is an index into {@link LANES}, 0 without lanes; `isMeasured` says that `bytes` is an estimate. */
  push(span: ReadableSpan, bytes: number, lane: number, isMeasured: boolean): void {
    const queue = this.lanes[lane]!;
    let chunk = queue.open;
    if (chunk === undefined || !this.hasRoom(chunk, bytes)) {
      this.seal(queue, true);
      chunk = queue.open = new Chunk(this.generation);
      this.options.tracker.opened(this.generation);
    }
    const { unmeasured } = chunk;
    chunk.push(span, bytes, isMeasured);
    this.spanCount++;
    this.byteBound += bytes;
    this.unmeasured += chunk.unmeasured - unmeasured;
    if (chunk.spanCount >= this.chunkSize) this.seal(queue, true);
  }

  /** Whether a full chunk, or one sealed by a flush, is waiting. */
  get hasSealed(): boolean {
    return this.sealedChunks > 0;
  }

  /** Seals what is open, so that `take` returns it. */
  sealOpen(): void {
    for (const lane of this.lanes) this.seal(lane, false);
  }

  /** Starts a new generation and returns the one that has ended: everything queued so far is of it or older. */
  endGeneration(): number {
    this.sealOpen();
    return this.generation++;
  }

  /** The oldest sealed chunk of the most valuable lane that has one. */
  take(): QueuedChunk | undefined {
    for (let lane = this.lanes.length - 1; lane >= 0; lane--) {
      const chunk = this.lanes[lane]!.sealed.shift();
      if (!chunk) continue;
      this.sealedChunks--;
      this.topUp(chunk, this.lanes[lane]!);
      this.spanCount -= chunk.spanCount;
      this.byteBound -= chunk.bytes;
      this.unmeasured -= chunk.unmeasured;
      return chunk;
    }
    return undefined;
  }

  /** Removes the oldest span of the least valuable lane not above `highestLane`; `false` when there is none. */
  evictOldest(highestLane: number): boolean {
    for (let lane = 0; lane <= highestLane && lane < this.lanes.length; lane++) {
      const queue = this.lanes[lane]!;
      const chunk = queue.sealed[0] ?? queue.open;
      if (!chunk) continue;
      const { bytes, unmeasured } = chunk;
      chunk.evict();
      this.byteBound -= bytes - chunk.bytes;
      this.unmeasured -= unmeasured - chunk.unmeasured;
      this.spanCount--;
      this.options.tracker.lost(chunk.generation, 1);
      if (chunk.spanCount === 0) {
        if (queue.sealed[0] === chunk) {
          queue.sealed.shift();
          this.sealedChunks--;
        } else queue.open = undefined;
        this.options.tracker.closed(chunk.generation);
      }
      return true;
    }
    return false;
  }

  /** Eviction takes from the chunk that leaves next: without this, the fuller the queue, the emptier the batches. */
  private topUp(chunk: Chunk, { sealed }: LaneQueue): void {
    while (chunk.full && chunk.spanCount < this.chunkSize) {
      const next = sealed[0];
      if (next?.generation !== chunk.generation || chunk.bytes + next.firstBytes > this.options.maxChunkBytes) return;
      const unmeasured = chunk.unmeasured + next.unmeasured;
      next.moveFirstTo(chunk);
      this.unmeasured += chunk.unmeasured + next.unmeasured - unmeasured;
      if (next.spanCount > 0) continue;
      sealed.shift();
      this.sealedChunks--;
      this.options.tracker.closed(next.generation);
    }
  }

  private hasRoom(chunk: Chunk, bytes: number): boolean {
    const { maxChunkBytes } = this.options;
    if (chunk.bytes + bytes <= maxChunkBytes) return true;
    this.measureChunk(chunk);
    return chunk.bytes + bytes <= maxChunkBytes;
  }

  private measureChunk(chunk: Chunk): void {
    const { bytes, unmeasured } = chunk;
    chunk.measure();
    this.byteBound -= bytes - chunk.bytes;
    this.unmeasured -= unmeasured;
  }

  private seal(lane: LaneQueue, full: boolean): void {
    const { open } = lane;
    if (!open) return;
    open.full = full;
    lane.sealed.push(open);
    lane.open = undefined;
    this.sealedChunks++;
    this.sealCount++;
  }
}

export const laneIndex = (lane: Lane): number => LANES.indexOf(lane);

interface LaneQueue {
  readonly sealed: Chunk[];
  open: Chunk | undefined;
}

const COMPACTION = 256;

class Chunk implements QueuedChunk {
  readonly generation: number;
  private readonly queued: ReadableSpan[] = [];
  private readonly sizes: number[] = [];
  private evicted = 0;
  bytes = 0;
  /** How many of the sizes, the last ones, may be upper bounds. */
  unmeasured = 0;
  full = false;

  constructor(generation: number) {
    this.generation = generation;
  }

  get spans(): readonly ReadableSpan[] {
    return this.evicted === 0 ? this.queued : this.queued.slice(this.evicted);
  }

  get spanCount(): number {
    return this.queued.length - this.evicted;
  }

  push(span: ReadableSpan, bytes: number, isMeasured: boolean): void {
    this.queued.push(span);
    this.sizes.push(bytes);
    this.bytes += bytes;
    if (!isMeasured || this.unmeasured > 0) this.unmeasured++;
  }

  measure(): void {
    for (let i = this.queued.length - this.unmeasured; i < this.queued.length; i++) {
      const estimate = estimateSpanBytes(this.queued[i]!);
      this.bytes += estimate - this.sizes[i]!;
      this.sizes[i] = estimate;
    }
    this.unmeasured = 0;
  }

  get firstBytes(): number {
    return this.sizes[this.evicted]!;
  }

  moveFirstTo(other: Chunk): void {
    other.push(this.queued[this.evicted]!, this.firstBytes, this.unmeasured < this.spanCount);
    this.evict();
  }

  evict(): void {
    this.bytes -= this.sizes[this.evicted]!;
    this.queued[this.evicted] = undefined as never; // the span's memory is free now, not when the chunk leaves
    this.evicted++;
    this.unmeasured = Math.min(this.unmeasured, this.spanCount);
    if (this.evicted >= COMPACTION && this.evicted * 2 >= this.queued.length) this.compact();
  }

  /** A chunk that never fills up, since the queue's bytes are spent before, is evicted and added to for ever. */
  private compact(): void {
    this.queued.splice(0, this.evicted);
    this.sizes.splice(0, this.evicted);
    this.evicted = 0;
  }
}
