import { estimateSpanBytes, maxSpanBytes, type ReadableSpan, type Resource, SpanBatch } from '@otel-resilience/core';
import type { Chunk, ChunkKind } from './chunk.js';

/** Chunks for an exporter that prefers spans; none but a single span takes more than `maxBytes`, estimated. */
export const spanChunks =
  (maxBytes: number): ChunkKind =>
  () =>
  (generation) =>
    new SpanChunk(generation, maxBytes);

const COMPACTION = 256;

/**
 * A chunk of spans: adding one is two array pushes, and taking the batch copies nothing.
 *
 * The size of a span is a cheap upper bound (`maxSpanBytes`) until somebody needs to know better: `measure` replaces it
 * by an estimate, once per span. Spans that leave before, nearly all of them in a healthy pipeline, are never measured.
 */
class SpanChunk implements Chunk {
  readonly generation: number;
  spanCount = 0;
  bytes = 0;
  readonly envelopeBytes = 0;
  full = false;
  private readonly maxBytes: number;
  private readonly spans: ReadableSpan[] = [];
  private readonly sizes: number[] = [];
  private dropped = 0;
  /** Of how many, the last ones, the size is an upper bound only. */
  private unmeasured = 0;

  constructor(generation: number, maxBytes: number) {
    this.generation = generation;
    this.maxBytes = maxBytes;
  }

  get lastBytes(): number {
    return this.sizes.at(-1)!;
  }

  add(span: ReadableSpan): boolean {
    this.push(span, maxSpanBytes(span));
    this.unmeasured++;
    if (this.bytes <= this.maxBytes || this.spanCount === 1) return true;
    this.measure();
    if (this.bytes <= this.maxBytes) return true;
    this.undo();
    return false;
  }

  undo(): void {
    this.bytes -= this.lastBytes;
    this.spanCount--;
    this.spans.pop();
    this.sizes.pop();
    if (this.unmeasured > 0) this.unmeasured--;
  }

  measure(): void {
    const { spans, sizes } = this;
    for (let i = spans.length - this.unmeasured; i < spans.length; i++) {
      const estimate = estimateSpanBytes(spans[i]!);
      this.bytes += estimate - sizes[i]!;
      sizes[i] = estimate;
    }
    this.unmeasured = 0;
  }

  dropFirst(): void {
    this.bytes -= this.sizes[this.dropped]!;
    this.spans[this.dropped] = undefined as never; // the span's memory is free now, not when the chunk leaves
    this.dropped++;
    this.spanCount--;
    this.unmeasured = Math.min(this.unmeasured, this.spanCount);
    if (this.dropped >= COMPACTION && this.dropped * 2 >= this.spans.length) this.compact();
  }

  takeFrom(next: SpanChunk, maxSpans: number): void {
    for (let left = Math.min(maxSpans, next.spanCount); left > 0; left--) {
      const bytes = next.sizes[next.dropped]!;
      if (this.bytes + bytes > this.maxBytes) return;
      this.push(next.spans[next.dropped]!, bytes);
      if (this.unmeasured > 0 || next.unmeasured === next.spanCount) this.unmeasured++;
      next.dropFirst();
    }
  }

  seal(full: boolean): void {
    this.full = full;
  }

  resources(): Resource[] {
    const resources: Resource[] = [];
    let last: Resource | undefined;
    for (let i = this.dropped; i < this.spans.length; i++) {
      const resource = resourceOf(this.spans[i]!);
      if (!resource || resource === last) continue;
      last = resource;
      resources.push(resource);
    }
    return resources;
  }

  toBatch(): SpanBatch {
    const batch = SpanBatch.fromSpans(this.dropped === 0 ? this.spans : this.spans.slice(this.dropped));
    this.spans.length = 0;
    return batch;
  }

  private push(span: ReadableSpan, bytes: number): void {
    this.spans.push(span);
    this.sizes.push(bytes);
    this.spanCount++;
    this.bytes += bytes;
  }

  /** A chunk that never fills up, since the queue's bytes are spent before, is dropped from and added to for ever. */
  private compact(): void {
    this.spans.splice(0, this.dropped);
    this.sizes.splice(0, this.dropped);
    this.dropped = 0;
  }
}

function resourceOf(span: ReadableSpan): Resource | undefined {
  try {
    return span.resource;
  } catch {
    return undefined;
  }
}
