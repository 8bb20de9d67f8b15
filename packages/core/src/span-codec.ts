import type { ReadableSpan } from './sdk-types.js';

/** Converts between SDK spans and an OTLP `ExportTraceServiceRequest`. */
export interface SpanCodec {
  encode(spans: readonly ReadableSpan[]): readonly Uint8Array[];
  /** Absent where only the stock serializer is at hand, which cannot read what it has written. */
  decode?(chunks: readonly Uint8Array[]): readonly ReadableSpan[];
}

// One per process, shared by the ESM and the CommonJS copy of this module.
const SLOT = Symbol.for('otel-resilience.span-codec');
const slots = globalThis as { [SLOT]?: SpanCodec };

/** Injects the codec that batches use when they must change form. `@otel-resilience/node` installs the stock one. */
export function installSpanCodec(codec: SpanCodec): void {
  slots[SLOT] = codec;
}

export function requireSpanCodec(): SpanCodec {
  const codec = slots[SLOT];
  if (!codec)
    throw new Error('this batch must change its form, and no span codec is installed: see installSpanCodec()');
  return codec;
}
