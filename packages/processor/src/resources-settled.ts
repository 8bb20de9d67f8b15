import type { ReadableSpan, Resource } from '@otel-resilience/core';

/**
 * Resources may have attributes that are still being detected, and reading them then logs an error. Returns what to
 * wait for, or `undefined` (nearly always, after the first seconds) when nothing is pending.
 */
export function resourcesSettled(spans: readonly ReadableSpan[]): Promise<unknown> | undefined {
  let last: Resource | undefined;
  let pending: Set<Resource> | undefined;
  for (const { resource } of spans) {
    if (resource === last) continue;
    last = resource;
    if (resource?.asyncAttributesPending && resource.waitForAsyncAttributes)
      pending = (pending ?? new Set()).add(resource);
  }
  return pending && Promise.allSettled([...pending].map((resource) => resource.waitForAsyncAttributes?.()));
}
