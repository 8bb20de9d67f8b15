import { ExportError, toError } from './export-error.js';
import type { Failure } from './export-outcome.js';

export interface ClassifiedFailure {
  readonly failure: Failure;
  readonly error: Error;
  /** The server's hint, in milliseconds: bounded and positive. */
  readonly retryAfterMillis?: number;
}

/** Reads what to do next from whatever an exporter failed with. */
export function classifyFailure(thrown: unknown): ClassifiedFailure {
  const error = toError(thrown);
  if (error instanceof ExportError) {
    if (error.code === 'REFUSED') return { failure: 'refused', error };
    if (error.code === 'SHUTDOWN') return { failure: 'shutdown', error };
  }
  return { failure: 'retryable', error };
}
