import type { ReadableSpan, Resource } from '@otel-resilience/core';

/**
 * Resources may have attributes that are still being detected, and reading them then logs an error. Returns what to
 * wait for, or `undefined` (nearly always, after the first seconds) when nothing is pending. Never throws or rejects.
 */
export function resourcesSettled(spans: readonly ReadableSpan[]): Promise<unknown> | undefined {
  let last: Resource | undefined;
  let pending: Set<Resource> | undefined;
  for (const span of spans) {
    const resource = resourceOf(span);
    if (resource === last) continue;
    last = resource;
    if (isPending(resource)) pending = (pending ?? new Set()).add(resource);
  }
  return pending && Promise.allSettled([...pending].map(async (resource) => resource.waitForAsyncAttributes?.()));
}

function resourceOf(span: ReadableSpan): Resource | undefined {
  try {
    return span.resource;
  } catch {
    return undefined;
  }
}

function isPending(resource: Resource | undefined): resource is Resource {
  try {
    return resource?.asyncAttributesPending === true && resource.waitForAsyncAttributes !== undefined;
  } catch {
    return false;
  }
}
