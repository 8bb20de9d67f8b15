import {
  type Clock,
  type ExportContext,
  type ExportOutcome,
  exportAttempt,
  SpanBatch,
  type SpanBatchExporter,
} from '@otel-resilience/core';
import type { ExportSlots } from './export-slots.js';
import { resourcesSettled } from './resources-settled.js';
import type { QueuedChunk } from './span-queue.js';

export interface ExportChunkOptions {
  readonly exporter: SpanBatchExporter;
  readonly slots: ExportSlots;
  readonly clock: Clock;
  readonly timeoutMillis: number;
  /** Ends every export when the processor stops. */
  readonly signal: AbortSignal;
  /** Called when the exporter answers after its export had been given up, and its slot is free at last. */
  readonly onLateOutcome: (outcome: ExportOutcome) => void;
}

// Resource detectors give up after 5 s themselves; a batch must not wait for a broken one for ever.
const RESOURCE_WAIT_MILLIS = 5_000;

/**
 * Exports a chunk in a slot that is taken here and now, before anything is awaited. The slot is free again when the
 * exporter has answered, not when we stop waiting: a hung exporter gets no further work.
 */
export async function exportChunk(chunk: QueuedChunk, options: ExportChunkOptions): Promise<ExportOutcome> {
  const { exporter, slots, clock, timeoutMillis, signal, onLateOutcome } = options;
  slots.acquire();
  const startedAt = clock.now();
  const deadline = startedAt + timeoutMillis;
  const pending = resourcesSettled(chunk.spans);
  if (pending) await settledWithin(Math.min(timeoutMillis, RESOURCE_WAIT_MILLIS), pending, { clock, signal });

  let called = false;
  const inSlot = async (batch: SpanBatch, context: ExportContext) => {
    called = true;
    try {
      return await exporter.exportBatch(batch, context);
    } finally {
      slots.release();
    }
  };
  const batch = SpanBatch.fromSpans(chunk.spans, { byteLength: chunk.bytes });
  const outcome = await exportAttempt({ exportBatch: inSlot }, batch, { signal, deadline }, { clock, onLateOutcome });
  if (!called) slots.release();
  return outcome;
}

/** Unlike `settledBy`, ends with the signal and keeps no process alive. */
function settledWithin(
  millis: number,
  promise: Promise<unknown>,
  { clock, signal }: Pick<ExportChunkOptions, 'clock' | 'signal'>,
): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clock.clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = clock.setTimeout(done, millis);
    signal.addEventListener('abort', done, { once: true });
    promise.then(done, done);
  });
}
