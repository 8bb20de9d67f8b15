import { setMaxListeners } from 'node:events';
import { diag } from '@opentelemetry/api';
import { type Clock, settledBy, systemClock } from './clock.js';
import { exportAttempt } from './export-attempt.js';
import { ExportError } from './export-error.js';
import { type ExportOutcome, totalDropped } from './export-outcome.js';
import { EXPORT_FAILED, EXPORT_SUCCESS, type ExportResult, type ReadableSpan, type SpanExporter } from './sdk-types.js';
import { SpanBatch } from './span-batch.js';
import {
  DEFAULT_EXPORT_TIMEOUT_MILLIS,
  DEFAULT_FLUSH_TIMEOUT_MILLIS,
  DEFAULT_SHUTDOWN_TIMEOUT_MILLIS,
  type DeadlineOptions,
  type ExportContext,
  SPAN_BATCH_EXPORTER,
  type SpanBatchExporter,
} from './span-batch-exporter.js';
import { suppressTracing } from './suppress-tracing.js';

export interface SpanBatchExporterBaseOptions {
  /** The exporters this one wraps; flush and shutdown reach all of them. Default: none, a leaf. */
  readonly children?: readonly SpanBatchExporter[];
  readonly clock?: Clock;
}

/**
 * The base of every exporter of ours, and of your own. A subclass writes `exportBatch`; it is then also a stock
 * `SpanExporter`, so that any `BatchSpanProcessor` takes it.
 */
export abstract class SpanBatchExporterBase implements SpanBatchExporter, SpanExporter {
  readonly prefers: 'spans' | 'bytes';
  readonly maxConcurrentExports: number;
  protected readonly clock: Clock;
  protected readonly children: readonly SpanBatchExporter[];
  /** Aborted, with an `ExportError('SHUTDOWN')`, when a shutdown begins. */
  protected readonly shutdownSignal: AbortSignal;
  private readonly shutdownController = new AbortController();
  /** Aborted when a shutdown has done what it could: what is still open then is cut off. */
  private readonly endController = new AbortController();
  private readonly unansweredExports = new Set<Promise<void>>();
  private shutdownPromise: Promise<void> | undefined;

  constructor({ children = [], clock = systemClock }: SpanBatchExporterBaseOptions = {}) {
    // Not declared as a member: the ESM and the CommonJS types of this class stay assignable to each other.
    Object.defineProperty(this, SPAN_BATCH_EXPORTER, { value: true });
    this.children = children;
    this.clock = clock;
    this.prefers = children.some((child) => child.prefers === 'spans') ? 'spans' : 'bytes';
    this.maxConcurrentExports = children.reduce(
      (least, child) => Math.min(least, child.maxConcurrentExports),
      Number.POSITIVE_INFINITY,
    );
    this.shutdownSignal = this.shutdownController.signal;
    // One listener per open export is no leak, however many there are.
    setMaxListeners(0, this.shutdownSignal, this.endController.signal);
  }

  abstract exportBatch(batch: SpanBatch, context: ExportContext): Promise<ExportOutcome>;

  /** The stock door. What was stored is SUCCESS; what failed is FAILED, always with an error. */
  export(spans: ReadableSpan[], resultCallback: (result: ExportResult) => void): void {
    const deadline = this.clock.now() + DEFAULT_EXPORT_TIMEOUT_MILLIS;
    const context = { signal: this.endController.signal, deadline };
    const answered = exportAttempt(this, SpanBatch.fromSpans(spans), context, { clock: this.clock })
      .then((outcome) => resultCallback(toExportResult(outcome)))
      .catch((thrown) => diag.error('SpanBatchExporterBase.export: the result callback threw', thrown))
      .then(() => {
        this.unansweredExports.delete(answered);
      });
    this.unansweredExports.add(answered);
  }

  async forceFlush({
    deadline = this.clock.now() + DEFAULT_FLUSH_TIMEOUT_MILLIS,
  }: DeadlineOptions = {}): Promise<void> {
    const flushed = this.flushAll(deadline);
    if (!(await settledBy(this.clock, deadline, flushed))) {
      throw new ExportError('DEADLINE_EXCEEDED', 'forceFlush: not everything was acknowledged in time');
    }
    await flushed;
  }

  shutdown({ deadline = this.clock.now() + DEFAULT_SHUTDOWN_TIMEOUT_MILLIS }: DeadlineOptions = {}): Promise<void> {
    this.shutdownPromise ??= this.shutdownAll(deadline);
    return this.shutdownPromise;
  }

  /** What this layer itself must do before `forceFlush` may resolve. */
  protected async onFlush(_deadline: number): Promise<void> {}

  /** What this layer itself must do at shutdown, before its children are shut down. May use all of `deadline`. */
  protected async onShutdown(_deadline: number): Promise<void> {}

  private async flushAll(deadline: number): Promise<void> {
    const own = await Promise.allSettled([call(() => this.onFlush(deadline))]);
    const children = this.children.map((child) => call(() => child.forceFlush({ deadline })));
    const others = await Promise.allSettled([...children, ...this.unansweredExports]);
    for (const result of [...own, ...others]) if (result.status === 'rejected') throw result.reason;
  }

  private async shutdownAll(deadline: number): Promise<void> {
    this.shutdownController.abort(new ExportError('SHUTDOWN', 'the exporter has been shut down'));
    await settledBy(
      this.clock,
      deadline,
      call(() => this.onShutdown(deadline)),
    );
    const children = this.children.map((child) => call(() => child.shutdown({ deadline })));
    await settledBy(this.clock, deadline, Promise.allSettled(children));
    this.endController.abort(this.shutdownSignal.reason);
  }
}

// A child that throws synchronously must not leave the next one uncalled. What any of them sends is not the caller's.
async function call(fn: () => Promise<void>): Promise<void> {
  await suppressTracing(fn);
}

function toExportResult(outcome: ExportOutcome): ExportResult {
  if (outcome.remaining) return { code: EXPORT_FAILED, error: outcome.error };
  const dropped = totalDropped(outcome.dropped);
  if (dropped === 0) return { code: EXPORT_SUCCESS };
  const reasons = Object.keys(outcome.dropped).join(', ');
  return { code: EXPORT_FAILED, error: new Error(`${dropped} spans dropped: ${reasons}`, { cause: outcome.error }) };
}
