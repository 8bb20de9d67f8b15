import { classifyFailure } from './classify-failure.js';
import type { Clock } from './clock.js';
import { ExportError } from './export-error.js';
import { accountedFor, type ExportOutcome, failedOutcome } from './export-outcome.js';
import type { SpanBatch } from './span-batch.js';
import type { ExportContext, SpanBatchExporter } from './span-batch-exporter.js';
import { suppressTracing } from './suppress-tracing.js';

export interface ExportAttemptOptions {
  readonly clock: Clock;
  /** Ends the attempt before the context's deadline; default: the deadline alone. */
  readonly timeoutMillis?: number;
  /** Called with what the exporter said after this attempt had already been given up. */
  readonly onLateOutcome?: (outcome: ExportOutcome) => void;
}

/**
 * The one door through which a layer calls the next: it never rejects and never outlasts its timeout, the context's
 * deadline or signal. An attempt still open then counts as `retryable` with `DEADLINE_EXCEEDED`; the child sees its
 * signal abort, and may still answer late.
 */
export function exportAttempt(
  exporter: Pick<SpanBatchExporter, 'exportBatch'>,
  batch: SpanBatch,
  context: ExportContext,
  options: ExportAttemptOptions,
): Promise<ExportOutcome> {
  const { clock, timeoutMillis = Number.POSITIVE_INFINITY, onLateOutcome } = options;
  if (context.signal.aborted) return Promise.resolve(cutOff(batch, context.signal.reason));
  const startedAt = clock.now();
  const deadline = Math.min(context.deadline, startedAt + timeoutMillis);
  const controller = new AbortController();

  return new Promise((resolve) => {
    let open = true;
    const finish = (outcome: ExportOutcome) => {
      if (!open) {
        onLateOutcome?.(outcome);
        if (outcome.delivered > 0) context.onLateAcknowledgement?.(outcome.delivered);
        return;
      }
      open = false;
      clock.clearTimeout(timer);
      context.signal.removeEventListener('abort', onAbort);
      resolve(outcome);
    };
    const abandon = (reason: unknown) => {
      finish(cutOff(batch, reason));
      controller.abort(reason);
    };
    const onAbort = () => abandon(context.signal.reason);

    context.signal.addEventListener('abort', onAbort, { once: true });
    const timer = clock.setTimeout(
      () => abandon(new ExportError('DEADLINE_EXCEEDED', `no answer within ${Math.round(deadline - startedAt)} ms`)),
      deadline - startedAt,
    );
    callExporter(exporter, batch, { ...context, signal: controller.signal, deadline }).then(finish);
  });
}

function cutOff(batch: SpanBatch, reason: unknown): ExportOutcome {
  const { failure, error } = classifyFailure(reason);
  return failedOutcome(batch, failure, error);
}

/** An exporter of a user's own may break the contract: throw, reject, or return what does not add up. */
async function callExporter(
  exporter: Pick<SpanBatchExporter, 'exportBatch'>,
  batch: SpanBatch,
  context: ExportContext,
): Promise<ExportOutcome> {
  try {
    const outcome = await suppressTracing(() => exporter.exportBatch(batch, context));
    if (accountedFor(outcome) === batch.spanCount) return outcome;
    throw new Error(`the exporter accounted for ${accountedFor(outcome)} of ${batch.spanCount} spans`);
  } catch (thrown) {
    const { failure, error, retryAfterMillis } = classifyFailure(thrown);
    return failedOutcome(batch, failure, error, retryAfterMillis);
  }
}
