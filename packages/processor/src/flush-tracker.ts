import { type Clock, settledBy } from '@otel-resilience/core';

/** What a flush has seen: spans that ended before it and were lost, with the last error. */
export interface FlushResult {
  /** Whether nothing is left of what had ended before it. */
  readonly inTime: boolean;
  readonly failedSpans: number;
  readonly error?: Error | undefined;
}

interface Waiter {
  readonly generation: number;
  failedSpans: number;
  error: Error | undefined;
  done(): void;
}

/** Knows when every chunk of a generation, and of those before it, has left the processor for good. */
export class FlushTracker {
  private readonly clock: Clock;
  private readonly outstanding = new Map<number, number>();
  private readonly waiters = new Set<Waiter>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** A chunk of this generation has begun to exist. */
  opened(generation: number): void {
    this.outstanding.set(generation, (this.outstanding.get(generation) ?? 0) + 1);
  }

  /** Spans of this generation will not be exported. */
  lost(generation: number, spans: number, error?: Error): void {
    for (const waiter of this.waiters) {
      if (generation > waiter.generation) continue;
      waiter.failedSpans += spans;
      waiter.error = error ?? waiter.error;
    }
  }

  /** A chunk of this generation is gone: exported, lost or evicted. */
  closed(generation: number): void {
    const left = (this.outstanding.get(generation) ?? 0) - 1;
    if (left > 0) this.outstanding.set(generation, left);
    else this.outstanding.delete(generation);
    for (const waiter of this.waiters) if (!this.hasUpTo(waiter.generation)) waiter.done();
  }

  /** Resolves when nothing of `generation` or older is left, or at the deadline. */
  async wait(generation: number, deadline: number): Promise<FlushResult> {
    if (!this.hasUpTo(generation)) return { inTime: true, failedSpans: 0 };
    const waiter: Waiter = { generation, failedSpans: 0, error: undefined, done: () => {} };
    this.waiters.add(waiter);
    const done = new Promise<void>((resolve) => {
      waiter.done = resolve;
    });
    const inTime = await settledBy(this.clock, deadline, done);
    this.waiters.delete(waiter);
    return { inTime, failedSpans: waiter.failedSpans, error: waiter.error };
  }

  private hasUpTo(generation: number): boolean {
    for (const open of this.outstanding.keys()) if (open <= generation) return true;
    return false;
  }
}
