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

interface PatientCallEvents {
  /** It holds nothing of the exporter any more; called once or more. */
  onEnd(): void;
  /** Its own timeout has ended it, so long after it began: it has been waited for in vain. */
  onUnanswered(afterMillis: number): void;
}

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
  private readonly events: PatientCallEvents;
  private readonly abort = new AbortController();
  private timer: Timer | undefined;
  private isPatient = true;

  constructor(exporter: SpanBatchExporter, clock: Clock, events: PatientCallEvents) {
    this.exporter = exporter;
    this.clock = clock;
    this.events = events;
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
    const startedAt = clock.now();
    try {
      const outcome = await this.exporter.exportBatch(batch, { ...context, signal: abort.signal, deadline });
      if (this.isOverdue && this.isPatient && outcome.remaining && ranOutOfTime(outcome.error)) {
        this.events.onUnanswered(clock.now() - startedAt);
      }
      return outcome;
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.settled();
    }
  }

  /** Cancels it, unless somebody waits for it: then it ends with its attempt. */
  giveWay(reason: unknown): void {
    this.isPatient = false;
    if (this.isOverdue) this.end(reason);
  }

  private end(reason: unknown): void {
    this.abort.abort(reason);
    this.settled();
  }

  private settled(): void {
    this.clock.clearTimeout(this.timer);
    this.events.onEnd();
  }
}

const GRPC_DEADLINE_EXCEEDED = 4;

const ranOutOfTime = (error: Error): boolean =>
  isTimeout(error) || (error as { code?: unknown }).code === GRPC_DEADLINE_EXCEEDED;
