import { classifyFailure } from './classify-failure.js';
import type { Clock } from './clock.js';
import { exportAttempt } from './export-attempt.js';
import { ExportError } from './export-error.js';
import { exportInParts, type SentPart } from './export-in-parts.js';
import { deliveredOutcome, type ExportOutcome, failedOutcome } from './export-outcome.js';
import { LimitedLog } from './limited-log.js';
import { aClock, optional, positiveInteger, readOptions } from './options.js';
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
 *
 * One that throws synchronously cannot even encode what it was given, mostly for the sake of a single span: a name or a
 * link's context that is missing, an attribute that contains itself. The batch is then exported in parts, one after the
 * other in the same slot and by the same deadline, and spans that make it throw on their own are `rejected`. That takes
 * 256 calls at most, and 32 if it throws at everything; then all of the batch fails with what was thrown.
 */
export function adaptSpanExporter(
  exporter: SpanExporter | SpanBatchExporter,
  options: AdaptSpanExporterOptions = {},
): SpanBatchExporter {
  return isSpanBatchExporter(exporter) ? exporter : new SpanExporterAdapter(exporter, options);
}

const SCHEMA = { maxConcurrentExports: positiveInteger({ default: 1 }), clock: optional(aClock) };

export class SpanExporterAdapter extends SpanBatchExporterBase {
  override readonly prefers = 'spans';
  override readonly maxConcurrentExports: number;
  private readonly exporter: SpanExporter;
  private readonly log: LimitedLog;
  private openExports = 0;
  private lateAcknowledged = 0;
  private extraCallbacks = 0;
  /** Exports that returned a promise which resolved, and that have not called back. */
  private silentPromises = 0;

  constructor(exporter: SpanExporter, options: AdaptSpanExporterOptions = {}) {
    const { maxConcurrentExports, clock } = readOptions('adaptSpanExporter', options, SCHEMA);
    super({ clock });
    this.exporter = exporter;
    this.log = new LimitedLog('adaptSpanExporter', { clock });
    this.maxConcurrentExports = maxConcurrentExports;
  }

  async exportBatch(batch: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    if (this.shutdownSignal.aborted) return failedOutcome(batch, 'shutdown', this.shutdownSignal.reason);
    if (this.openExports >= this.maxConcurrentExports) {
      const hint = this.silentPromises > 0 ? ': export() returned a promise and has not called resultCallback' : '';
      const message = `${this.openExports} exports are open, and the exporter bears ${this.maxConcurrentExports}${hint}`;
      return failedOutcome(batch, 'refused', new ExportError('REFUSED', message));
    }
    const slot: Slot = { isAwaited: true, isAnswered: true };
    this.openExports++;
    const outcome = await this.exportInSlot(batch, context, slot);
    slot.isAwaited = false;
    if (slot.isAnswered) this.openExports--;
    return outcome;
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

  private async exportInSlot(batch: SpanBatch, context: ExportContext, slot: Slot): Promise<ExportOutcome> {
    const { outcome, call } = await this.send(batch, context, slot);
    if (call !== 'threw' || !outcome.remaining || batch.spanCount === 0) return outcome;
    return exportInParts(batch, outcome, {
      send: async (part) => {
        const cutOff = this.cutOff(part, context);
        return cutOff ? { outcome: cutOff, call: 'none' } : this.send(part, context, slot);
      },
      onBadSpans: (spans, { name, message }) =>
        this.log.warn(
          'bad spans',
          () => `${spans} spans make the exporter throw, each on its own: ${name}: ${message}`,
        ),
    });
  }

  private async send(batch: SpanBatch, context: ExportContext, slot: Slot): Promise<SentPart> {
    let call: SentPart['call'] = 'none';
    const exportBatch = () => {
      call = 'begun';
      return this.callBack(batch, slot, () => {
        call = 'threw';
      });
    };
    const onLateOutcome = ({ delivered }: ExportOutcome) => {
      this.lateAcknowledged += delivered;
    };
    const outcome = await exportAttempt({ exportBatch }, batch, context, { clock: this.clock, onLateOutcome });
    return { outcome, call };
  }

  /** Why nothing more of a batch may be sent, if it may not; an aborted signal is the attempt's own affair. */
  private cutOff(batch: SpanBatch, { deadline }: ExportContext): ExportOutcome | undefined {
    if (this.shutdownSignal.aborted) return failedOutcome(batch, 'shutdown', this.shutdownSignal.reason);
    if (deadline > this.clock.now()) return undefined;
    return failedOutcome(batch, 'retryable', new ExportError('DEADLINE_EXCEEDED', 'no time left for a further part'));
  }

  /** Settles with the first answer, and frees the slot if it is awaited no more: never before, however long it takes. */
  private callBack(batch: SpanBatch, slot: Slot, onThrow: () => void): Promise<ExportOutcome> {
    const spans = batch.spans();
    slot.isAnswered = false;
    return new Promise((resolve) => {
      let answered = false;
      let isSilent = false;
      const answer = (outcome: ExportOutcome) => {
        if (answered) {
          this.extraCallbacks++;
          return;
        }
        answered = true;
        if (isSilent) this.silentPromises--;
        slot.isAnswered = true;
        if (!slot.isAwaited) this.openExports--;
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
      const noteSilence = () => {
        if (answered) return;
        isSilent = true;
        this.silentPromises++;
      };
      try {
        // Some exporters are `async` by mistake: a rejection counts as their answer, a resolution says nothing.
        const returned: unknown = this.exporter.export(spans, onResult);
        if (returned !== undefined) Promise.resolve(returned).then(noteSilence, fail);
      } catch (thrown) {
        // An error that names a reason of its own (a status, a refusal) is an answer, however it came.
        if (!answered && classifyFailure(thrown).failure === 'retryable') onThrow();
        fail(thrown);
      }
    });
  }
}

/** What one `exportBatch` holds: free when nobody awaits an answer, and none is owed. */
interface Slot {
  isAwaited: boolean;
  isAnswered: boolean;
}
