import {
  deliveredOutcome,
  type ExportOutcome,
  failedOutcome,
  followedBy,
  giveUp,
  SpanBatch,
} from '@otel-resilience/core';
import { type FaultyDisk, fakeSpan } from '@otel-resilience/testing';
import type { OUTCOMES } from './disk-spool-commands.js';

/** Spans that are known again: each has a name of its own, and a size. */
export class AppendedSpans {
  private readonly bytesByName = new Map<string, number>();

  make(spans: number, bytes: number): { names: string[]; batch: SpanBatch } {
    const names = Array.from({ length: spans }, (_, i) => `span ${this.bytesByName.size + i};`);
    for (const name of names) this.bytesByName.set(name, bytes);
    const batch = SpanBatch.fromSpans(
      names.map((name) => fakeSpan({ name, attributes: { blob: 'x'.repeat(bytes) }, events: [] })),
    );
    return { names, batch };
  }

  /** They are spans that were appended, whole. */
  namesIn(batch: SpanBatch): string[] {
    return batch.spans().map(({ name, attributes }) => {
      const bytes = this.bytesByName.get(name);
      if (attributes.blob !== 'x'.repeat(bytes ?? -1)) throw new Error(`was never appended so: ${name}`);
      return name;
    });
  }
}

/** `settled`: the first so many spans are gone for good. */
export function outcomeOf(
  batch: SpanBatch,
  how: (typeof OUTCOMES)[number],
): { outcome: ExportOutcome; settled: number } {
  const { spanCount } = batch;
  const failed = failedOutcome(batch, 'retryable', new Error('down'));
  switch (how) {
    case 'delivered':
      return { outcome: deliveredOutcome(spanCount), settled: spanCount };
    case 'retryable':
      return { outcome: failed, settled: 0 };
    case 'permanent':
      return { outcome: failedOutcome(batch, 'permanent', new Error('400')), settled: spanCount };
    case 'poison':
      return { outcome: giveUp(failed, 'poison'), settled: spanCount };
    case 'nonsense':
      return { outcome: deliveredOutcome(spanCount + 1), settled: 0 };
    case 'part': {
      const taken = Math.floor(spanCount / 2);
      const rest = failedOutcome(batch.slice(taken), 'retryable', new Error('partly'));
      return { outcome: followedBy(deliveredOutcome(taken), rest), settled: taken };
    }
  }
}

/** All that is in quarantine, as bytes. */
export function quarantineOf(disk: FaultyDisk): string {
  const files = [...disk.contents()].filter(([path]) => path.includes('/quarantine/'));
  return files.map(([, bytes]) => Buffer.from(bytes).toString('latin1')).join('');
}
