import type { SpanHead } from '../span-batch-summary.js';

/**
 * An encoded `ExportTraceServiceRequest` in chunks, of which spans can be read in part, counted and picked without
 * decoding them.
 */
export class BytesForm {
  readonly chunks: readonly Uint8Array[];
  readonly byteLength: number;

  constructor(chunks: readonly Uint8Array[]) {
    this.chunks = chunks;
    this.byteLength = chunks.reduce((bytes, chunk) => bytes + chunk.byteLength, 0);
  }

  /** What the summary needs of each span, in order. */
  heads(): SpanHead[] {
    throw new Error('BytesForm.heads is not written yet');
  }

  /** The spans at these indexes (ascending), with their resources and scopes. */
  pick(_indexes: readonly number[]): BytesForm {
    throw new Error('BytesForm.pick is not written yet');
  }
}
