import { Buffer } from 'node:buffer';
import { LimitedLog } from '../limited-log.js';
import type { ReadableSpan } from '../sdk-types.js';
import { SpanBatchBuilder } from './span-batch-builder.js';

/** Spans of a batch that cannot be encoded: nobody can read as much as their ids. */
export class UnreadableSpansError extends Error {
  /** Their places in the batch, ascending. */
  readonly indexes: readonly number[];

  constructor(indexes: readonly number[]) {
    super(`${indexes.length} spans cannot be read, the first of them at index ${indexes[0]}`);
    this.name = 'UnreadableSpansError';
    this.indexes = indexes;
  }
}

/**
 * The bytes of an OTLP `ExportTraceServiceRequest` with these spans, grouped by resource and scope (by identity).
 * Never throws: a span that has no ids is left out, with a line in the log. NORMALISE.md says what becomes of values
 * that OTLP cannot express. Resources are written as they are now.
 */
export function encodeSpans(spans: readonly ReadableSpan[]): Uint8Array {
  const { bytes, unreadable } = encode(spans);
  if (unreadable.length > 0) log.warn('unreadable', () => `${unreadable.length} spans could not be read`);
  return bytes;
}

/** The same, and the indexes of the spans that are left out. */
export function encode(spans: readonly ReadableSpan[]): { bytes: Uint8Array; unreadable: readonly number[] } {
  const builder = idle ?? new SpanBatchBuilder();
  idle = undefined; // encoding reads members of spans, which may be anybody's code, and end up here again
  const unreadable: number[] = [];
  const requests: Uint8Array[] = [];
  // Not `for … of`: an iterator leaves 240 bytes of garbage for every span.
  for (let index = 0; index < spans.length; index++) {
    const span = spans[index]!;
    try {
      if (!builder.hasRoomFor(span)) requests.push(builder.seal().write());
      builder.add(span);
    } catch {
      unreadable.push(index);
    }
  }
  const last = builder.seal().write();
  idle = builder;
  // Several requests, one after the other, are one request: that is protobuf's rule for repeated fields.
  return { bytes: requests.length === 0 ? last : Buffer.concat([...requests, last]), unreadable };
}

const log = new LimitedLog('encodeSpans');
let idle: SpanBatchBuilder | undefined;
