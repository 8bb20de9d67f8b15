interface Waiter {
  readonly generation: number;
  failedSpans: number;
  error: Error | undefined;
  readonly done: (waiter: Waiter) => void;
}

/** What a flush has seen: spans that ended before it and were lost, with the last error. */
export interface FlushResult {
  readonly failedSpans: number;
  readonly error?: Error | undefined;
}

/** Knows when every chunk of a generation, and of those before it, has left the processor for good. */
export class FlushTracker {
  private readonly outstanding = new Map<number, number>();
  private readonly waiters = new Set<Waiter>();

  /** A chunk of this generation has begun to exist. */
  opened(generation: number): void {
    this.outstanding.set(generation, (this.outstanding.get(generation) ?? 0) + 1);
  }

  /** A chunk of this generation is gone: exported, failed (with how many spans lost) or evicted. */
  closed(generation: number, failedSpans = 0, error?: Error): void {
    const left = (this.outstanding.get(generation) ?? 0) - 1;
    if (left > 0) this.outstanding.set(generation, left);
    else this.outstanding.delete(generation);
    for (const waiter of this.waiters) {
      if (generation > waiter.generation) continue;
      waiter.failedSpans += failedSpans;
      waiter.error = error ?? waiter.error;
      if (!this.hasUpTo(waiter.generation)) waiter.done(waiter);
    }
  }

  /** Resolves when nothing of `generation` or older is left. */
  wait(generation: number): Promise<FlushResult> {
    if (!this.hasUpTo(generation)) return Promise.resolve({ failedSpans: 0 });
    return new Promise((resolve) => {
      this.waiters.add({
        generation,
        failedSpans: 0,
        error: undefined,
        done: (waiter) => {
          this.waiters.delete(waiter);
          resolve({ failedSpans: waiter.failedSpans, error: waiter.error });
        },
      });
    });
  }

  private hasUpTo(generation: number): boolean {
    for (const open of this.outstanding.keys()) if (open <= generation) return true;
    return false;
  }
}
