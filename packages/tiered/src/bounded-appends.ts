import { ExportError, type SpanBatch } from '@otel-resilience/core';
import { MAX_MEMORY_BYTES } from './spool/fallback-memory.js';
import type { SpanSpool, SpoolAppend } from './spool/spool.js';

/**
 * Appends to a spool of which only so many wait for an answer, in bytes, as may wait in memory while a disk is in trouble:
 * one that hangs would fill it with batches that are in no books. A single one may be larger.
 */
export class BoundedAppends {
  private readonly spool: SpanSpool;
  private unansweredBytes = 0;

  constructor(spool: SpanSpool) {
    this.spool = spool;
  }

  /** Rejects, beside what the spool itself rejects with, while too much waits. */
  async append(batch: SpanBatch): Promise<SpoolAppend> {
    const { spool, unansweredBytes } = this;
    // As it is now: a batch's own changes when it is encoded.
    const { byteLength } = batch;
    if (unansweredBytes > 0 && unansweredBytes + byteLength > MAX_MEMORY_BYTES) {
      throw new ExportError('REFUSED', `it has not answered yet for ${unansweredBytes} bytes`);
    }
    const { accepted } = spool.stats();
    const appended = spool.append(batch);
    // In its books already, and within its bounds: a burst that comes in one tick evicts what is older.
    if (spool.stats().accepted > accepted) return appended;
    this.unansweredBytes += byteLength;
    try {
      return await appended;
    } finally {
      this.unansweredBytes -= byteLength;
    }
  }
}
