import type { ReadableSpan, Resource, SpanBatch } from '@otel-resilience/core';

/** A chunk that has left the queue: a batch to be. */
export interface QueuedChunk {
  readonly spanCount: number;
  /** Rises with every flush; a chunk never holds spans from before and after one. */
  readonly generation: number;
  /** Whether it was sealed because it was full. */
  readonly full: boolean;
  /** Those of its spans that can be read, some perhaps more than once. Never throws. */
  resources(): Iterable<Resource>;
  /** To be called once, when the resources have settled: the chunk gives up what it holds. */
  toBatch(): SpanBatch;
}

/**
 * A batch in the making: spans are added at the end, given up at the front, and leave as a whole. There are two kinds,
 * by what the exporter prefers: `SpanChunk` holds spans, `EncodedChunk` their encoded bytes.
 */
export interface Chunk extends QueuedChunk {
  /** At least what its spans take, encoded; that, as well as it can be known, once they are measured. */
  readonly bytes: number;
  /** What resources and scopes take on top at most, once for every request that its spans are in already. */
  readonly envelopeBytes: number;
  /** What would be left of all these bytes with the span only that was added last. */
  readonly lastBytes: number;
  /**
   * Adds a span at the end; `false`, and nothing is added, when there is no room for it. A chunk without spans has room
   * for any. Throws, and adds nothing, when the span cannot be read.
   */
  add(span: ReadableSpan): boolean;
  /** Takes the last `add` back, if nothing but `measure` has been called since. */
  undo(): void;
  /** Replaces upper bounds by what spans take. */
  measure(): void;
  /** Gives up the oldest span. There must be one. */
  dropFirst(): void;
  /** Moves the oldest spans of a sealed chunk of the same kind to its end: at most so many, and as far as there is room. */
  takeFrom(next: Chunk, maxSpans: number): void;
  /** Nothing will be added any more. */
  seal(full: boolean): void;
}

/** Called once for every lane; returns what makes its chunks. There is one at a time that is not sealed. */
export type ChunkKind = () => (generation: number) => Chunk;
