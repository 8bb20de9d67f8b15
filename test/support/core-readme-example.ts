import { appendFile } from 'node:fs/promises';
import {
  classifyFailure,
  deliveredOutcome,
  type ExportContext,
  type ExportOutcome,
  exportAttempt,
  failedOutcome,
  followedBy,
  type SpanBatch,
  type SpanBatchExporter,
  SpanBatchExporterBase,
} from '@otel-resilience/core';

/** A leaf: one line of JSON per span. */
export class FileSpanExporter extends SpanBatchExporterBase {
  override readonly prefers = 'spans';
  override readonly maxConcurrentExports = 1;
  path = 'spans.jsonl';

  async exportBatch(batch: SpanBatch): Promise<ExportOutcome> {
    const lines = batch.spans().map(({ name, duration }) => JSON.stringify({ name, duration }));
    try {
      await appendFile(this.path, `${lines.join('\n')}\n`);
      return deliveredOutcome(batch.spanCount);
    } catch (thrown) {
      const { failure, error } = classifyFailure(thrown);
      return failedOutcome(batch, failure, error);
    }
  }
}

/** A layer: what `first` does not take within 2 s is offered to `second`. */
export class SecondChanceExporter extends SpanBatchExporterBase {
  constructor(first: SpanBatchExporter, second: SpanBatchExporter) {
    super({ children: [first, second] });
  }

  async exportBatch(batch: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    const [first, second] = this.children as [SpanBatchExporter, SpanBatchExporter];
    const outcome = await exportAttempt(first, batch, context, { clock: this.clock, timeoutMillis: 2_000 });
    if (!outcome.remaining || outcome.failure === 'shutdown') return outcome;
    return followedBy(outcome, await exportAttempt(second, outcome.remaining, context, { clock: this.clock }));
  }
}
