import { classifyFailure } from './classify-failure.js';
import type { Clock } from './clock.js';
import { exportAttempt } from './export-attempt.js';
import { ExportError } from './export-error.js';
import { deliveredOutcome, type ExportOutcome, failedOutcome } from './export-outcome.js';
import { optional, positiveInteger, readOptions } from './options.js';
import { EXPORT_SUCCESS, type ExportResult, type SpanExporter } from './sdk-types.js';
import type { SpanBatch } from './span-batch.js';
import { type ExportContext, isSpanBatchExporter, type SpanBatchExporter } from './span-batch-exporter.js';
import { SpanBatchExporterBase } from './span-batch-exporter-base.js';

export interface AdaptSpanExporterOptions {
  /**
   * How many exports the adapted exporter bears at a time. Default 1: the specification says that `export` is never
   * called concurrently for the same instance. The stock OTLP exporters bear 30.
   */
  readonly maxConcurrentExports?: number;
  readonly clock?: Clock;
}

/** What an adapted exporter did besides answering once per export. */
export interface AdapterStats {
  /** Exports whose callback has not come yet, timed-out ones included: each holds a slot. */
  readonly openExports: number;
  /** Spans acknowledged after their attempt had been given up: they may have been sent twice. */
  readonly lateAcknowledged: number;
  /** Second and later callbacks of one export. */
  readonly extraCallbacks: number;
}

/**
 * Makes any `SpanExporter` a `SpanBatchExporter`; one of ours is returned as it is.
 *
 * An exporter that never calls back keeps its slot, and further exports are `refused` meanwhile: a hung exporter is
 * never given more work than it may have.
 */
export function adaptSpanExporter(
  exporter: SpanExporter | SpanBatchExporter,
  options: AdaptSpanExporterOptions = {},
): SpanBatchExporter {
  return isSpanBatchExporter(exporter) ? exporter : new SpanExporterAdapter(exporter, options);
}

const SCHEMA = { maxConcurrentExports: positiveInteger({ default: 1 }), clock: optional<Clock>() };

export class SpanExporterAdapter extends SpanBatchExporterBase {
  override readonly prefers = 'spans';
  override readonly maxConcurrentExports: number;
  private readonly exporter: SpanExporter;
  private openExports = 0;
  private lateAcknowledged = 0;
  private extraCallbacks = 0;

  constructor(exporter: SpanExporter, options: AdaptSpanExporterOptions = {}) {
    const { maxConcurrentExports, clock } = readOptions('adaptSpanExporter', options, SCHEMA);
    super({ clock });
    this.exporter = exporter;
    this.maxConcurrentExports = maxConcurrentExports;
  }

  async exportBatch(batch: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    if (this.shutdownSignal.aborted) return failedOutcome(batch, 'shutdown', this.shutdownSignal.reason);
    if (this.openExports >= this.maxConcurrentExports) {
      const message = `${this.openExports} exports are open, and the exporter bears ${this.maxConcurrentExports}`;
      return failedOutcome(batch, 'refused', new ExportError('REFUSED', message));
    }
    return exportAttempt({ exportBatch: () => this.callBack(batch) }, batch, context, {
      clock: this.clock,
      onLateOutcome: ({ delivered }) => {
        this.lateAcknowledged += delivered;
      },
    });
  }

  stats(): AdapterStats {
    const { openExports, lateAcknowledged, extraCallbacks } = this;
    return { openExports, lateAcknowledged, extraCallbacks };
  }

  protected override async onFlush(): Promise<void> {
    await this.exporter.forceFlush?.();
  }

  protected override async onShutdown(): Promise<void> {
    await this.exporter.shutdown();
  }

  /** Settles with the first answer, and frees the slot then: never before, however long it takes. */
  private callBack(batch: SpanBatch): Promise<ExportOutcome> {
    this.openExports++;
    return new Promise((resolve) => {
      let answered = false;
      const answer = (outcome: ExportOutcome) => {
        if (answered) {
          this.extraCallbacks++;
          return;
        }
        answered = true;
        this.openExports--;
        resolve(outcome);
      };
      const fail = (thrown: unknown) => {
        if (answered) return;
        const { failure, error, retryAfterMillis } = classifyFailure(thrown);
        answer(failedOutcome(batch, failure, error, retryAfterMillis));
      };
      const onResult = (result: ExportResult | undefined) => {
        if (result?.code === EXPORT_SUCCESS) answer(deliveredOutcome(batch.spanCount));
        else if (answered) this.extraCallbacks++;
        else fail(result?.error ?? new Error('the exporter reported a failure without an error'));
      };
      try {
        // Some exporters are `async` by mistake: a rejection counts as their answer, a resolution says nothing.
        const returned: unknown = this.exporter.export(batch.spans(), onResult);
        if (returned !== undefined) Promise.resolve(returned).catch(fail);
      } catch (thrown) {
        fail(thrown);
      }
    });
  }
}
