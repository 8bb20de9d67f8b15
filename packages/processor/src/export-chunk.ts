import {
  type Clock,
  droppedOutcome,
  type ExportContext,
  type ExportOutcome,
  exportAttempt,
  type SpanBatch,
  type SpanBatchExporter,
} from '@otel-resilience/core';
import type { QueuedChunk } from './chunk.js';
import type { ExportSlots } from './export-slots.js';
import type { ResourceWait } from './resource-wait.js';

export interface ExportChunkOptions {
  readonly exporter: SpanBatchExporter;
  readonly slots: ExportSlots;
  /** The exporter is to store the batch at once: that takes no slot. */
  readonly overflow: boolean;
  readonly resources: ResourceWait;
  readonly clock: Clock;
  readonly timeoutMillis: number;
  /** Ends every export when the processor stops. */
  readonly signal: AbortSignal;
  /** Called once; by then the slot is free, unless the exporter has been given up without an answer. */
  readonly onOutcome: (outcome: ExportOutcome) => void;
  /** Called when that answer comes after all, and the slot is free at last. */
  readonly onLateOutcome: (outcome: ExportOutcome) => void;
}

/**
 * Exports a chunk in a slot that is taken here and now, before anything is awaited. The slot is free again when the
 * exporter has answered, not when we stop waiting: a hung exporter gets no further work.
 */
export async function exportChunk(chunk: QueuedChunk, options: ExportChunkOptions): Promise<void> {
  const { exporter, overflow, resources, clock, timeoutMillis, signal, onOutcome, onLateOutcome } = options;
  const slots = overflow ? NO_SLOTS : options.slots;
  slots.acquire();
  const resourcesSettled = resources.settled(chunk.resources(), signal);
  if (resourcesSettled) await resourcesSettled;
  // Only now: that wait has a bound of its own, and nobody has been asked before it is over.
  const deadline = clock.now() + timeoutMillis;

  let asked = false;
  let givenUp = false;
  const inSlot = async (batch: SpanBatch, context: ExportContext) => {
    asked = true;
    try {
      return await exporter.exportBatch(batch, context);
    } finally {
      asked = false;
      if (givenUp) slots.release();
    }
  };
  const batch = batchOf(chunk);
  if (!batch) {
    slots.release();
    onOutcome(droppedOutcome(chunk.spanCount, 'unreadable'));
    return;
  }
  const outcome = await exportAttempt(
    { exportBatch: inSlot },
    batch,
    { signal, deadline, overflow },
    { clock, onLateOutcome },
  );
  givenUp = asked;
  // Together, so that nothing is sent before it is known what this answer means for the next export.
  if (!givenUp) slots.release();
  onOutcome(outcome);
}

/** Nothing but a lack of memory is known to be in the way. That must not end the process, nor keep the slot. */
function batchOf(chunk: QueuedChunk): SpanBatch | undefined {
  try {
    return chunk.toBatch();
  } catch {
    return undefined;
  }
}

const NO_SLOTS: Pick<ExportSlots, 'acquire' | 'release'> = { acquire: () => {}, release: () => {} };
