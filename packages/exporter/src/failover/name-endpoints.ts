import type { ExportOutcome } from '@otel-resilience/core';
import type { Endpoint } from './endpoint.js';

/**
 * The outcome of a call with an error that names the endpoints that were asked, and what each has said: whoever logs
 * it knows of one exporter only.
 */
export function nameEndpoints(outcome: ExportOutcome, asked: Iterable<Endpoint>): ExportOutcome {
  if (!outcome.remaining || outcome.failure === 'shutdown') return outcome;
  const said: string[] = [];
  for (const { name, lastFailure } of asked) if (lastFailure) said.push(`${name}: ${lastFailure.message}`);
  if (said.length === 0) return outcome; // a refusal, which names its endpoint
  return { ...outcome, error: reworded(outcome.error, said.join('; ')) };
}

/** An error with another message and the properties of the original, which is its `cause`. */
export function reworded(cause: Error, message: string): Error {
  return Object.assign(new Error(message, { cause }), cause, { message, cause });
}
