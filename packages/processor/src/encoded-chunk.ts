import {
  type EncodedSpans,
  type ReadableSpan,
  type Resource,
  SpanBatch,
  SpanBatchBuilder,
} from '@otel-resilience/core';
import type { Chunk, ChunkKind } from './chunk.js';

/**
 * Chunks for an exporter that prefers bytes; none but a single span takes more than `maxBytes`, resources and scopes
 * included. The chunks of a lane share a builder, whose working buffers the open one writes to.
 */
export const encodedChunks =
  (maxBytes: number): ChunkKind =>
  () => {
    const builder = new SpanBatchBuilder();
    return (generation) => new EncodedChunk(generation, maxBytes, builder);
  };

/**
 * A chunk of encoded spans: bytes are all that it holds. Those in the builder cannot be dropped one by one, so when the
 * oldest has to go from there, everything in it is sealed: that becomes a part of the chunk, and the chunk stays open.
 */
class EncodedChunk implements Chunk {
  readonly generation: number;
  spanCount = 0;
  bytes = 0;
  full = false;
  private readonly maxBytes: number;
  /** Oldest first; each has resources and scopes of its own. */
  private readonly parts: EncodedSpans[] = [];
  /** What those of all parts take at most. */
  private partsEnvelopeBytes = 0;
  private lastSpanBytes = 0;
  /** Until the chunk is sealed: the newest spans. */
  private builder: SpanBatchBuilder | undefined;

  constructor(generation: number, maxBytes: number, builder: SpanBatchBuilder) {
    this.generation = generation;
    this.maxBytes = maxBytes;
    this.builder = builder;
  }

  add(span: ReadableSpan): boolean {
    const builder = this.builder!;
    if (!builder.hasRoomFor(span)) return false;
    this.lastSpanBytes = builder.add(span);
    this.spanCount++;
    this.bytes += this.lastSpanBytes;
    if (this.spanCount === 1 || this.bytes + this.envelopeBytes <= this.maxBytes) return true;
    this.undo();
    return false;
  }

  undo(): void {
    this.builder!.undo();
    this.spanCount--;
    this.bytes -= this.lastSpanBytes;
  }

  /** The size is exact. */
  measure(): void {}

  dropFirst(): void {
    const part = this.parts[0] ?? this.sealPart(this.builder!);
    const { byteLength, envelopeBytes } = part;
    part.dropFirst();
    this.spanCount--;
    this.bytes += part.byteLength - byteLength;
    this.partsEnvelopeBytes += part.envelopeBytes - envelopeBytes;
    if (part.spanCount === 0) this.parts.shift();
  }

  takeFrom(next: EncodedChunk, maxSpans: number): void {
    const lastCount = this.spanCount + maxSpans;
    while (this.spanCount < lastCount && next.parts.length > 0) {
      const maxBytes = this.maxBytes - this.bytes - this.envelopeBytes - next.parts[0]!.envelopeBytes;
      const part = next.takePart(lastCount - this.spanCount, maxBytes);
      if (part.spanCount === 0) return;
      this.parts.push(part);
      this.partsEnvelopeBytes += part.envelopeBytes;
      this.spanCount += part.spanCount;
      this.bytes += part.byteLength;
    }
  }

  seal(full: boolean): void {
    if (this.builder!.spanCount > 0) this.sealPart(this.builder!);
    this.builder = undefined;
    this.full = full;
  }

  resources(): Resource[] {
    return this.parts.flatMap((part) => [...part.resources()]);
  }

  toBatch(): SpanBatch {
    return SpanBatch.join(this.parts.splice(0).map((part) => SpanBatch.fromEncoded(part)));
  }

  get envelopeBytes(): number {
    return this.partsEnvelopeBytes + (this.builder?.envelopeBytes ?? 0);
  }

  get lastBytes(): number {
    return this.lastSpanBytes + (this.builder?.envelopeBytes ?? 0);
  }

  private sealPart(builder: SpanBatchBuilder): EncodedSpans {
    const part = builder.seal();
    this.parts.push(part);
    this.partsEnvelopeBytes += part.envelopeBytes;
    return part;
  }

  /** The oldest spans of the first part, or all of it: as much as that is within the bounds. */
  private takePart(maxSpans: number, maxBytes: number): EncodedSpans {
    const part = this.parts[0]!;
    const { envelopeBytes } = part;
    const isWithin = part.spanCount <= maxSpans && part.byteLength <= maxBytes;
    const taken = isWithin ? part : part.takeFirst(maxSpans, maxBytes);
    if (isWithin) this.parts.shift();
    this.partsEnvelopeBytes -= isWithin ? envelopeBytes : envelopeBytes - part.envelopeBytes;
    this.spanCount -= taken.spanCount;
    this.bytes -= taken.byteLength;
    return taken;
  }
}
