import type { Clock, Resource } from '@otel-resilience/core';

// Resource detectors give up after 5 s themselves. One that does not must delay the first batches only.
const RESOURCE_WAIT_MILLIS = 5_000;

/**
 * Resources may have attributes that are still being detected, and reading them then logs an error. So a batch waits
 * for its resources, each of them for at most 5 s since it was first seen.
 */
export class ResourceWait {
  private readonly clock: Clock;
  private readonly deadlines = new WeakMap<Resource, number>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /**
   * Resolves when these resources have settled, their time is over, or the signal aborts; `undefined` (nearly always,
   * after the first seconds) when there is nothing to wait for. Never throws or rejects.
   */
  settled(resources: Iterable<Resource>, signal: AbortSignal): Promise<void> | undefined {
    const pending = new Set<Resource>();
    for (const resource of resources) if (isPending(resource)) pending.add(resource);
    if (pending.size === 0) return undefined;
    const now = this.clock.now();
    let deadline = now;
    for (const resource of pending) deadline = Math.max(deadline, this.deadlineOf(resource, now));
    if (deadline === now) return undefined;
    const settled = Promise.allSettled([...pending].map(async (resource) => resource.waitForAsyncAttributes?.()));
    return this.until(deadline - now, settled, signal);
  }

  private deadlineOf(resource: Resource, now: number): number {
    let deadline = this.deadlines.get(resource);
    if (deadline === undefined) {
      deadline = now + RESOURCE_WAIT_MILLIS;
      this.deadlines.set(resource, deadline);
    }
    return deadline;
  }

  private until(millis: number, promise: Promise<unknown>, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.clock.clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = this.clock.setTimeout(done, millis);
      signal.addEventListener('abort', done, { once: true });
      promise.then(done);
    });
  }
}

function isPending(resource: Resource): boolean {
  try {
    return resource.asyncAttributesPending === true && resource.waitForAsyncAttributes !== undefined;
  } catch {
    return false;
  }
}
