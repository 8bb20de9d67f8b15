import { AsyncResource } from 'node:async_hooks';
import { type Context, context, createContextKey, ROOT_CONTEXT } from '@opentelemetry/api';

// The key is a registered symbol, so it is the one that instrumentations of both SDK majors look for.
const SUPPRESS_TRACING = createContextKey('OpenTelemetry SDK Context Key SUPPRESS_TRACING');

/** The root context with tracing suppressed: no request of the application is retained, none of our I/O is traced. */
export const SUPPRESSED_CONTEXT: Context = ROOT_CONTEXT.setValue(SUPPRESS_TRACING, true);

// Made while modules are loaded, outside of any request: what runs in it sees none of the application's
// AsyncLocalStorages, ours or anybody's, and keeps none of their stores alive.
const outside = new AsyncResource('otel-resilience');

/** Runs `fn` outside any request of the application and with tracing suppressed. */
export function suppressTracing<T>(fn: () => T): T {
  return outside.runInAsyncScope(() => context.with(SUPPRESSED_CONTEXT, fn));
}
