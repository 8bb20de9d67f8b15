import { context, createContextKey, ROOT_CONTEXT } from '@opentelemetry/api';
import { isTracingSuppressed } from '@opentelemetry/core';

const REQUEST = createContextKey('a request of the application');

/** Runs `fn` as an application's request handler does: in a context of its own, with tracing on. */
export function asApplication<T>(fn: () => T, request: object = {}): T {
  return context.with(ROOT_CONTEXT.setValue(REQUEST, request), fn);
}

/** What is wrong with the context that our I/O runs in: it must be suppressed, and know no request. */
export function contextFaults(what: string): string[] {
  const active = context.active();
  return [
    ...(active.getValue(REQUEST) === undefined ? [] : [`${what} runs in a request of the application`]),
    ...(isTracingSuppressed(active) ? [] : [`${what} is traced`]),
  ];
}
