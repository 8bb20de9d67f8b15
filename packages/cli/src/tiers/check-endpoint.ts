import { describeError, SpanBatch, type SpanBatchExporter, systemClock } from '@otel-resilience/core';
import { CommandError, EXIT } from '../exit-code.js';

const TIMEOUT_MILLIS = 10_000;
/** gRPC's PERMISSION_DENIED and UNAUTHENTICATED, and the same over HTTP. */
const DENIALS: readonly unknown[] = [7, 16, 401, 403];

/**
 * Sends a request without spans. Rejects where nobody answers, or somebody who wants other headers: with that nothing
 * can be sent. What else is said of such a request is no matter.
 */
export async function checkEndpoint(exporter: SpanBatchExporter, shown: string, signal: AbortSignal): Promise<void> {
  const context = { signal, deadline: systemClock.now() + TIMEOUT_MILLIS };
  const { failure, error } = await exporter.exportBatch(SpanBatch.fromBytes([]), context);
  if (signal.aborted || !error) return;
  const isDenied = DENIALS.includes((error as { code?: unknown }).code);
  if (failure !== 'retryable' && !isDenied) return;
  const remedy = isDenied ? 'Look at its headers.' : 'Look at the endpoint, and at --protocol.';
  throw new CommandError(EXIT.incomplete, `${shown}: ${describeError(error)}`, `${remedy} Nothing was sent.`);
}
