import { SpanBatch } from '@otel-resilience/core';
import { fakeSpan } from '../../packages/testing/src/fake-span.js';
import { Spool } from '../../packages/tiered/src/spool/disk-spool.js';

export interface BacklogJob {
  readonly directory: string;
  /** On disk, at least. */
  readonly bytes: number;
}

const BATCH_SPANS = 1_000;

/** Fills a spool as an application does whose collector is away, and waits to be killed. */
export async function makeBacklog({ directory, bytes }: BacklogJob, say: (made: object) => void): Promise<void> {
  const spool = new Spool({ directory, maxBytes: maxBytesFor(bytes), required: true });
  await spool.open();
  let spans = 0;
  while (spool.bytes < bytes) {
    const batch = SpanBatch.fromSpans(Array.from({ length: BATCH_SPANS }, () => fakeSpan({ index: spans++ })));
    batch.otlp();
    const { stored } = await spool.append(batch);
    if (stored !== BATCH_SPANS) throw new Error(`stored ${stored} of ${BATCH_SPANS}`);
  }
  say({ spans, bytes: spool.bytes, segments: spool.status().segments });
}

/** None of it may be evicted, and live spans may come on top. */
export const maxBytesFor = (bytes: number): number => bytes + 1024 * 1024 * 1024;
