import {
  type Clock,
  DEFAULT_EXPORT_TIMEOUT_MILLIS,
  type ExportContext,
  ExportError,
  type ExportOutcome,
  isTimeout,
  type SpanBatch,
  type SpanBatchExporter,
  type Timer,
} from '@otel-resilience/core';

/**
 * A call of an exporter that goes on when its caller's time is up; the caller goes on as well, and its attempt has
 * failed. It ends when the exporter's own timeout does, or 30 s after it began.
 *
 * If every call were cancelled when its time is up, an exporter that takes longer than its callers wait would never be
 * heard to acknowledge anything, nobody could learn to wait longer, and it would be sent the same spans for ever. Envoy
 * has `hedge_on_per_try_timeout` for this. But it is one call at a time, since in a black hole they would soon hold all
 * connections there are, and never the first one that is late, since it is by cancelled calls that a transport finds out
 * that its connection is dead.
 */
export class PatientCall implements Pick<SpanBatchExporter, 'exportBatch'> {
  /** Whether nobody waits for it any more. */
  isOverdue = false;
  private readonly exporter: SpanBatchExporter;
  private readonly clock: Clock;
  private readonly onEnd: () => void;
  private readonly abort = new AbortController();
  private timer: Timer | undefined;
  private isPatient = true;

  /** `onEnd` is called when it holds nothing of the exporter any more; once or more. */
  constructor(exporter: SpanBatchExporter, clock: Clock, onEnd: () => void) {
    this.exporter = exporter;
    this.clock = clock;
    this.onEnd = onEnd;
  }

  async exportBatch(batch: SpanBatch, { signal, ...context }: ExportContext): Promise<ExportOutcome> {
    const { clock, abort } = this;
    const deadline = Math.max(context.deadline, clock.now() + DEFAULT_EXPORT_TIMEOUT_MILLIS);
    const onAbort = () => {
      if (!this.isPatient || !isTimeout(signal.reason)) {
        this.end(signal.reason);
        return;
      }
      this.isOverdue = true;
      const end = () => this.end(new ExportError('DEADLINE_EXCEEDED', 'no answer, and nobody waits for it'));
      this.timer = clock.setTimeout(end, deadline - clock.now());
    };
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await this.exporter.exportBatch(batch, { ...context, signal: abort.signal, deadline });
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.settled();
    }
  }

  /** Cancels it, unless somebody waits for it: then it ends with its attempt. */
  giveWay(reason: unknown): void {
    if (this.isOverdue) this.end(reason);
    this.isPatient = false;
  }

  private end(reason: unknown): void {
    this.abort.abort(reason);
    this.settled();
  }

  private settled(): void {
    this.clock.clearTimeout(this.timer);
    this.onEnd();
  }
}
