import type { ReadableSpan } from '@otel-resilience/core';
import type { Chunk, QueuedChunk } from './chunk.js';
import { needStack } from './need-stack.js';

const NO_ROOM = -1;

/** What has to be known of every chunk that begins, of every span dropped, and of every chunk that ends in the queue. */
export interface ChunkTracker {
  opened(generation: number): void;
  lost(generation: number, spans: number): void;
  closed(generation: number): void;
}

/** The chunks of one lane, oldest first: sealed ones, and one at the end that may be open. */
export class LaneQueue {
  spanCount = 0;
  /** At least what its spans take, encoded. */
  bytes = 0;
  /** What resources and scopes of sealed chunks take on top. */
  private sealedEnvelopeBytes = 0;
  /** Chunks sealed so far. */
  sealCount = 0;
  /** Since all of them were measured: the newest ones, as far as they are still here. */
  private addedSince = 0;
  private readonly sealed: Chunk[] = [];
  private open: Chunk | undefined;
  private readonly newChunk: (generation: number) => Chunk;
  private readonly tracker: ChunkTracker;

  constructor(newChunk: (generation: number) => Chunk, tracker: ChunkTracker) {
    this.newChunk = newChunk;
    this.tracker = tracker;
  }

  get hasSealed(): boolean {
    return this.sealed.length > 0;
  }

  /** What resources and scopes take on top of the spans. */
  get envelopeBytes(): number {
    return this.sealedEnvelopeBytes + (this.open?.envelopeBytes ?? 0);
  }

  /** What would be left with the span only that was added last. */
  get lastBytes(): number {
    return this.open?.lastBytes ?? 0;
  }

  /** Adds a span at the end, in a new chunk if the open one has no room. Throws, and adds nothing, if it cannot be read. */
  add(span: ReadableSpan, generation: number): void {
    if (!this.open) needStack();
    const chunk = this.open ?? this.newChunk(generation);
    const { bytes } = chunk;
    const hadRoom = chunk.add(span);
    this.bytes += chunk.bytes - bytes;
    if (!hadRoom) {
      this.seal(true);
      this.add(span, generation);
      return;
    }
    this.spanCount++;
    this.addedSince++;
    if (this.open) return;
    this.open = chunk;
    this.tracker.opened(generation);
  }

  /** Spans in the open chunk; 0 when there is none. */
  get openCount(): number {
    return this.open?.spanCount ?? 0;
  }

  /**
   * Adds a span to the open chunk, which there must be; returns the bytes that it adds in all, resource and scope
   * included, or -1, and nothing is added, if it has no room. Throws, and adds nothing, if it cannot be read.
   */
  addToOpen(span: ReadableSpan): number {
    const open = this.open!;
    const { bytes, envelopeBytes } = open;
    if (!open.add(span)) {
      this.bytes += open.bytes - bytes; // the others were measured for it
      return NO_ROOM;
    }
    const added = open.bytes - bytes;
    this.bytes += added;
    this.spanCount++;
    this.addedSince++;
    return Math.max(0, added + open.envelopeBytes - envelopeBytes);
  }

  /** Takes the last `add` back, if nothing but `measure` has been called since. */
  undo(): void {
    const chunk = this.open!;
    const { bytes } = chunk;
    chunk.undo();
    this.spanCount--;
    this.bytes += chunk.bytes - bytes;
    if (chunk.spanCount > 0) return;
    this.open = undefined;
    this.tracker.closed(chunk.generation);
  }

  /** Seals the open chunk if it has so many spans; if that fails, for want of memory or stack, the next one tries again. */
  sealAt(spans: number): void {
    if (!this.open || this.open.spanCount < spans) return;
    try {
      needStack();
      this.seal(true);
    } catch {
      // Whoever has added a span must not hear that it was not.
    }
  }

  /** Seals the open chunk, if there is one. */
  seal(full: boolean): void {
    const { open } = this;
    if (!open) return;
    open.seal(full);
    this.sealed.push(open);
    this.sealedEnvelopeBytes += open.envelopeBytes;
    this.open = undefined;
    this.sealCount++;
  }

  /** Replaces upper bounds by what spans take. */
  measure(): void {
    let left = this.addedSince;
    this.addedSince = 0;
    if (this.open && left > 0) left -= this.measureChunk(this.open);
    for (let i = this.sealed.length - 1; i >= 0 && left > 0; i--) left -= this.measureChunk(this.sealed[i]!);
  }

  /** The oldest sealed chunk, filled up to `chunkSize` if it was full once and has lost spans since. */
  take(chunkSize: number): QueuedChunk | undefined {
    const chunk = this.sealed.shift();
    if (!chunk) return undefined;
    if (chunk.full && chunk.spanCount < chunkSize) this.topUp(chunk, chunkSize);
    this.spanCount -= chunk.spanCount;
    this.bytes -= chunk.bytes;
    this.sealedEnvelopeBytes -= chunk.envelopeBytes;
    return chunk;
  }

  /** Drops the oldest span; there must be one. */
  dropFirst(): void {
    const chunk = this.sealed[0] ?? this.open!;
    const { bytes, envelopeBytes } = chunk;
    chunk.dropFirst();
    this.spanCount--;
    this.bytes += chunk.bytes - bytes;
    if (chunk !== this.open) this.sealedEnvelopeBytes += chunk.envelopeBytes - envelopeBytes;
    this.tracker.lost(chunk.generation, 1);
    if (chunk.spanCount > 0) return;
    if (chunk === this.open) this.open = undefined;
    else this.sealed.shift();
    this.tracker.closed(chunk.generation);
  }

  /** Spans are dropped from the chunk that leaves next: without this, the fuller the queue, the emptier the batches. */
  private topUp(chunk: Chunk, chunkSize: number): void {
    for (let next = this.sealed[0]; next?.generation === chunk.generation; next = this.sealed[0]) {
      const before = chunk.envelopeBytes + next.envelopeBytes;
      chunk.takeFrom(next, chunkSize - chunk.spanCount);
      this.sealedEnvelopeBytes += chunk.envelopeBytes + next.envelopeBytes - before;
      if (next.spanCount > 0) return;
      this.sealed.shift();
      this.tracker.closed(next.generation);
    }
  }

  private measureChunk(chunk: Chunk): number {
    const { bytes } = chunk;
    chunk.measure();
    this.bytes += chunk.bytes - bytes;
    return chunk.spanCount;
  }
}
